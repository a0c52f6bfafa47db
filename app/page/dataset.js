// A COCO data set of what was corrected; and one that is gone on with.

import { matchFiles, readCoco, writeCoco } from "./coco.js";
import { count, make, say, ui } from "./dom.js";
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
	const texts = [...entries].filter(([name]) => /(^|\/)(?!\.)[^/]+\.json$/i.test(name));
	if (texts.length !== 1) throw new Error(`it has ${texts.length} JSON files, and should have one.`);
	const { images, categories, crowds, empty } = readCoco(await texts[0][1].text());
	const paths = matchFiles(images.map(({ name }) => name), [...entries.keys()]);
	const films = images.flatMap(({ name, height, width, patient, reviewed, spacing: mm, instances }, at) => {
		const file = entries.get(paths[at] ?? "");
		if (!file) return [];
		const spacing = mm && { row_mm: mm[0], column_mm: mm[1], source: "data set" };
		const film = Object.assign(new Film(file, name.split("/").at(-1) ?? ""), { patient, reviewed, spacing, size: `${height},${width}` });
		const drawn = instances.map((/** @type {{category: string, runs: Runs}} */ { category: label, runs }) => newInstance({ label, runs, score: null, doubt: null, edited: true }));
		film.begin({ instances: drawn, threshold: state.model?.score_threshold ?? 0 });
		return [film];
	});
	if (!films.length) throw new Error("none of its images is there: open them together with the JSON file.");
	for (const { name } of categories) if (!state.classes.includes(name)) state.classes.push(name);
	const left = [[crowds, "crowd region"], [empty, "empty mask"], [images.length - films.length, "image without its file"]];
	const words = left.filter(([number]) => number).map(([number, thing]) => count(Number(number), String(thing)));
	if (words.length) films[0].note = `Left out of this data set: ${words.join(", ")}.`;
	return films;
}

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
	try {
		await write(films);
	} catch (error) {
		for (const film of films) film.unsaved = true;
		throw error;
	}
	const left = state.films.length - films.length; // not reviewed, refused, or not asked for yet
	say(`${count(films.length, "film")} saved in corrected.zip${left ? `; ${count(left, "other film")} of the list not in it` : ""}.`);
}

/** @param {Film[]} films */
async function write(films) {
	/** @type {[string, Blob][]} */
	const entries = [];
	const images = [];
	for (const film of films) {
		const wasForgotten = !film.pixels;
		if (wasForgotten && state.model) await askForFilm(film, state.model, say);
		const { facts, pixels, patient, spacing, shown, reviewed } = film;
		if (!facts || !pixels) continue;
		if (wasForgotten && film !== state.film) film.pixels = null; // or all films would be held at once
		const name = `images/${facts.sha256.slice(0, 16)}${film.frame ? `-${film.frame}` : ""}.png`;
		entries.push([name, await writePng(pixels.grey(), facts)]);
		const mm = spacing && [spacing.row_mm, spacing.column_mm];
		film.unsaved = false; // but what is edited from here on
		const instances = shown.map(({ label, runs }) => ({ categoryId: idOf(label), runs }));
		images.push({ name, height: facts.height, width: facts.width, patient, reviewed, spacing: mm, instances });
	}
	const categories = state.classes.map((name) => ({ id: idOf(name), name }));
	const coco = JSON.stringify(writeCoco({ films: images, categories, model: { name: state.model?.name, version: state.model?.version } }));
	entries.unshift(["annotations.json", new Blob([coco])]);
	const href = URL.createObjectURL(await writeZip(entries));
	make("a", { href, download: "corrected.zip" }).click();
	setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

/** @returns {Promise<boolean>} */
const isForAll = () => new Promise((resolve) => {
	ui.askAll.returnValue = "";
	ui.askAll.showModal();
	ui.askAll.addEventListener("close", () => resolve(ui.askAll.returnValue === "all"), { once: true });
});
