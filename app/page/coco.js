/** COCO data sets: written as training takes them, read as annotation tools write them. */
import { areaOf, boxOf, checkSum, decodeCounts, encodeCounts } from "./runs.js";
import { fromPolygons } from "./regions.js";

/**
 * @typedef {{id: number, name: string}} Category
 * @typedef {{categoryId: number, runs: Uint32Array}} Instance
 * @typedef {{name: string, height: number, width: number, patient?: string,
 *   spacing?: number[] | null, instances: Instance[]}} Film name: of its file, with folders;
 *   spacing: in mm between rows and between columns
 */

/**
 * The content of annotations.json: all films, those without instances too, and all categories.
 * Empty masks are left out, which training refuses.
 * @param {{films: Film[], categories: Category[], model: unknown}} data
 */
export function writeCoco({ films, categories, model }) {
  const images = films.map(({ name, height, width, patient, spacing }, i) => ({
    id: i + 1,
    file_name: name,
    height,
    width,
    ...(spacing && { pixel_spacing_mm: spacing }),
    ...(patient && { patient_id: patient }),
  }));
  if (new Set(images.map((image) => image.file_name)).size < images.length) {
    throw new Error("Two films have the same name: save one of them.");
  }
  const annotations = films.flatMap(({ height, width, instances }, i) =>
    instances
      .filter(({ runs }) => areaOf(runs))
      .map(({ categoryId, runs }) => ({
        image_id: i + 1,
        category_id: categoryId,
        iscrowd: 0,
        area: areaOf(runs),
        bbox: boxOf(runs, height),
        segmentation: { size: [height, width], counts: encodeCounts(runs) },
      })),
  );
  return {
    info: { model },
    categories: categories.map(({ id, name }) => ({ id, name })),
    images,
    annotations: annotations.map((annotation, i) => ({ id: i + 1, ...annotation })),
  };
}

/**
 * Reads a COCO file of instances: compressed and plain run lengths, and polygons.
 * @param {string} text
 * @throws {Error} with a sentence, where it is none
 */
export function readCoco(text) {
  /** @type {any} what JSON holds, each value of which is checked */
  let data;
  try {
    data = JSON.parse(text);
  } catch {
    throw new Error("The annotation file is not JSON.");
  }
  for (const key of ["categories", "images", "annotations"]) {
    if (!Array.isArray(data?.[key])) {
      throw new Error(`The annotation file has no list '${key}': it is not COCO.`);
    }
  }
  const used = new Set(data.annotations.map((/** @type {any} */ entry) => whole(entry?.category_id)));
  const categories = new Map();
  for (const [id, { name }] of withIds("category", data.categories)) {
    if (typeof name !== "string" || !name.trim()) throw new Error(`Category ${id} has no name.`);
    categories.set(id, name);
  }
  // No class is a root that Roboflow writes, nor the background.
  for (const [id, name] of [...categories]) {
    const isRoot = data.categories.some(
      (/** @type {any} */ other) => other.supercategory === name && whole(other.id) !== id,
    );
    const isBackground = /^[_ ]*background[_ ]*$/i.test(name);
    if (!used.has(id) && (isRoot || isBackground) && categories.size > 1) categories.delete(id);
  }
  const images = new Map();
  for (const [id, entry] of withIds("image", data.images)) {
    const height = whole(entry.height), width = whole(entry.width), mm = entry.pixel_spacing_mm;
    if (typeof entry.file_name !== "string") throw new Error(`Image ${id} has no 'file_name'.`);
    if (!(height > 0 && width > 0 && height < 65536 && width < 65536 && height * width <= 2 ** 30)) {
      throw new Error(`Image ${id} has no valid 'height' and 'width'.`);
    }
    const isSpacing = Array.isArray(mm) && mm.length === 2 && mm.every((side) => side > 0);
    images.set(id, {
      name: /** @type {string} */ (entry.file_name),
      height,
      width,
      patient: String(entry.patientid || entry.patient_id || ""),
      spacing: isSpacing ? /** @type {number[]} */ (mm) : null,
      instances: /** @type {(Instance & {category: string})[]} */ ([]),
    });
  }
  let crowds = 0, empty = 0, size = 0;
  data.annotations.forEach((/** @type {any} */ entry, /** @type {number} */ i) => {
    const image = images.get(whole(entry?.image_id)), categoryId = whole(entry?.category_id);
    const category = categories.get(categoryId);
    const name = `Annotation ${whole(entry?.id) || `number ${i + 1}`}`;
    if (!image) throw new Error(`${name} is of no image that is there.`);
    if (!category) throw new Error(`${name} is of no category that is there.`);
    if (Number(entry.iscrowd)) return crowds++;
    let runs;
    try {
      runs = readOutline(entry.segmentation, image);
    } catch (error) {
      throw new Error(`${name}: ${/** @type {Error} */ (error).message}`);
    }
    size += runs.length;
    if (size > 2 ** 26) throw new Error("These are too many outlines to open at once.");
    if (areaOf(runs)) image.instances.push({ category, categoryId, runs });
    else empty++;
  });
  return {
    images: [...images.values()],
    categories: [...categories].map(([id, name]) => ({ id, name })),
    crowds,
    empty,
  };
}

