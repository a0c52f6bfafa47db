// Brush and eraser, at the film's own resolution.

import { say } from "./dom.js";
import { chooseInstance, colourOf, target } from "./instances.js";
import { areaOf, contains, paint } from "./runs.js";
import { chosen, drawn, state } from "./state.js";

/** @type {Instance | null} */
let painted = null;
let erases = false;

/** The instance at a point: the chosen one, or else the smallest. @param {Point} point */
export function under([x, y]) {
  const height = state.film?.facts?.height ?? 0, one = chosen();
  const found = drawn().filter(({ runs }) => contains(runs, height, x, y));
  return found.find((it) => it === one) ?? found.sort((a, b) => areaOf(a.runs) - areaOf(b.runs))[0];
}

export const strokeColour = () => (erases || !painted ? "#fff" : colourOf(painted));

/** @type {Hand["begin"]} */
export function begin(point, keep, flip) {
  if (!state.film?.pixels) return false;
  erases = (state.tool === "eraser") !== flip;
  painted = target(under(point), keep);
  if (state.film.instances.includes(painted)) chooseInstance(painted.id);
  else if (erases) {
    painted = null;
    say("There is no instance here to erase from.");
  }
  return painted !== null;
}

/** @type {Hand["end"]} */
export function end(stroke) {
  const { film } = state, one = painted;
  painted = null;
  if (!stroke || !film?.facts || !one) return;
  const runs = paint(one.runs, film.facts.height, film.facts.width, stroke, erases);
  if (runs === one.runs) return; // nothing has changed: no step
  const what = `${erases ? "erased from" : "painted"} ${one.label}`;
  if (film.instances.includes(one)) film.change(what, one, { runs });
  else film.edit(`added ${one.label}`, { instances: [...film.instances, { ...one, runs }] });
  chooseInstance(areaOf(runs) ? one.id : undefined);
  say(`${what}: ${film.area({ ...one, runs })}.`);
}
