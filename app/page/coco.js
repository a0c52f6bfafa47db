/** COCO data sets: written as training takes them, read as annotation tools write them. */
import { areaOf, columnsOf, decodeCounts, toRuns } from "./runs.js";
import { fromPolygons } from "./regions.js";

/**
 * @typedef {{id: number, name: string}} Category
 * @typedef {{categoryId: number, runs: Uint32Array}} Instance
 * @typedef {{name: string, height: number, width: number, patient?: string, reviewed?: boolean,
 *   spacing?: number[] | null, instances: Instance[]}} Film the file's path; spacing: mm between
 *   rows, and between columns
 */

/** COCO's compressed form, as pycocotools writes it. @param {Uint32Array} runs */
export function encodeCounts(runs) {
	let text = "";
	for (let i = 0; i < runs.length; i++) {
		let value = runs[i] - (i > 2 ? runs[i - 2] : 0);
		for (let more = true; more; ) {
			const bits = value & 31;
			value = Math.floor(value / 32);
			more = value !== (bits & 16 ? -1 : 0);
			text += String.fromCharCode(48 + bits + (more ? 32 : 0));
		}
	}
	return text;
}

/**
 * The tight [x, y, width, height]; zeros without a pixel.
 * @param {Uint32Array} runs @param {number} height
 */
export function boxOf(runs, height) {
	const { xs, ys } = columnsOf(runs, height);
	if (!xs.length) return [0, 0, 0, 0];
	const top = ys.reduce((a, b) => Math.min(a, b)), bottom = ys.reduce((a, b) => Math.max(a, b));
	return [xs[0], top, xs[xs.length - 1] + 1 - xs[0], bottom - top];
}

/**
 * What annotations.json holds: all categories and films, but no empty mask, which training refuses.
 * @param {{films: Film[], categories: Category[], model: unknown}} data
 */
export function writeCoco({ films, categories, model }) {
	if (new Set(films.map(({ name }) => name)).size < films.length) {
		throw new Error("Two films have the same name: save one of them.");
	}
	const images = films.map(({ name, height, width, patient, reviewed, spacing }, i) => ({
		id: i + 1, file_name: name, height, width,
		...(spacing && { pixel_spacing_mm: spacing }),
		...(patient && { patient_id: patient }),
		...(reviewed && { reviewed }),
	}));
	const annotations = films
		.flatMap(({ height, width, instances }, i) => instances.map(({ categoryId, runs }) => ({
			image_id: i + 1, category_id: categoryId, iscrowd: 0,
			area: areaOf(runs), bbox: boxOf(runs, height),
			segmentation: { size: [height, width], counts: encodeCounts(runs) },
		})))
		.filter(({ area }) => area)
		.map((annotation, i) => ({ id: i + 1, ...annotation }));
	const classes = categories.map(({ id, name }) => ({ id, name }));
	return { info: { model }, categories: classes, images, annotations };
}

/** @typedef {any} Json each value of it is checked */

/** @param {unknown} fine @param {string} fault */
function check(fine, fault) {
	if (!fine) throw new Error(fault);
}

/** A whole number, also as text; else NaN. @param {Json} value */
function whole(value) {
	const number = typeof value === "string" && /^-?\d+$/.test(value) ? Number(value) : value;
	return Number.isSafeInteger(number) ? Number(number) : NaN;
}

/**
 * Reads COCO instances: run lengths in both forms, and polygons. Crowds, and masks without a pixel,
 * are left out and counted.
 * @param {string} text
 */
