// The stage: where the film lies on the screen, and what pointers do to it.

import { ui } from "./dom.js";

const STILL = 4; // CSS pixels, for a click
const surface = ui.film; // the uppermost

export class View {
	/** @type {Place} */ place = { scale: 1, x: 0, y: 0 };
	/** @type {Size | null} */ film = null;
	dragging = false;
	fitted = false;
	/** @type {Stroke | null} */ stroke = null;
	/** @type {Point | null} of the film, under the pointer */ at = null;
	/** @type {Map<number, PointerEvent>} */ #pointers = new Map();
	/** @type {{tool: Tool, at: Point, moved: boolean} | null} */ #drag = null;

	/** @param {Hand} hand @param {() => void} draw */
	constructor(hand, draw) {
		this.hand = hand;
		this.draw = draw;
		surface.onpointerdown = (event) => this.#down(event);
		surface.onpointermove = (event) => this.#move(event);
		surface.onpointerup = (event) => this.#up(event, true);
		surface.onpointercancel = (event) => this.#up(event, false);
		surface.onpointerleave = () => this.#hover(null);
		surface.oncontextmenu = () => false;
		surface.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
	}

	fit() {
		if (!this.film) return;
		const { width, height } = this.film;
		this.place.scale = Math.min(surface.width / width, surface.height / height);
		this.#put([width / 2, height / 2], this.#middle);
		this.fitted = true;
	}

	/** @type {Zoom} */
	zoom(factor, at = this.#middle) {
		if (!this.film) return;
		const wanted = factor ? this.place.scale * factor : 1, point = this.#onFilm(at);
		const least = 32 / Math.max(this.film.width, this.film.height);
		const scale = Math.min(40, Math.max(least, wanted));
		this.place.scale = Math.abs(scale - 1) < 0.04 ? 1 : scale;
		this.#put(point, at);
	}

	/** @type {Pan} */
	pan(across, down) {
		if (this.film) this.#put(this.#onFilm([-across, -down]), [0, 0]);
	}

	giveUp() {
		if (this.stroke) this.hand.end(null);
		this.stroke = this.#drag = null;
		this.dragging = false;
	}

	/** @returns {Point} */
	get #middle() { return [surface.width / 2, surface.height / 2]; }

	/** Puts a point of the film on one of the stage; part of the film stays in sight. @type {PutPoint} */
	#put(point, at) {
		const { film, place } = this, sizes = [[film?.width, surface.width], [film?.height, surface.height]];
		[place.x, place.y] = sizes.map(([size = 0, seen = 0], axis) => {
			const corner = point[axis] - at[axis] / place.scale, margin = (0.9 * seen) / place.scale;
			const inside = Math.max(-margin, Math.min(size - seen / place.scale + margin, corner));
			return place.scale === 1 ? Math.round(inside) : inside; // at 1:1 pixels lie on pixels
		});
		this.fitted = false;
		this.draw();
	}

	/** Device pixels. @type {Of} */
	#of({ clientX, clientY }) {
		const box = surface.getBoundingClientRect(), ratio = surface.width / box.width;
		return [(clientX - box.left) * ratio, (clientY - box.top) * ratio];
	}

	/** @type {OnPoint} */
	#onFilm([x, y]) { return [this.place.x + x / this.place.scale, this.place.y + y / this.place.scale]; }

	/** @param {Point | null} at */
	#hover(at) {
		this.at = at;
		this.hand.hover(at ?? [-1, -1]);
		this.draw();
	}

	/** @param {PointerEvent} event */
	#down(event) {
		if (!this.film) return;
		event.preventDefault();
		surface.focus({ preventScroll: true });
		surface.setPointerCapture(event.pointerId);
		this.#pointers.set(event.pointerId, event);
		if (this.#pointers.size > 1) return this.giveUp(); // a pinch
		const { button, shiftKey, altKey, ctrlKey, metaKey } = event, at = this.#of(event);
		const tool = button === 1 || shiftKey ? "pan" : button === 2 ? "window" : this.hand.tool();
		this.#drag = { tool, at, moved: false };
		this.dragging = true;
		const paints = tool === "brush" || tool === "eraser", point = this.#onFilm(at);
		if (paints && this.hand.begin(point, altKey, ctrlKey || metaKey)) {
			this.stroke = { points: [point], radius: this.hand.radius() };
		}
		this.draw();
	}

	/** @param {PointerEvent} event */
	#move(event) {
		const before = this.#pointers.get(event.pointerId), at = this.#of(event), drag = this.#drag;
		if (before) this.#pointers.set(event.pointerId, event);
		if (before && this.#pointers.size === 2) return this.#pinch(before, event);
		if (this.stroke) {
			const between = event.getCoalescedEvents?.() ?? [];
			for (const one of [...between, event]) this.stroke.points.push(this.#onFilm(this.#of(one)));
		} else if (drag) {
			const across = at[0] - drag.at[0], down = at[1] - drag.at[1];
			if (!drag.moved && Math.hypot(across, down) < STILL * devicePixelRatio) return;
			Object.assign(drag, { at, moved: true });
			if (drag.tool === "pan") this.pan(across, down);
			if (drag.tool === "window") this.hand.window(across / surface.width, down / surface.height);
		}
		if (drag) {
			this.at = this.#onFilm(at);
			this.draw();
		} else this.#hover(this.#onFilm(at));
	}

	/** @type {Pinch} */
	#pinch(before, event) {
		const other = [...this.#pointers.values()].find(({ pointerId }) => pointerId !== event.pointerId);
		if (!other) return;
		const [still, was, is] = [other, before, event].map((one) => this.#of(one));
		const [far, near] = [is, was].map((at) => Math.hypot(at[0] - still[0], at[1] - still[1]));
		this.zoom(far / Math.max(near, 1), [(still[0] + is[0]) / 2, (still[1] + is[1]) / 2]);
		this.pan((is[0] - was[0]) / 2, (is[1] - was[1]) / 2);
	}

	/** @type {Up} */
	#up(event, done) {
		this.#pointers.delete(event.pointerId);
		const drag = this.#drag, stroke = this.stroke;
		this.stroke = this.#drag = null;
		this.dragging = false;
		if (stroke) this.hand.end(done ? stroke : null);
		else if (drag && !drag.moved && done) this.hand.pick(this.#onFilm(drag.at));
		this.draw();
	}

	/** @param {WheelEvent} event */
	#wheel(event) {
		event.preventDefault();
		const pixels = event.deltaY * (event.deltaMode ? 33 : 1) * (event.ctrlKey ? 6 : 1); // Ctrl is a pinch
		this.zoom(Math.exp(-0.0015 * Math.max(-300, Math.min(300, pixels))), this.#of(event));
	}
}
