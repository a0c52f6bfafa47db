// The document's elements, found and made without HTML strings: names from files stay text.

/** By id; any, since the document alone knows what is in it. @type {Elements} */
export const ui = /** @type {any} */ (Object.fromEntries([...document.querySelectorAll("[id]")].map((one) => [one.id, one])));

/** @type {Make} */
export const make = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

/** @param {Element} button @param {boolean} pressed */
export const press = (button, pressed) => button.setAttribute("aria-pressed", String(pressed));

/** Tells those who see, and those who listen. @param {string} sentence */
export const say = (sentence) => void (ui.status.textContent = sentence);

/** @param {number} number @param {string} thing */
export const count = (number, thing) => `${number} ${thing}${number === 1 ? "" : "s"}`;

/** Puts an element at its place in a list, and leaves it alone, and its focus, if it is there. */
/** @param {Element} list @param {Element} item @param {number} at */
export const place = (list, item, at) => {
  if (list.children[at] !== item) list.insertBefore(item, list.children[at] ?? null);
};
