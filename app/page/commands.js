// What buttons and keys do.

import { make, say, ui } from "./dom.js";
import { move, review } from "./films.js";
import { chooseInstance, chooseTool } from "./instances.js";
import { changed, state } from "./state.js";

/** @type {Listen} */
export function listen(view, preset) {
	/** What edits is loaded when it is needed. @type {EditWith} */
	const edit = (act) => async () => act(await import("./edits.js"));
	const tool = (/** @type {Tool} */ name) => () => chooseTool(name);
	const resize = (/** @type {number} */ radius) => () => { state.radius = Math.min(200, Math.max(1, radius)); changed(); };
	/** @type {Commands} by the names in the document */
	const commands = {
		open: ["O", "open films", () => ui.files.click()],
		save: ["Ctrl+S", "save the data set", async () => (await import("./dataset.js")).save()],
		dicom: ["D", "save the film as DICOM SEG", async () => (await import("./dicom.js")).saveSegmentation()],
		next: ["Enter", "reviewed, next film", () => { review(true); move(1); }],
		later: ["PageDown", "next film", () => move(1)],
		earlier: ["PageUp", "previous film", () => move(-1)],
		other: ["N", "next instance", edit((on) => on.moveInstance(1))],
		previous: ["Shift+N", "previous instance", edit((on) => on.moveInstance(-1))],
		window: ["W", "drag: contrast across, brightness down", tool("window")],
		pan: ["P", "drag, or arrows: move the film", tool("pan")],
		brush: ["B", "brush", tool("brush")],
		eraser: ["E", "eraser", tool("eraser")],
		smaller: ["[", "smaller brush", () => resize(Math.floor(state.radius / 1.25))()],
		larger: ["]", "larger brush", () => resize(Math.ceil(state.radius * 1.25))()],
		add: ["A", "add an instance", edit((on) => on.add())],
		holes: ["F", "fill holes", edit((on) => on.remake("fillHoles", "Holes filled"))],
		largest: ["L", "keep the largest piece", edit((on) => on.remake("keepLargest", "Largest piece kept"))],
		delete: ["Delete", "delete the instance", edit((on) => on.remove())],
		undo: ["Ctrl+Z", "undo", edit((on) => on.step(true))],
		redo: ["Ctrl+Y", "redo", edit((on) => on.step(false))],
		invert: ["I", "invert", () => { if (state.film) state.film.invert = !state.film.invert; changed(); }],
		outlines: ["H", "outlines, hidden or shown", () => { state.outlines = !state.outlines; changed(); }],
		seen: ["1", "as the model saw it", () => preset("seen")],
		full: ["2", "full range", () => preset("full")],
		dark: ["3", "dark regions", () => preset("dark")],
		bright: ["4", "bright regions", () => preset("bright")],
		in: ["+", "zoom in", () => view.zoom(1.25)],
		out: ["-", "zoom out", () => view.zoom(0.8)],
		fit: ["=", "fit", () => view.fit()],
		whole: ["0", "1:1", () => view.zoom(0)],
		reset: ["Space", "fit, as the model saw it", () => { view.fit(); preset("seen"); }],
		none: ["Escape", "give up; choose nothing", () => { view.giveUp(); chooseInstance(undefined); }],
		help: ["?", "this help", () => ui.help.showModal()],
	};
	for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-do]"))) {
		button.onclick = () => run(commands[button.dataset.do ?? ""][2]);
	}
	for (const [key, words] of Object.values(commands)) {
		ui.keys.append(make("tr", {}, make("td", {}, make("kbd", { textContent: key })), make("td", { textContent: words })));
	}
	const byKey = new Map(Object.values(commands).map(([key, , act]) => [key, act]));
	/** @type {Map<string, Point>} */
	const arrows = new Map([["ArrowLeft", [50, 0]], ["ArrowRight", [-50, 0]], ["ArrowUp", [0, 50]], ["ArrowDown", [0, -50]]]);

	document.addEventListener("keydown", (event) => {
		const key = nameOf(event), arrow = event.target === ui.film && arrows.get(key), act = byKey.get(key);
		if (document.querySelector("dialog[open]") || !(arrow || act) || isOthers(event, key)) return;
		event.preventDefault();
		if (event.repeat && /Enter|S$|^D$/.test(key)) return; // a key held down reviews, or saves, one film
		if (arrow) view.pan(...arrow);
		else if (act) run(act);
	});
}

/** @param {() => unknown} act */
async function run(act) {
	try {
		await act();
	} catch (error) {
		say(/** @type {Error} */ (error).message);
	}
}

/** @param {KeyboardEvent} event */
function nameOf({ key, ctrlKey, metaKey, shiftKey }) {
	const name = key === " " ? "Space" : key.length === 1 ? key.toUpperCase() : key;
	if (ctrlKey || metaKey) return shiftKey && name === "Z" ? "Ctrl+Y" : `Ctrl+${name}`;
	return shiftKey && name === "N" ? "Shift+N" : name;
}

/** Whether a key belongs to the element that has the focus. @type {IsOthers} */
function isOthers({ target, altKey }, key) {
	if (altKey) return true;
	if (key.startsWith("Ctrl+")) return key !== "Ctrl+S" && target instanceof HTMLInputElement && /text|number/.test(target.type);
	if (key.length === 1 && !ui.letters.checked) return true;
	if (target instanceof HTMLSelectElement) return true;
	if (target instanceof HTMLInputElement) return !/checkbox|range/.test(target.type) || /Arrow|Page|Space/.test(key);
	return /Space|Enter/.test(key) && /** @type {Element} */ (target).matches("button, a");
}
