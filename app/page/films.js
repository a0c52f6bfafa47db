// The list of films: opened, asked for two at a time, a few kept in full.

import { count, make, put, say, ui } from "./dom.js";
import { Film } from "./film.js";
import { loadPainting } from "./instances.js";
import { askForFilm, askForModel } from "./service.js";
import { changed, state } from "./state.js";

const AT_ONCE = 2; // requests
const KEPT = 8; // films with their pixels, some 25 MB each
/** @type {Map<Film, Row>} */
const rows = new Map();
/** @type {Film[]} last looked at first */
let recent = [];

/** @param {File[]} files films; or a zip, or a JSON file with its images: a data set */
export async function open(files) {
	const isSet = files.some(({ name }) => /\.(zip|json)$/i.test(name));
	const films = isSet
		? await import("./dataset.js").then((it) => it.openDataSet(files)).catch(({ message }) => say(`This data set cannot be opened: ${message}`))
		: files.map((file) => new Film(file, file.name));
	if (!films?.length) return;
	state.films.push(...films);
	say(`${count(films.length, "film")} opened.`);
	if (state.film) work();
	else choose(films[0]);
}

/** @param {Film} film */
export function choose(film) {
	if (film.state === "refused") film.state = "waiting"; // perhaps now
	Object.assign(state, { film, chosen: undefined, hovered: undefined, adding: false });
	recent = [film, ...recent.filter((one) => one !== film)];
	if (film.facts) say(`${count(film.shown.length, "instance")}.`);
	changed("film");
	work();
}

/** The model that answers, with classes that are added to those known. */
export async function meetModel() {
	const model = state.model = await askForModel();
	state.classes = [...new Set([...model.class_names, ...state.classes])];
}

/** @param {number} step */
export function move(step) {
	const next = state.films[state.films.findIndex((film) => film === state.film) + step];
	if (next) choose(next);
	else say(step > 0 ? "This is the last film." : "This is the first film.");
}

/** Asks for the film that is looked at, then for those that wait; frames wait to be looked at. */
function work() {
	const { film: current, films, model } = state;
	const wants = (/** @type {Film} */ film) =>
		film === current ? !film.pixels && /waiting|ready/.test(film.state) : film.state === "waiting" && !film.frame;
	const next = current && wants(current) ? current : films.find(wants);
	if (model && next && films.filter((film) => film.state === "asking").length < AT_ONCE) {
		ask(next, model);
		work();
	} else changed();
}

/** @param {Film} film @param {Model} model */
async function ask(film, model) {
	const known = film.facts; // it is asked for its pixels alone
	film.state = "asking";
	film.problem = "asking the model";
	try {
		const { sha256 } = await askForFilm(film, model, (why) => { film.problem = why; tell(film); });
		if (sha256 !== state.model?.sha256) await meetModel(); // reloaded meanwhile
		// What corrects and saves is here before the first stroke, and before the service may be gone.
		const [{ accept }] = await Promise.all([import("./accept.js"), loadPainting(), import("./edits.js"), import("./dataset.js"), import("./dicom.js")]);
		accept(film);
		film.state = "ready";
	} catch (error) {
		Object.assign(film, { state: "refused", facts: known, pixels: null, problem: /** @type {Error} */ (error).message });
	}
	forget();
	tell(film);
	if (film === state.film) say(film.facts ? `${count(film.shown.length, "instance")}.` : film.problem);
	work();
}

/** @param {Film} film */
const tell = (film) => changed(film === state.film ? "film" : "all");

/** Pixels of films long not looked at are asked for again. */
function forget() {
	const order = [...recent, ...state.films.filter((film) => !recent.includes(film))];
	for (const film of order.filter(({ pixels }) => pixels).slice(KEPT)) film.pixels = null;
}

/** @param {Film} film */
function told({ state: now, problem, frame, facts, shown, undoable, reviewed }) {
	if (now === "refused") return `! ${problem}`;
	if (!facts) return now === "asking" ? `… ${problem}` : frame ? "· opened when it is chosen" : "· waiting";
	const words = [count(shown.length, "instance"), undoable && "corrected", reviewed && "reviewed"];
	return `${reviewed ? "✓" : undoable ? "*" : "○"} ${words.filter(Boolean).join(", ")}`;
}

export function drawFilms() {
	const { film: current, films } = state;
	films.forEach((film, at) => {
		let row = rows.get(film);
		if (!row) {
			const name = make("bdi", { textContent: film.name }), note = make("small");
			const choose_ = make("button", { onclick: () => choose(film) }, name, note);
			row = { item: make("li", {}, choose_), choose: choose_, name, note };
			rows.set(film, row);
		}
		row.note.textContent = told(film);
		row.item.className = film.state;
		row.choose.ariaCurrent = film === current ? "true" : null;
		put(ui.filmList, row.item, at);
	});
	const reviewed = films.filter((film) => film.reviewed).length;
	ui.filmTitle.textContent = films.length ? `Films, ${reviewed} of ${films.length} reviewed` : "Films";
	ui.about.hidden = !current?.facts;
	ui.reviewed.checked = current?.reviewed ?? false;
	if (document.activeElement !== ui.patient) ui.patient.value = current?.patient ?? "";
	ui.save.disabled = !films.some(({ facts }) => facts);
	ui.dicom.disabled = !current?.facts;
}

/** @param {boolean} reviewed */
export function review(reviewed) {
	if (state.film?.facts && state.film.reviewed !== reviewed) Object.assign(state.film, { reviewed, unsaved: true });
	changed();
}

ui.reviewed.onchange = () => review(ui.reviewed.checked);
ui.patient.oninput = () => {
	if (state.film) Object.assign(state.film, { patient: ui.patient.value.trim(), unsaved: true });
};
