// Brush and eraser, at the film's own resolution.

import { say, ui } from "./dom.js";
import { newInstance } from "./film.js";
import { chooseInstance, colourOf, under } from "./instances.js";
import { onFilm } from "./overlay.js";
import { areaOf, emptyRuns } from "./runs.js";
import { chosen, state } from "./state.js";
import { paint } from "./strokes.js";

/** @type {Instance | null} */
let painted = null;
let erases = false, adds = false;

/** The instance that a stroke is for: the chosen one, that under the pointer, or a new one. @type {Target} */
function target(under, keeps) {
	const one = chosen(), found = (keeps && one) || under || one;
	if (!state.adding && found) return found;
	const { height = 0, width = 0 } = state.film?.facts ?? {};
	return newInstance({ label: ui.class.value, score: null, doubt: null, runs: emptyRuns(height, width), edited: true });
}

/** @type {Hand["begin"]} */
export function begin(point, keep, flip) {
	if (!state.film?.pixels) return false;
	erases = (state.tool === "eraser") !== flip;
	painted = target(under(point), keep);
	adds = !state.film.instances.includes(painted);
	state.hidden.delete(painted.id);
	state.outlines = true;
	if (!adds) chooseInstance(painted.id);
	else if (erases) {
		painted = null;
		say("There is no instance here to erase from.");
	}
	return painted !== null;
}

/** @type {Hand["end"]} */
export function end(stroke) {
	const { film } = state, id = painted?.id;
	// It may have been undone, or deleted, since the stroke began.
	const one = adds ? painted : film?.instances.find((it) => it.id === id);
	painted = null;
	if (!stroke || !film?.facts || !one) return;
	const runs = paint(one.runs, film.facts.height, film.facts.width, stroke, erases);
	if (runs === one.runs) return; // nothing has changed: no step
	const what = `${erases ? "erased from" : "painted"} ${one.label}`;
	if (!adds) film.change(what, one, { runs });
	else film.edit(`added ${one.label}`, { instances: [...film.instances, { ...one, runs }] });
	chooseInstance(areaOf(runs) ? one.id : undefined);
	say(`${what}: ${film.area({ ...one, runs })}.`);
}

/** @type {DrawBrush} */
export function drawBrush(context, place, { at, radius, stroke }) {
	const thin = onFilm(context, place);
	if (stroke) {
		const path = new Path2D();
		path.moveTo(...stroke.points[0]);
		for (const point of stroke.points) path.lineTo(...point);
		Object.assign(context, { strokeStyle: erases || !painted ? "#fff" : colourOf(painted), lineWidth: 2 * stroke.radius, globalAlpha: 0.5 });
		context.stroke(path);
		context.globalAlpha = 1;
	}
	if (!at) return;
	for (const [strokeStyle, width] of /** @type {[string, number][]} */ ([["#000", 3], ["#fff", 1.2]])) {
		context.beginPath();
		context.arc(...at, radius, 0, 2 * Math.PI);
		Object.assign(context, { strokeStyle, lineWidth: width * thin });
		context.stroke();
	}
}
