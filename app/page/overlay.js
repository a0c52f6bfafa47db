// Outlines and fills of the instances, over the film.

import { pathOf, simplify, trace } from "./outlines.js";

// Okabe and Ito's, which the colour-blind tell apart, for a dark ground; numbers say the same.
export const COLOURS = "#56b4e9 #e69f00 #2fd3a2 #f0e442 #e58fc0 #ff8a50 #9db4ff #c8e66e".split(" ");
export const FEW = 12; // instances that are told apart by colour, and filled; of more, classes are

/** @type {WeakMap<Runs, {exact: Path2D, coarse: Path2D}>} */
const paths = new WeakMap();

/** @param {Runs} runs @param {Size} size */
function pathsOf(runs, { height, width }) {
	const known = paths.get(runs);
	if (known) return known;
	const rings = trace(runs, height), tolerance = Math.max(0.75, height / 2000, width / 2000);
	const made = { exact: pathOf(rings), coarse: pathOf(rings.map((ring) => simplify(ring, tolerance))) };
	paths.set(runs, made);
	return made;
}

/** Clears a canvas; from here on it is in film pixels. @type {OnFilm} */
export function onFilm(context, { scale, x, y }) {
	context.setTransform(1, 0, 0, 1, 0, 0);
	context.clearRect(0, 0, context.canvas.width, context.canvas.height);
	context.setTransform(scale, 0, 0, scale, -x * scale, -y * scale);
	context.lineJoin = context.lineCap = "round";
	return devicePixelRatio / scale;
}

/** @type {DrawInstances} */
export function drawInstances(context, place, size, instances, style) {
	const thin = onFilm(context, place);
	for (const one of instances) {
		const { exact, coarse } = pathsOf(one.runs, size), path = place.scale < 1 ? coarse : exact;
		const { colour, strong, fill } = style(one);
		Object.assign(context, { fillStyle: colour, strokeStyle: colour, lineWidth: (strong ? 3 : 1.5) * thin });
		context.globalAlpha = fill;
		if (fill) context.fill(path, "evenodd");
		context.globalAlpha = 1;
		context.stroke(path);
	}
}