/** A whole number, also as text; NaN for all else. @param {unknown} value */
function whole(value) {
  const number = typeof value === "string" && /^-?\d+$/.test(value) ? Number(value) : value;
  return Number.isSafeInteger(number) ? /** @type {number} */ (number) : NaN;
}

/**
 * @param {string} kind @param {any[]} entries of the file
 * @returns {Map<number, any>}
 */
function withIds(kind, entries) {
  const found = new Map(entries.map((entry) => [whole(entry?.id), entry]));
  if (found.has(NaN) || found.size < entries.length) {
    throw new Error(`Each ${kind} needs an 'id' of its own, a whole number.`);
  }
  return found;
}

/**
 * @param {any} outline a list of lists of x and y in turn, one such list, pairs, or run lengths
 * @param {{height: number, width: number}} image
 */
function readOutline(outline, { height, width }) {
  if (Array.isArray(outline) && outline.flat(2).length) {
    const isOne = typeof outline[0] === "number" || outline.every((pair) => pair?.length === 2);
    const polygons = (isOne ? [outline] : outline).map((ring) => [ring].flat(2));
    return fromPolygons(polygons, height, width);
  }
  const { size, counts } = outline ?? {};
  if (typeof counts !== "string" && !Array.isArray(counts)) {
    throw new Error("it has no outline ('segmentation').");
  }
  if (!Array.isArray(size) || whole(size[0]) !== height || whole(size[1]) !== width) {
    throw new Error("its mask is not of its film's size.");
  }
  if (typeof counts === "string") return decodeCounts(counts, height * width);
  const runs = counts.map(whole);
  if (!runs.every((run) => run >= 0)) throw new Error("its run lengths are no whole numbers.");
  checkSum(runs.reduce((sum, run) => sum + run, 0), height * width);
  return Uint32Array.from(runs);
}

/**
 * The file of each image: that of its path, perhaps below one more folder, else the one with its last
 * part, where no other image and no other file has that.
 * @param {string[]} names of images
 * @param {string[]} paths of files
 * @returns {(string | undefined)[]} a path for each name
 */
export function matchFiles(names, paths) {
  /** @param {string[]} all */
  const byBase = (all) => {
    /** @type {Map<string | undefined, {path: string, plain: string}[]>} */
    const found = new Map();
    for (const path of all) {
      const plain = `/${path.normalize().replaceAll("\\", "/").replace(/^(\.?\/)+/, "")}`;
      const base = plain.split("/").pop();
      found.set(base, [...(found.get(base) ?? []), { path, plain }]);
    }
    return found;
  };
  const files = byBase(paths), matches = new Map();
  for (const [base, images] of byBase(names)) {
    const same = files.get(base) ?? [];
    for (const { path, plain } of images) {
      const equal = same.filter((file) => file.plain === plain);
      const below = same.filter((file) => file.plain.endsWith(plain));
      const alone = images.length === 1 ? same : [];
      matches.set(path, [equal, below, alone].find((found) => found.length === 1)?.[0].path);
    }
  }
  return names.map((name) => matches.get(name));
}
