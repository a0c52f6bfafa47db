/** COCO data sets: written as training takes them, read as annotation tools write them. */
import { areaOf, columnsOf, decodeCounts, toRuns } from "./runs.js";
import { fromPolygons } from "./regions.js";

/**
 * @typedef {{id: number, name: string}} Category
 * @typedef {{categoryId: number, runs: Uint32Array}} Instance
 * @typedef {{name: string, height: number, width: number, patient?: string,
 *   spacing?: number[] | null, reviewed?: boolean, instances: Instance[]}} Film the file's path;
 *   spacing: mm between rows, and between columns
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
	const images = films.map(({ name, height, width, patient, spacing, reviewed }, i) => ({
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

// What hides or turns text around; joiners shape letters of some scripts.
const HIDDEN = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{DI}\u2800]|[\0-\u05ff][\u200c\u200d]/u;

/** A class name without what training takes for a slip: case, and blanks. @param {string} name */
export const fold = (name) => name.replace(/\s/g, "").toLowerCase();

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
		// Python writes what JSON has not.
		data = JSON.parse(/\b(NaN|Infinity)\b/.test(text) ? text.replace(/([:,[]\s*)-?(NaN|Infinity)\b/g, "$1null") : text);
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
		check(!HIDDEN.test(name), `Category ${id}: its name has a character that is not shown.`);
	}
	// The background is no class, nor is the root that Roboflow writes.
	const unused = [...classes].filter(([id, { name }]) => !used.has(id) &&
		(/^[_ ]*background[_ ]*$/i.test(name) ||
			[...classes].some(([other, entry]) => other !== id && entry.supercategory === name)));
	if (unused.length < classes.size) for (const [id] of unused) classes.delete(id);
	const spellings = new Map();
	for (const { name } of classes.values()) {
		const other = spellings.get(fold(name));
		check(other === undefined, `The classes '${other}' and '${name}' have the same letters: rename one.`);
		spellings.set(fold(name), name);
	}
	for (const [id, entry] of byId("image", data.images)) {
		const height = whole(entry.height), width = whole(entry.width), mm = entry.pixel_spacing_mm;
		check(typeof entry.file_name === "string", `Image ${id} has no 'file_name'.`);
		check([height, width].every((side) => side > 0 && side < 65536) && height * width <= 2 ** 30,
			`Image ${id} has no valid 'height' and 'width'.`);
		const isSpacing = Array.isArray(mm) && mm.length === 2 &&
			mm.every((side) => side > 0 && Number.isFinite(side));
		check(mm == null || isSpacing, `Image ${id}: 'pixel_spacing_mm' must be two lengths above 0.`);
		const who = [entry.patientid, entry.patient_id].find((one) => (one ?? "") !== "") ?? "";
		check(typeof who === "string" || Number.isSafeInteger(who), `Image ${id}: its patient must be a text.`);
		// Other tools number a video's images, each a file of its own, by `frame` alone.
		const isFrame = entry.frame > 0 && entry.frame < entry.frames && Number.isInteger(entry.frame);
		/** @type {(Instance & {category: string})[]} */
		const instances = [];
		images.set(id, { name: String(entry.file_name), height, width, patient: String(who), instances,
			frame: isFrame ? Number(entry.frame) : 0, reviewed: entry.reviewed === true,
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
			const isCrowd = typeof entry.iscrowd === "boolean" ? Number(entry.iscrowd) : whole(entry.iscrowd ?? 0);
			check(isCrowd === 0 || isCrowd === 1, "Its 'iscrowd' must be 0 or 1.");
			if (!isCrowd) runs = readOutline(entry.segmentation, image);
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

// Folders that tell nothing of their films, as training's reader has them.
const PLAIN = /^(images?|imgs?|films|data|default|jpegimages|imagestr)$/;

/**
 * Folders and name of a path of any system or a URL, as Label Studio's `/data/?d=a%2Fb`, and
 * whether it begins at a root, which may be another machine's.
 * @param {string} path
 */
function partsOf(path) {
	let text = path.normalize();
	try {
		text = decodeURIComponent(text);
	} catch {} // a plain % in it
	const isRooted = /^([/\\]|[a-z]:|[a-z][a-z0-9+.-]*:\/\/|.*\?d=|\.\.)/i.test(text);
	text = text.replace(/^.*\?d=/, "").replace(/^(.*:\/\/[^?]*)\?.*$/, "$1");
	const parts = text.split(/[/\\]/).filter((part) => part && !/^\.\.?$/.test(part));
	return { path, parts, isRooted, folded: parts.map((part) => part.toLowerCase()) };
}

/**
 * The file of each image: that of its path; else the one whose path shares most of its end with it,
 * where the rest are folders that tell nothing, the annotation file's, or another machine's. So no
 * film stands for another patient's, nor a mask for its film.
 * @param {string[]} names of images @param {string[]} paths of files
 */
export function matchFiles(names, paths) {
	const all = paths.map(partsOf), found = new Map(), claims = new Map();
	const json = all.find(({ path }) => /\.json$/i.test(path)), home = json?.folded.slice(0, -1) ?? [];
	const above = home.slice(0, home.at(-1) === "annotations" ? -1 : undefined);
	/** @type {Map<string | undefined, typeof all>} */
	const byName = new Map();
	for (const file of all) {
		const last = file.folded.at(-1);
		if (!byName.get(last)?.push(file)) byName.set(last, [file]);
	}
	/** @param {string[]} folders */
	const isPlain = (folders) => folders.every((folder) => PLAIN.test(folder) || home.includes(folder));
	for (const name of new Set(names)) {
		const { folded, isRooted } = partsOf(name), size = folded.length;
		const same = (byName.get(folded.at(-1)) ?? []).map((file) => {
			let shared = 1;
			while (shared < size && folded.at(-1 - shared) === file.folded.at(-1 - shared)) shared++;
			const rest = file.folded.slice(0, -shared), mine = folded.slice(0, -shared);
			// Files that are chosen one by one have no folders.
			const fits = isPlain(rest) && (isRooted || file.parts.length === 1 || isPlain(mine));
			const exact = rest.join() === (mine.length ? "" : above.join());
			return { ...file, shared, fits, exact };
		});
		const most = Math.max(...same.map(({ shared }) => shared));
		const near = same.filter(({ shared, fits }) => fits && shared === most);
		const one = near.find(({ exact }) => exact) ?? (near.length === 1 ? near[0] : null);
		if (one) {
			found.set(name, one);
			claims.set(one.path, (claims.get(one.path) ?? 0) + 1);
		}
	}
	return names.map((name) => {
		const file = found.get(name);
		const isHis = file?.exact || claims.get(file?.path) === 1;
		return /** @type {string | undefined} */ (isHis ? file.path : undefined);
	});
}
