// What the page shows; everything that is drawn is made of it.

export const state = {
  /** @type {Model | null} */ model: null,
  /** @type {string[]} of the model, and of data sets that were opened */ classes: [],
  /** @type {Film[]} */ films: [],
  /** @type {Film | null} */ film: null,
  /** @type {Tool} */ tool: "window",
  radius: 20,
  outlines: true,
  fill: 0.25,
  /** @type {number | undefined} an instance's id */ chosen: undefined,
  /** @type {number | undefined} */ hovered: undefined,
  /** @type {Set<number>} */ hidden: new Set(),
};

export const shown = () => state.film?.shown ?? [];
export const chosen = () => shown().find(({ id }) => id === state.chosen);
export const drawn = () => shown().filter(({ id }) => !state.hidden.has(id));
