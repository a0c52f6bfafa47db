// The key that a service may ask for: kept in memory alone, neither stored nor shown.

import { ui } from "./dom.js";

/** @type {Promise<string> | null} */
let asking = null;

/** Asks once for all who wait for it; empty where nobody gives it. */
export const askForKey = () => (asking ??= new Promise((resolve) => {
	ui.askKey.addEventListener("close", () => {
		resolve(ui.key.value.trim());
		ui.key.value = "";
		asking = null;
	}, { once: true });
	ui.askKey.showModal();
}));
