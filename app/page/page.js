// The page: what is drawn when, and how greyscale is chosen.

import { listen } from "./commands.js";
import { press, say, ui } from "./dom.js";
import { choose, drawFilms, meetModel, open } from "./films.js";
import { chooseInstance, colourOf, drawInstanceList, painting, under } from "./instances.js";
import { drawInstances, FEW } from "./overlay.js";
import { changed, drawn, shown, state } from "./state.js";
import { View } from "./view.js";

const canvases = [ui.pixels, ui.masks, ui.film];
const [pixels, masks, brush] = canvases.map((one) => /** @type {CanvasRenderingContext2D} */ (one.getContext("2d")));
const view = new View({
	tool: () => state.tool,
	radius: () => state.radius,
	window: dragWindow,
	begin: (...from) => painting?.begin(...from) ?? false,
	end(stroke) { painting?.end(stroke); changed(); },
	hover(point) {
		const id = under(point)?.id;
		if (id !== state.hovered) { state.hovered = id; changed(); }
		tellFacts(point);
	},
	pick: (point) => chooseInstance(under(point)?.id),
}, schedule);

const numbers = /** @type {const} */ ([[ui.center, "center"], [ui.spread, "width"]]);
let frame = 0, settling = 0, drawnAt = "";
/** @type {[Uint32Array, string] | null} */
let colours = null;

/** What lies on the film is to be drawn, once a frame. */
function schedule() {
	frame ||= requestAnimationFrame(draw);
}

addEventListener("changed-film", drawFilm);
addEventListener("changed-all", drawAll);

function drawAll() {
	drawFilms();
	drawInstanceList();
	drawTools();
	drawnAt = "";
	schedule();
}

function draw() {
	frame = 0;
	const { film } = state, { place } = view;
	if (!film?.pixels) {
		for (const { canvas } of [pixels, masks, brush]) canvas.width += 0; // clears it
		return;
	}
	const shade = JSON.stringify([film.facts?.sha256, film.frame, film.window, film.invert]);
	if (colours?.[1] !== shade) colours = [film.pixels.colours(film.window, film.invert), shade];
	film.pixels.draw(pixels, place, colours[0], view.dragging);
	const at = JSON.stringify([place, ui.film.width, ui.film.height]);
	if (at !== drawnAt) drawMasks(film.pixels);
	drawnAt = at;
	film.place = view.fitted ? null : { ...place };
	const paints = state.tool === "brush" || state.tool === "eraser";
	painting?.drawBrush(brush, place, { at: paints ? view.at : null, radius: state.radius, stroke: view.stroke });
	clearTimeout(settling);
	if (view.dragging) settling = setTimeout(() => { view.dragging = false; schedule(); }, 200);
}

/** @param {Size} size */
function drawMasks(size) {
	const few = shown().length <= FEW;
	drawInstances(masks, view.place, size, state.outlines ? drawn() : [], (one) => {
		const strong = one.id === state.chosen || one.id === state.hovered;
		return { colour: colourOf(one), strong, fill: few || strong ? state.fill : 0 };
	});
}

/** Another film, or what is known of it now. */
function drawFilm() {
	const { film } = state, strange = film?.facts?.out_of_distribution;
	view.giveUp();
	view.film = film?.pixels ?? null;
	if (film?.pixels && film.place) Object.assign(view, { place: { ...film.place }, fitted: false });
	else view.fit();
	ui.empty.hidden = state.films.length > 0;
	ui.refusal.hidden = !film || film.pixels !== null;
	ui.refusal.textContent = film?.problem ?? "";
	ui.warning.textContent = [film?.note, strange?.flagged &&
		`The model does not know films like this one (${strange.score.toFixed(2)} times its limit): do not rely on its instances.`].filter(Boolean).join(" ");
	ui.warning.hidden = !ui.warning.textContent;
	ui.film.ariaLabel = film ? `Film ${film.name}` : "No film";
	tellFacts([-1, -1]);
	drawAll();
}

