// What is asked of a film once its answer is here; loaded with the first one.

import { Film } from "./film.js";
import { state } from "./state.js";

/** By the file's SHA-256, or as the data set that it comes from has it. @param {Film} film */
export const savedAs = ({ source, facts, frame }) =>
	source || `images/${facts?.sha256.slice(0, 16)}${frame ? `-${frame}` : ""}.png`;

/** Refuses a film that is not its data set's, or is there; adds its frames. @param {Film} film */
export function accept(film) {
	const { file, frames, size, facts } = film;
	if (size && (size.height !== facts?.height || size.width !== facts.width)) {
		throw new Error(`The film has ${facts?.width} × ${facts?.height} pixels, and its data set says ${size.width} × ${size.height}.`);
	}
	const same = state.films.find((one) => one !== film && one.facts && savedAs(one) === savedAs(film));
	if (same) throw new Error(`The same film is open already: ${same.name}`);
	if (size || state.films.filter((one) => one.file === file).length > 1) return;
	const more = Array.from({ length: frames - 1 }, (_, at) => new Film(file, `frame ${at + 2} of ${frames}`, at + 1));
	state.films.splice(state.films.indexOf(film) + 1, 0, ...more);
}
