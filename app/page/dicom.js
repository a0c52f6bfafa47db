// A film's instances as a DICOM Segmentation, which the service makes of the film and of them.

import { encodeCounts } from "./coco.js";
import { count, download, say } from "./dom.js";
import { send } from "./service.js";
import { state } from "./state.js";

const PICTURE = /^(\x89PNG|\xff\xd8|II[*+]|MM\0[*+])/;
/** @type {WeakSet<Film>} */
const asking = new WeakSet();

/** Saves the instances that the list has of the film. */
export async function saveSegmentation() {
	const { film } = state, facts = film?.facts;
	if (!film || !facts) return say("Choose a film that has been opened.");
	if (asking.has(film)) return;
	if (await isPicture(film.file)) throw new Error("Only a DICOM film can be saved as DICOM: this one is a picture, and does not say whose it is.");
	const instances = film.shown, name = `${facts.sha256.slice(0, 16)}${film.frame ? `-${film.frame}` : ""}-seg.dcm`;
	const form = new FormData();
	form.append("film", film.file.slice(0, film.file.size, "application/dicom"));
	form.append("annotations", new Blob([JSON.stringify(annotations(film, facts))], { type: "application/json" }));
	say("Making a DICOM SEG …");
	asking.add(film);
	try {
		const answer = await send(`dicom?frame=${film.frame}`, { method: "POST", body: form }, say);
		download(await answer.blob(), name);
	} finally {
		asking.delete(film);
	}
	say(`${count(instances.length, "instance")} saved in ${name}.`);
}

/** By its first bytes; a DICOM file may begin as any other. @param {Blob} file */
async function isPicture(file) {
	const text = String.fromCharCode(...new Uint8Array(await file.slice(0, 132).arrayBuffer()));
	return !text.endsWith("DICM") && PICTURE.test(text);
}

/** A COCO document of one film. @param {Film} film @param {Facts} facts */
function annotations(film, { height, width, sha256 }) {
	const labels = [...new Set(film.shown.map(({ label }) => label))];
	return {
		info: { model: film.model },
		categories: labels.map((name, id) => ({ id, name })),
		images: [{ id: 1, height, width, sha256 }],
		annotations: film.shown.map(({ label, score, runs, edited }, id) => ({
			id, image_id: 1, category_id: labels.indexOf(label), score,
			segment_algorithm_type: !edited ? "AUTOMATIC" : score === null ? "MANUAL" : "SEMIAUTOMATIC",
			segmentation: { size: [height, width], counts: encodeCounts(runs) },
		})),
	};
}
