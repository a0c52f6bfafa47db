// A COCO data set of what was corrected; and one that is gone on with.

import { readCoco, writeCoco } from "./coco.js";
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
  const { images, categories } = readCoco(await texts[0][1].text());
  const films = images.flatMap(({ name, patient, spacing, instances }) => {
    const file = find(entries, name);
    if (!file) return [];
    const film = Object.assign(new Film(file, name.split("/").at(-1) ?? ""), { patient: patient ?? "", spacing });
    const drawn = instances.map((one) => newInstance({ ...one, score: null, doubt: null, edited: true }));
    film.begin(drawn, state.model?.score_threshold ?? 0);
    return [film];
  });
  if (!films.length) throw new Error("none of its images is there: open them together with the JSON file.");
  for (const { name } of categories) if (!state.classes.includes(name)) state.classes.push(name);
  return films;
}

/** By the end of its path, since tools leave folders out. @param {Map<string, Blob>} entries @param {string} name */
function find(entries, name) {
  const whole = name.replace(/^\.?\//, ""), last = whole.split("/").at(-1), names = [...entries.keys()];
  const ways = [
    (/** @type {string} */ one) => one === whole,
    (/** @type {string} */ one) => one.endsWith(`/${whole}`),
    (/** @type {string} */ one) => one.split("/").at(-1) === last,
  ];
  const found = ways.map((fits) => names.filter(fits)).find(({ length }) => length === 1);
  return found && entries.get(found[0]);
}

/** Saves the reviewed films, or all if somebody says so. */
export async function save() {
  const answered = state.films.filter(({ facts }) => facts), reviewed = answered.filter((film) => film.reviewed);
  if (!answered.length) return;
  const films = reviewed.length || !(await isForAll()) ? reviewed : answered;
  if (!films.length) return;
  say("Saving …");
  /** @type {[string, Blob][]} */
  const entries = [];
  const images = [];
  for (const film of films) {
    if (!film.pixels && state.model) await askForFilm(film, state.model, say); // it was forgotten
    const { facts, pixels, patient, spacing, shown } = film;
    if (!facts || !pixels) continue;
    const name = `images/${facts.sha256.slice(0, 16)}${film.frame ? `-${film.frame}` : ""}.png`;
    entries.push([name, await writePng(pixels.grey(), facts)]);
    images.push({ name, height: facts.height, width: facts.width, patient, spacing, instances: shown });
    film.unsaved = false;
  }
  const coco = JSON.stringify(writeCoco({ images, classes: state.classes, model: state.model }));
  entries.unshift(["annotations.json", new Blob([coco])]);
  const href = URL.createObjectURL(await writeZip(entries));
  make("a", { href, download: "corrected.zip" }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
  const left = answered.length - films.length;
  say(`${count(films.length, "film")} saved in corrected.zip${left ? `; ${left} not reviewed, and not in it` : ""}.`);
}

/** @returns {Promise<boolean>} */
const isForAll = () => new Promise((resolve) => {
  ui.askAll.returnValue = "";
  ui.askAll.showModal();
  ui.askAll.addEventListener("close", () => resolve(ui.askAll.returnValue === "all"), { once: true });
});