/** @param {Point} point under the pointer */
function tellFacts(point) {
	const { film } = state, facts = film?.facts, spacing = film?.spacing, value = film?.pixels?.at(point);
	ui.facts.textContent = !facts ? "" : [
		`${facts.width} × ${facts.height}`,
		`grey: ${facts.grey.replace("_", " ")}`,
		spacing && `${spacing.row_mm} mm (${spacing.source})`,
		value !== undefined && !Number.isNaN(value) && `x ${Math.floor(point[0])}, y ${Math.floor(point[1])}: ${+value.toPrecision(6)}`,
	].filter(Boolean).join(" · ");
}

function drawTools() {
	const { film, tool, radius, outlines } = state, now = windowNow();
	ui.model.textContent = state.model && `${state.model.name} ${state.model.version}`;
	ui.tools.hidden = !film?.pixels;
	for (const button of [ui.window, ui.pan, ui.brush, ui.eraser]) press(button, button.id === tool);
	Object.assign(ui.undo, { disabled: !film?.undoable, title: film?.undoable ?? "" });
	Object.assign(ui.redo, { disabled: !film?.redoable, title: film?.redoable ?? "" });
	for (const [field, key] of numbers) {
		if (document.activeElement !== field) field.value = String(+(now?.[key] ?? 0).toPrecision(5));
	}
	ui.preset.value = film?.preset ?? "seen";
	press(ui.invert, film?.invert ?? false);
	press(ui.outlines, outlines);
	ui.size.value = String(radius);
}

/** The window of now; where the model's grey is shown, the one that it comes from. */
function windowNow() { return state.film?.window ?? state.film?.pixels?.window; }

/** @type {SetWindow} */
function setWindow(change, name = "own") {
	const { film } = state, now = windowNow(), next = change && now && { ...now, ...change };
	if (!film?.pixels || (next && !(next.width > 0 && Number.isFinite(next.center)))) return;
	film.window = next ?? null;
	film.preset = name;
	drawTools();
	schedule();
}

/** Contrast across, brightness down, by parts of the stage. @type {Hand["window"]} */
function dragWindow(across, down) {
	const now = windowNow();
	if (now) setWindow({ center: now.center - down * now.width, width: now.width * Math.exp(2 * across) });
}

/** @param {string} name */
function preset(name) {
	const parts = { full: [0, 1], dark: [0.01, 0.5], bright: [0.5, 0.998] }[name];
	if (name === "seen" && state.film) state.film.invert = false;
	setWindow(parts ? state.film?.pixels?.between(parts[0], parts[1]) ?? null : null, name);
}

listen(view, preset);
ui.preset.onchange = () => preset(ui.preset.value);
for (const [field, key] of numbers) {
	field.onchange = () => { setWindow({ [key]: field.valueAsNumber }); field.value = String(windowNow()?.[key]); };
}
ui.size.oninput = () => { state.radius = ui.size.valueAsNumber; schedule(); };
ui.fill.oninput = () => { state.fill = ui.fill.valueAsNumber / 100; changed(); };
ui.files.onchange = () => {
	open([...(ui.files.files ?? [])]);
	ui.files.value = "";
};

// A drop that is missed would replace the page by the film.
for (const kind of /** @type {const} */ (["dragover", "dragleave", "drop"])) {
	addEventListener(kind, (event) => {
		event.preventDefault();
		ui.stage.classList.toggle("over", kind === "dragover");
		if (kind === "drop") open([...(event.dataTransfer?.files ?? [])]);
	});
}
addEventListener("beforeunload", (event) => {
	if (state.films.some(({ unsaved }) => unsaved)) event.preventDefault();
});

new ResizeObserver(() => {
	const { width, height } = ui.stage.getBoundingClientRect(), [across, down] = [ui.film.width, ui.film.height];
	for (const one of canvases) Object.assign(one, { width: width * devicePixelRatio, height: height * devicePixelRatio });
	if (state.film?.place) view.pan((ui.film.width - across) / 2, (ui.film.height - down) / 2);
	else view.fit();
	drawAll();
}).observe(ui.stage);

meetModel().then(() => (state.film ? choose(state.film) : drawTools()), (error) => say(`${error.message} Reload the page to try again.`));
