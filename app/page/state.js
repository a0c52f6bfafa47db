// What the page shows.

import { FEW } from "./overlay.js";

export const state = {
	/** @type {Model | null} */ model: null,
	/** @type {string[]} of the model, and of data sets that were opened */ classes: [],
	/** @type {Film[]} */ films: [],
	/** @type {Film | null} */ film: null,
	/** @type {Tool} */ tool: "window",
	/** whether the next stroke makes an instance */ adding: false,
	radius: 20,
	outlines: true,
	fill: 0.25,
	/** @type {number | undefined} an instance's id */ chosen: undefined,
	/** @type {number | undefined} */ hovered: undefined,
	/** @type {Set<number>} */ hidden: new Set(),
};

/** Tells that something is to be drawn anew: all, or `film` if that is another one. */
export const changed = (what = "all") => dispatchEvent(new Event(`changed-${what}`));

/** The instances of the film; many are listed by class. */
export const shown = () => {
	const all = state.film?.shown ?? [], at = ({ label = "" }) => state.classes.indexOf(label);
	return all.length > FEW ? all.toSorted((a, b) => at(a) - at(b)) : all;
};
export const chosen = () => state.film?.shown.find(({ id }) => id === state.chosen);
export const drawn = () => shown().filter(({ id }) => !state.hidden.has(id));
