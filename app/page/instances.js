// The list of instances, and what is done to the chosen one.

import { make, put, press, ui } from "./dom.js";
import { COLOURS, FEW } from "./overlay.js";
import { areaOf, contains } from "./runs.js";
import { changed, chosen, drawn, shown, state } from "./state.js";

/** @type {Map<number, InstanceRow>} */
const rows = new Map();
/** Loaded with the first film, so that the first stroke finds it. @type {typeof import("./painting.js") | undefined} */
export let painting;

/** By its place among few, else by its class. @param {Instance} one */
export function colourOf({ id, label }) {
	const all = shown(), at = all.length > FEW ? state.classes.indexOf(label) : all.findIndex((it) => it.id === id);
	return COLOURS[(at < 0 ? all.length : at) % COLOURS.length];
}

/** @param {number | undefined} id */
export function chooseInstance(id) {
	Object.assign(state, { chosen: id, adding: false });
	changed();
	// In one column the film would be scrolled away from under the finger.
	if (id && document.documentElement.scrollHeight <= innerHeight) rows.get(id)?.item.scrollIntoView({ block: "nearest" });
}

export const loadPainting = async () => { painting ??= await import("./painting.js"); };

/** @param {Tool} tool */
export function chooseTool(tool) {
	state.tool = tool;
	changed();
}

/** The instance at a point: the chosen one, or else the smallest. @param {Point} point */
export function under([x, y]) {
	const height = state.film?.facts?.height ?? 0, one = chosen();
	const found = drawn().filter(({ runs }) => contains(runs, height, x, y));
	return found.find((it) => it === one) ?? found.sort((a, b) => areaOf(a.runs) - areaOf(b.runs))[0];
}

/** @param {Instance} one */
export function notes({ score, doubt, edited, ...one }) {
	const origin = !edited ? doubt !== null && `doubt ${doubt.toFixed(2)}` : score === null ? "drawn" : "corrected";
	return [score?.toFixed(2), state.film?.area({ score, doubt, edited, ...one }), origin].filter(Boolean).join(" · ");
}

export function drawInstanceList() {
	const { film, classes } = state, all = shown(), one = chosen(), known = new Set(all.map(({ id }) => id));
	for (const [id, { item }] of rows) if (!known.has(id) && rows.delete(id)) item.remove();
	all.forEach(drawRow);
	drawGroups(all);
	ui.edits.hidden = !film?.facts;
	const of = film && film.instances.length > all.length ? ` of ${film.instances.length}` : "";
	ui.instanceTitle.textContent = film?.facts ? `Instances, ${all.length}${of}` : "Instances";
	ui.score.value = String(film?.threshold);
	ui.scoreValue.textContent = film?.threshold.toFixed(2) ?? "";
	if (ui.class.options.length !== classes.length) {
		ui.class.replaceChildren(...classes.map((name) => make("option", { value: name, textContent: name })));
	}
	if (one) ui.class.value = one.label;
	for (const button of [ui.holes, ui.largest, ui.delete]) button.disabled = !one;
	ui.areas.textContent = `Score · area${film?.spacing ? `, by pixel spacing (${film.spacing.source})` : ""} · doubt of the outline: look at the largest first`;
}

/** @type {DrawRow} */
function drawRow(one, at) {
	const { id, label } = one;
	let row = rows.get(id);
	if (!row) {
		const box = make("input", { type: "checkbox", onchange: () => show([id], box.checked) });
		const number = make("span", { className: "number" }), name = make("bdi"), note = make("small");
		const choose = make("button", { onclick: () => chooseInstance(state.chosen === id ? undefined : id) }, name, note);
		const hover = (/** @type {number | undefined} */ hovered) => () => { state.hovered = hovered; changed(); };
		const item = make("li", { onpointerenter: hover(id), onpointerleave: hover(undefined) }, box, number, choose);
		row = { item, box, number, name, note, choose };
		rows.set(id, row);
	}
	row.box.checked = !state.hidden.has(id);
	row.box.ariaLabel = `Show ${at + 1}, ${label}`;
	row.number.textContent = String(at + 1);
	row.number.style.background = colourOf(one);
	row.name.textContent = label;
	row.note.textContent = notes(one);
	row.item.className = id === state.hovered ? "hovered" : "";
	press(row.choose, id === state.chosen);
	put(ui.instanceList, row.item, at);
}

/** Classes of many instances are shown and hidden together. @param {Instance[]} all */
function drawGroups(all) {
	const names = all.length > FEW ? [...new Set(all.map(({ label }) => label))] : [];
	names.forEach((name, at) => {
		const of = all.filter(({ label }) => label === name).map(({ id }) => id);
		const button = ui.groups.children[at] ?? ui.groups.appendChild(make("button", {}, make("bdi")));
		const shows = of.some((id) => !state.hidden.has(id));
		/** @type {HTMLButtonElement} */ (button).onclick = () => show(of, !shows);
		/** @type {Element} */ (button.firstChild).textContent = `${name} ${of.length}`;
		press(button, shows);
	});
	while (ui.groups.children.length > names.length) ui.groups.lastChild?.remove();
}

/** @type {Show} */
function show(ids, shows) {
	for (const id of ids) shows ? state.hidden.delete(id) : state.hidden.add(id);
	changed();
}

ui.score.oninput = () => {
	state.film?.edit("score threshold", { threshold: ui.score.valueAsNumber });
	changed();
};
ui.class.onchange = () => {
	const one = chosen(), label = ui.class.value;
	if (one) state.film?.change(`relabelled ${one.label} as ${label}`, one, { label });
	changed();
};
