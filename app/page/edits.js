// What is done to instances as a whole.

import { say, ui } from "./dom.js";
import { chooseInstance, chooseTool } from "./instances.js";
import * as regions from "./regions.js";
import { changed, chosen, state } from "./state.js";

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
