// One film: its state, its instances, and every edit of them, which can be undone.

import { areaOf } from "./runs.js";

const STEPS = 500; // that can be undone; a step of a lung takes 11 KB
let lastId = 0;

/** @param {Omit<Instance, "id">} fields @returns {Instance} */
export const newInstance = (fields) => ({ id: ++lastId, ...fields });

export class Film {
	/** @type {"waiting" | "asking" | "ready" | "refused"} */ state = "waiting";
	problem = "";
	/** @type {Facts | null} */ facts = null;
	/** @type {Model | null} */ model = null;
	/** @type {Pixels | null} */ pixels = null;
	/** @type {GreyWindow | null} null: as the model saw it */ window = null;
	preset = "seen";
	invert = false;
	frames = 1;
	reviewed = false;
	patient = "";
	unsaved = false;
	/** @type {Place | null} where it was looked at */ place = null;
	/** @type {Spacing | null} */ spacing = null;
	// Of a data set: its images' size, what it lacks, and the name that it was saved by.
	/** @type {Size | null} */ size = null;
	note = "";
	source = "";
	/** @type {Version | null} */ #now = null;
	/** @type {Step[]} */ #past = [];
	/** @type {Step[]} */ #future = [];

	/** @param {Blob} file @param {string} name shown, and never sent or saved @param {number} frame */
	constructor(file, name, frame = 0) {
		this.file = file;
		this.name = name;
		this.frame = frame;
	}

	get instances() { return this.#now?.instances ?? []; }
	get threshold() { return this.#now?.threshold ?? 0; }
	get undoable() { return this.#past.at(-1)?.what; }
	get redoable() { return this.#future.at(-1)?.what; }

	/** Instances above the threshold, and all that somebody has drawn or corrected. */
	get shown() {
		return this.instances.filter(({ score, edited }) => edited || (score ?? 1) >= this.threshold);
	}

	/** The first instances that come: a later answer never overwrites corrections. @param {Version} version */
	begin(version) { this.#now ??= version; }

	/** Makes one step that can be undone. @type {Edit} */
	edit(what, change) {
		if (!this.#now) return;
		// A slider that is dragged makes one step.
		const goes_on = !change.instances && this.undoable === what && !this.#future.length;
		if (!goes_on) this.#past.push({ what, version: this.#now });
		if (this.#past.length > STEPS) this.#past.shift();
		this.#future = [];
		this.#now = { ...this.#now, ...change };
		this.unsaved = true;
	}

	/** Replaces an instance; one without a pixel is gone. @type {Change} */
	change(what, one, change) {
		const instances = this.instances.map((it) => (it.id === one.id ? { ...it, ...change, edited: true } : it));
		this.edit(what, { instances: instances.filter(({ runs }) => areaOf(runs)) });
	}

	undo() { return this.#move(this.#past, this.#future); }
	redo() { return this.#move(this.#future, this.#past); }

	/** @type {MoveStep} */
	#move(from, to) {
		const step = from.pop();
		if (!step || !this.#now) return;
		to.push({ what: step.what, version: this.#now });
		this.#now = step.version;
		this.unsaved = true;
		return step.what;
	}

	/** In cm² where the film has a spacing. @param {Instance} one */
	area({ runs }) {
		const pixels = areaOf(runs);
		if (!this.spacing) return `${pixels.toLocaleString("en")} px`;
		return `${((pixels * this.spacing.row_mm * this.spacing.column_mm) / 100).toFixed(1)} cm²`;
	}
}
