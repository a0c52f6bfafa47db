// The key that a service may ask for: kept in memory alone, neither stored nor shown.

import { ui } from "./dom.js";

/** @type {Promise<string> | null} */
let asking = null;

/** Asks once for all who wait for it; empty where nobody gives it. @param {boolean} again */
export const askForKey = (again) => (asking ??= new Promise((resolve) => {
	ui.wrongKey.hidden = !again;
	ui.askKey.addEventListener("close", () => {
		resolve(ui.key.value.trim().replace(/[^!-~]/g, "?")); // as a header can hold it
		ui.key.value = "";
		asking = null;
	}, { once: true });
	ui.askKey.showModal();
}));
