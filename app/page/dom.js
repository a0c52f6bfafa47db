// The document's elements, found and made without HTML strings: names from files stay text.

/** By id; any, since the document alone knows what is in it. @type {Elements} */
export const ui = /** @type {any} */ (Object.fromEntries([...document.querySelectorAll("[id]")].map((one) => [one.id, one])));

/** @type {Make} */
export const make = (tag, properties = {}, ...children) => {
	const made = Object.assign(document.createElement(tag), properties);
	made.append(...children);
	return made;
};

/** @type {Download} */
export const download = (file, name) => {
	const href = URL.createObjectURL(file);
	make("a", { href, download: name }).click();
	setTimeout(() => URL.revokeObjectURL(href), 60_000);
};

/** @type {Press} */
export const press = (button, pressed) => button.setAttribute("aria-pressed", String(pressed));

/** Tells those who see, and those who listen. @param {string} sentence */
export const say = (sentence) => void (ui.status.textContent = sentence);

/** @type {Count} */
export const count = (number, thing) => `${number} ${thing}${number === 1 ? "" : "s"}`;

/** Puts an element into a list; if it is there, it keeps its focus. @type {Put} */
export const put = (list, item, at) => {
	if (list.children[at] !== item) list.insertBefore(item, list.children[at] ?? null);
};
