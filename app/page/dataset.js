// A COCO data set of what was corrected; and one that is gone on with.

import { fold, matchFiles, readCoco, writeCoco } from "./coco.js";
import { savedAs } from "./accept.js";
import { count, download, say, ui } from "./dom.js";
import { Film, newInstance } from "./film.js";
import { writePng } from "./png.js";
import { askForFilm } from "./service.js";
import { state } from "./state.js";
import { readZip, writeZip } from "./zip.js";

/** Films with a data set's instances in place of the model's. */
/** @param {File[]} files a zip, or a JSON file and its images */
export async function openDataSet(files) {
	/** @type {Map<string, Blob>} */
	const entries = new Map();
	for (const file of files) {
		if (!/\.zip$/i.test(file.name)) entries.set(file.webkitRelativePath || file.name, file);
		else for (const [name, entry] of await readZip(file)) entries.set(name, entry);
	}
	const documents = [...entries].filter(([name]) => /(^|\/)(?!\.)[^/]+\.json$/i.test(name));
	const texts = [];
	for (const [name, entry] of documents) texts.push({ name, text: await entry.text() });
	// Other JSON files are passed over, as training does.
	const isCoco = (/** @type {string} */ text) => text.includes('"images"') && text.includes('"annotations"');
	const found = texts.filter(({ text }) => texts.length === 1 || isCoco(text));
	if (found.length !== 1) throw new Error(`it has ${found.length} annotation files (JSON), and should have one.`);
	const [{ name: json, text }] = found;
	const { images, categories, crowds, empty } = readCoco(text);
	const paths = matchFiles(images.map(({ name }) => name), [json, ...[...entries.keys()].filter((name) => !/\.json$/i.test(name))]);
	const missing = paths.filter((path) => !path).length;
	const left = [crowds && count(crowds, "crowd region"), empty && count(empty, "empty mask"), missing && `${count(missing, "image")} without a file`];
	const out = left.filter(Boolean).join(", "), note = out && `Left out of this data set: ${out}.`;
	const films = images.flatMap(({ name, patient, spacing: mm, instances, frame, reviewed, height, width }, at) => {
		const file = entries.get(paths[at] ?? "");
		if (!file) return [];
		const spacing = mm && { row_mm: mm[0], column_mm: mm[1], source: "data set" };
		const film = new Film(file, name.split(/[/\\]/).at(-1) ?? "", frame);
		Object.assign(film, { patient, spacing, reviewed, note, size: { height, width } });
		if (/^images\/[0-9a-f]{16}(-\d+)?\.png$/.test(name)) film.source = name;
		const drawn = instances.map((/** @type {{category: string, runs: Runs}} */ { category, runs }) => newInstance({ label: known(category), runs, score: null, doubt: null, edited: true }));
		film.begin({ instances: drawn, threshold: state.model?.score_threshold ?? 0 });
		return [film];
	});
	if (!films.length) throw new Error("none of its images is there: open them together with the JSON file.");
	for (const { name } of categories) if (!state.classes.includes(known(name))) state.classes.push(name);
	return films;
}

/** A class as the page has it already: no name differs by case or blanks alone. @param {string} label */
const known = (label) => state.classes.find((name) => fold(name) === fold(label)) ?? label;

/** The model's own number of a class, or one behind them. @param {string} label */
function idOf(label) {
	const { class_names: names = [], category_ids: ids = [] } = state.model ?? {}, at = names.indexOf(label);
	return at < 0 ? Math.max(0, ...ids) + 1 + state.classes.indexOf(label) : ids[at];
}

/** Saves the reviewed films, or all if somebody says so. */
export async function save() {
	const answered = state.films.filter(({ facts }) => facts), reviewed = answered.filter((film) => film.reviewed);
	if (!answered.length) return;
	const films = reviewed.length || !(await isForAll()) ? reviewed : answered;
	if (!films.length) return;
	say("Saving …");
	let zip;
	try {
		zip = await pack(films);
	} catch (error) {
		for (const film of films) film.unsaved = true;
		throw error;
	}
	download(zip, "corrected.zip");
	const left = state.films.length - films.length; // not reviewed, refused, or not asked for yet
	say(`${count(films.length, "film")} saved in corrected.zip${left ? `; ${count(left, "other film")} of the list not in it` : ""}.`);
}

/** The zip file of a data set. @param {Film[]} films that are saved with it */
async function pack(films) {
	/** @type {[string, Blob][]} */
	const entries = [];
	const images = [];
	for (const film of films) {
		const wasForgotten = !film.pixels;
		if (wasForgotten && state.model) await askForFilm(film, state.model, say);
		const { facts, pixels, patient, reviewed, spacing } = film, name = savedAs(film);
		if (wasForgotten && film !== state.film) film.pixels = null; // or all films would be held at once
		if (!facts || !pixels) throw new Error(`${film.name} has not been read again: choose it, then save.`);
		const instances = film.shown.map(({ label, runs }) => ({ categoryId: idOf(label), runs }));
		film.unsaved = false; // what is drawn from now on is not in the file
		const mm = spacing && [spacing.row_mm, spacing.column_mm];
		images.push({ name, height: facts.height, width: facts.width, patient, reviewed, spacing: mm, instances });
		entries.push([name, await writePng(pixels.grey(), facts)]);
	}
	const categories = state.classes.map((name) => ({ id: idOf(name), name }));
	const coco = JSON.stringify(writeCoco({ films: images, categories, model: { name: state.model?.name, version: state.model?.version } }));
	return writeZip([["annotations.json", new Blob([coco])], ...entries]);
}

/** @returns {Promise<boolean>} */
const isForAll = () => new Promise((resolve) => {
	ui.askAll.returnValue = "";
	ui.askAll.showModal();
	ui.askAll.addEventListener("close", () => resolve(ui.askAll.returnValue === "all"), { once: true });
});