export function readCoco(text) {
	/** @type {Json} */
	let data;
	try {
		data = JSON.parse(text);
	} catch {
		check(false, "The annotation file is not JSON.");
	}
	for (const key of ["categories", "images", "annotations"]) {
		check(Array.isArray(data?.[key]), `The annotation file has no list '${key}': it is not COCO.`);
	}
	/** @param {string} kind @param {Json[]} entries @returns {Map<number, Json>} */
	const byId = (kind, entries) => {
		const found = new Map(entries.map((entry) => [whole(entry?.id), entry]));
		check(!found.has(NaN) && found.size === entries.length,
			`Each ${kind} needs an 'id' of its own, a whole number.`);
		return found;
	};
	const classes = byId("category", data.categories), images = new Map();
	/** @type {Json[]} */
	const entries = data.annotations;
	const used = new Set(entries.map((entry) => whole(entry?.category_id)));
	for (const [id, { name }] of classes) {
		check(typeof name === "string" && name.trim(), `Category ${id} has no name.`);
	}
	// The background is no class, nor is the root that Roboflow writes.
	const unused = [...classes].filter(([id, { name }]) => !used.has(id) &&
		(/^[_ ]*background[_ ]*$/i.test(name) ||
			[...classes].some(([other, entry]) => other !== id && entry.supercategory === name)));
	if (unused.length < classes.size) for (const [id] of unused) classes.delete(id);
	for (const [id, entry] of byId("image", data.images)) {
		const height = whole(entry.height), width = whole(entry.width), mm = entry.pixel_spacing_mm;
		check(typeof entry.file_name === "string", `Image ${id} has no 'file_name'.`);
		check([height, width].every((side) => side > 0 && side < 65536) && height * width <= 2 ** 30,
			`Image ${id} has no valid 'height' and 'width'.`);
		const isSpacing = Array.isArray(mm) && mm.length === 2 &&
			mm.every((side) => side > 0 && Number.isFinite(side));
		const patient = String(entry.patientid || entry.patient_id || "");
		/** @type {(Instance & {category: string})[]} */
		const instances = [];
		const reviewed = entry.reviewed === true;
		images.set(id, { name: String(entry.file_name), height, width, patient, reviewed, instances,
			spacing: isSpacing ? mm : null });
	}
	let crowds = 0, empty = 0, size = 0;
	for (const [i, entry] of entries.entries()) {
		const name = `Annotation ${whole(entry?.id) || `number ${i + 1}`}`;
		const image = images.get(whole(entry?.image_id)), categoryId = whole(entry?.category_id);
		check(image && classes.has(categoryId),
			`${name} is of an image or a category that is not there.`);
		/** @type {Uint32Array} */
		let runs = new Uint32Array();
		try {
			if (!Number(entry.iscrowd)) runs = readOutline(entry.segmentation, image);
		} catch (error) {
			throw new Error(`${name} cannot be read. ${/** @type {Error} */ (error).message}`);
		}
		check((size += runs.length) < 2 ** 26, "These are too many outlines to open at once.");
		const category = String(classes.get(categoryId).name);
		if (areaOf(runs)) image.instances.push({ category, categoryId, runs });
		else if (runs.length) empty++;
		else crowds++;
	}
	const categories = [...classes].map(([id, { name }]) => ({ id, name: String(name) }));
	return { images: [...images.values()], categories, crowds, empty };
}

/**
 * @param {Json} outline lists of x and y in turn or in pairs, one such list, or run lengths
 * @param {{height: number, width: number}} image
 */
function readOutline(outline, { height, width }) {
	if (Array.isArray(outline) && outline.length) {
		const isOne = typeof outline[0] === "number" || outline.every((pair) => pair?.length === 2);
		return fromPolygons((isOne ? [outline] : outline).map((ring) => [ring].flat(2)), height, width);
	}
	const { size, counts } = outline ?? {};
	check(counts, "It has no outline ('segmentation').");
	check(String(size) === `${height},${width}`, "Its mask is not of its film's size.");
	return typeof counts === "string"
		? decodeCounts(counts, height * width)
		: toRuns(Array.isArray(counts) ? counts.map(whole) : [], height * width);
}

/**
 * The file of each image: that of its path, perhaps below another folder, else the one with its
 * last part where no other image and no other file has that, so that no film stands for another's.
 * @param {string[]} names of images @param {string[]} paths of files
 */
export function matchFiles(names, paths) {
	/** @param {string[]} all */
	const byLastPart = (all) => {
		/** @type {Map<string, {path: string, plain: string}[]>} */
		const found = new Map();
		for (const path of all) {
			const plain = `/${path.normalize().replaceAll("\\", "/").replace(/^(\.?\/)+/, "")}`;
			const last = plain.slice(plain.lastIndexOf("/"));
			if (!found.get(last)?.push({ path, plain })) found.set(last, [{ path, plain }]);
		}
		return found;
	};
	const files = byLastPart(paths), matches = new Map();
	for (const [last, images] of byLastPart(names)) {
		const same = files.get(last) ?? [];
		for (const { path, plain } of images) {
			const exact = same.filter((file) => file.plain === plain);
			// Not where the end of its path is that of another image's too.
			const below = same.filter((file) => file.plain.endsWith(plain) &&
				images.filter((image) => file.plain.endsWith(image.plain)).length === 1);
			const choices = [exact, below, images.length > 1 ? [] : same];
			matches.set(path, choices.find(({ length }) => length === 1)?.[0].path);
		}
	}
	return names.map((name) => /** @type {string | undefined} */ (matches.get(name)));
}
