// Greyscale: from stored cells to the screen, by the model's own table or by a window.

const SMALLEST = 512; // pixels along the longer side of the smallest half size

// Orders cells by value, since stored ones may be signed, shifted, or padding, and have no mean.
// Cells of one value and one grey of the model's are one rank; padding is the first.
/** @type {Rank} */
function rank(values, table) {
	const key = values.map((value) => (Number.isNaN(value) ? -Infinity : value));
	const order = Uint32Array.from(key.keys()).sort((a, b) => key[a] - key[b] || table[a] - table[b] || 0);
	const ranks = new Uint16Array(key.length), first = [order[0]];
	for (const cell of order) {
		const last = /** @type {number} */ (first.at(-1));
		if (key[last] !== key[cell] || table[last] !== table[cell]) first.push(cell);
		ranks[cell] = first.length - 1;
	}
	const levels = Float32Array.from(first, (cell) => values[cell]);
	return { ranks, levels, seen: Uint8Array.from(first, (cell) => table[cell]) };
}

/** Half the size: each pixel is the mean of four. @param {Size & {data: Levels}} whole */
function half({ data, width, height }) {
	const w = (width + 1) >> 1, h = (height + 1) >> 1, out = data.slice(0, w * h);
	for (let y = 0, to = 0; y < h; y++) {
		const top = 2 * y * width, bottom = Math.min(2 * y + 1, height - 1) * width;
		for (let x = 0; x < w; x++) {
			const left = 2 * x, right = Math.min(left + 1, width - 1);
			const sum = data[top + left] + data[top + right] + data[bottom + left] + data[bottom + right];
			out[to++] = (sum + 2) >> 2;
		}
	}
	return { data: out, width: w, height: h };
}

/** DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3. @type {Shade} */
function shade(value, { center, width, function: kind }) {
	if (kind === "SIGMOID") return 1 / (1 + Math.exp((-4 * (value - center)) / width));
	if (kind === "LINEAR_EXACT") return (value - center) / width + 0.5;
	return width > 1 ? (value - center + 0.5) / (width - 1) + 0.5 : Number(value > center - 0.5);
}

/** Pixels of one film in their full depth, with half sizes: what is drawn is what is seen. */
export class Pixels {
	/** @type {(Size & {data: Levels})[]} */ #sizes;
	#canvas = document.createElement("canvas");
	#image = new ImageData(1, 1);

	/** @param {Stored} stored whose cells are changed */
	constructor({ cells, height, width, table, values, window, inverted }) {
		const { ranks, levels, seen } = rank(values, table);
		for (let i = 0; i < cells.length; i++) cells[i] = ranks[cells[i]];
		this.height = height;
		this.width = width;
		this.window = window;
		this.inverted = inverted;
		this.levels = levels;
		this.seen = seen;
		let last = { data: cells, width, height };
		this.#sizes = [last];
		while (Math.max(last.width, last.height) > SMALLEST) this.#sizes.push((last = half(last)));
	}

	/** As the model saw it, one byte a pixel. */
	grey() { return Uint8Array.from(this.#sizes[0].data, (level) => this.seen[level]); }

	/** The modality value at a point, or NaN. @param {Point} point */
	at([x, y]) {
		const inside = x >= 0 && y >= 0 && x < this.width && y < this.height;
		return inside ? this.levels[this.#sizes[0].data[Math.floor(y) * this.width + Math.floor(x)]] : NaN;
	}

	/** A window over part of the film's values. @type {Between} */
	between(low, high) {
		const values = Float32Array.from(/** @type {Size & {data: Levels}} */ (this.#sizes.at(-1)).data, (level) => this.levels[level]);
		const sorted = values.filter((value) => !Number.isNaN(value)).sort();
		const [from, to] = [low, high].map((part) => sorted[Math.round(part * (sorted.length - 1))] ?? 0);
		return { center: (from + to) / 2, width: Math.max(to - from, 1e-6), function: "LINEAR_EXACT" };
	}

	/** RGBA by level. @type {Colours} */
	colours(window, invert) {
		const dark = window ? this.inverted !== invert : invert;
		return Uint32Array.from(this.levels, (value, level) => {
			const part = window ? Math.min(1, Math.max(0, shade(value, window))) : this.seen[level] / 255;
			const grey = Math.round(255 * (dark ? 1 - part : part)) || 0; // padding is NaN, and black
			return 0xff000000 | (grey * 0x010101);
		});
	}

	/** Draws what is seen, from the half size that fits; coarser rather than late while dragged. @type {DrawPixels} */
	draw(context, place, colours, quick) {
		const { width: across, height: down } = context.canvas;
		context.clearRect(0, 0, across, down);
		const most = Math.log2((quick ? 1.42 : 1.01) / place.scale);
		const halved = Math.max(0, Math.min(this.#sizes.length - 1, Math.floor(most)));
		const { data, width, height } = this.#sizes[halved], size = 2 ** halved, scale = place.scale * size;
		const left = Math.max(0, Math.floor(place.x / size)), top = Math.max(0, Math.floor(place.y / size));
		const w = Math.min(width, Math.ceil(place.x / size + across / scale)) - left;
		const h = Math.min(height, Math.ceil(place.y / size + down / scale)) - top;
		if (w <= 0 || h <= 0) return;
		if (this.#image.width !== w || this.#image.height !== h) {
			this.#image = new ImageData(w, h);
			Object.assign(this.#canvas, { width: w, height: h });
		}
		const out = new Uint32Array(this.#image.data.buffer);
		for (let y = 0, to = 0; y < h; y++) {
			let from = (top + y) * width + left;
			for (const end = to + w; to < end; ) out[to++] = colours[data[from++]];
		}
		this.#canvas.getContext("2d")?.putImageData(this.#image, 0, 0);
		context.imageSmoothingEnabled = scale !== 1 && scale < 4;
		const x = (left * size - place.x) * place.scale, y = (top * size - place.y) * place.scale;
		context.drawImage(this.#canvas, x, y, w * scale, h * scale);
	}
}
