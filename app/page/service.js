// The service: what it says of its model, and of a film.

import { newInstance } from "./film.js";
import { decodeCounts } from "./runs.js";

const ATTEMPTS = 9; // where the service is busy
let key = ""; // here alone: neither stored nor shown

/** @type {Send} */
export async function send(path, request, waits) {
	for (let attempt = 1; ; attempt++) {
		const used = key;
		if (used) request.headers = { authorization: `Bearer ${used}` };
		const response = await fetch(path, request).catch(() => {
			throw new Error("The service cannot be reached, or the file cannot be read any more.");
		});
		if (response.ok) return response;
		const { detail = `The service answered ${response.status}.` } = await response.json().catch(() => ({}));
		if (response.status === 401) {
			waits(detail);
			if (key === used) key = await (await import("./key.js")).askForKey(used !== "");
			if (key) continue;
		}
		const seconds = Number(response.headers.get("retry-after"));
		if (!seconds || attempt === ATTEMPTS) throw new Error(detail);
		waits(`busy, asked again in ${seconds} s`);
		await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
	}
}

/** @returns {Promise<Model>} */
export const askForModel = async () => (await send("model", {}, () => {})).json();

/** Asks for a film's pixels and its instances, by one upload. @type {AskForFilm} */
export async function askForFilm(film, model, waits) {
	// Weaker instances come too, for who lowers the threshold.
	const path = `segment?pixels=cells&frame=${film.frame}&score_threshold=${model.score_threshold / 2}`;
	const body = film.file.slice(0, film.file.size, "application/octet-stream");
	const response = await send(path, { method: "POST", body }, waits);
	const [form, { Pixels }] = await Promise.all([response.formData(), import("./greys.js")]);
	const part = (/** @type {string} */ name) => new Response(form.get(name));
	const bytes = (/** @type {string} */ name) => part(name).arrayBuffer();
	const { images: [{ instances, ...facts }], model: answered } = await part("answer").json();
	const { bits, frames, window, inverted } = await part("display").json();
	const cells = bits === 8 ? new Uint8Array(await bytes("cells")) : new Uint16Array(await bytes("cells"));
	const table = new Uint8Array(await bytes("table")), values = new Float32Array(await bytes("values"));
	film.pixels = new Pixels({ cells, ...facts, table, values, window, inverted });
	film.spacing ??= facts.pixel_spacing;
	Object.assign(film, { facts, frames });
	const found = instances.map((/** @type {Found} */ one) => newInstance({
		label: one.label,
		score: one.score,
		doubt: one.outline_uncertainty,
		runs: decodeCounts(one.segmentation.counts),
		edited: false,
	}));
	film.model ??= answered; // the one that found the instances, whatever answers later
	film.begin({ instances: found, threshold: model.score_threshold });
	return answered;
}
