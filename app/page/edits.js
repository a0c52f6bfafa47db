// What is done to instances as a whole, and stepping through them.

import { say, ui } from "./dom.js";
import { chooseInstance, chooseTool, notes } from "./instances.js";
import * as regions from "./regions.js";
import { changed, chosen, shown, state } from "./state.js";

/** @param {boolean} back */
export function step(back) {
	const what = back ? state.film?.undo() : state.film?.redo();
	if (what) say(`${back ? "Undone" : "Done again"}: ${what}.`);
	changed();
}

/** @type {Remake} */
export function remake(how, what) {
	const { film } = state, one = chosen();
	if (!film?.facts || !one) return say("Choose an instance first.");
	const runs = regions[how](one.runs, film.facts.height, film.facts.width);
	if (runs === one.runs) return say(`${what}: nothing to change.`);
	film.change(what, one, { runs });
	say(`${what}.`);
	changed();
}

/** The next stroke makes an instance. */
export function add() {
	if (!state.film?.facts) return;
	chooseInstance(undefined);
	state.adding = true;
	chooseTool("brush");
	say(`Paint the new instance: ${ui.class.value}.`);
}

export function remove() {
	const { film } = state, one = chosen();
	if (!film || !one) return say("Choose an instance first.");
	film.edit(`deleted ${one.label}`, { instances: film.instances.filter(({ id }) => id !== one.id) });
	chooseInstance(undefined);
	say(`Deleted: ${one.label}.`);
}

/** @param {number} step */
export function moveInstance(step) {
	const all = shown(), at = all.findIndex(({ id }) => id === state.chosen);
	const next = all[at < 0 && step < 0 ? all.length - 1 : (at + step + all.length) % all.length];
	if (!next) return;
	chooseInstance(next.id);
	say(`${next.label}: ${notes(next)}`);
}
