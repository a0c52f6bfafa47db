// Masks as COCO run lengths: pixels down the columns, background and mask in turn.

/** @type {WeakMap<Uint32Array, Uint32Array>} */
const sumsOf = new WeakMap();

/** Run lengths, checked against the film's pixels. @type {ToRuns} */
export function toRuns(lengths, pixels) {
	const sum = lengths.reduce((sum, run) => (run >= 0 ? sum + run : NaN), 0);
	if (!(sum > 0 && sum < 2 ** 32) || sum !== (pixels ?? sum)) {
		throw new Error("The run lengths of a mask do not add up to its film.");
	}
	return Uint32Array.from(lengths);
}

// COCO's compressed form: five bits a letter, lowest first; from the fourth run on the difference to
// the run before the last.
/** @type {DecodeCounts} */
export function decodeCounts(text, pixels) {
	const fault = "The run lengths of a mask are not in COCO's compressed form.";
	/** @type {number[]} */
	const runs = [];
	let value = 0, scale = 1;
	for (let i = 0; i < text.length; i++) {
		const bits = text.charCodeAt(i) - 48;
		if (bits < 0 || bits > 63 || scale > 2 ** 30) throw new Error(fault);
		value += (bits & 31) * scale;
		scale *= 32;
		if (bits & 32) continue;
		if (bits & 16) value -= scale;
		runs.push(runs.length > 2 ? value + runs[runs.length - 2] : value);
		[value, scale] = [0, 1];
	}
	if (scale > 1) throw new Error(fault);
	return toRuns(runs, pixels);
}

/** A mask without a pixel. @type {EmptyRuns} */
export const emptyRuns = (height, width) => Uint32Array.of(height * width);

/** Pixels of a mask. @param {Uint32Array} runs */
export const areaOf = (runs) => runs.reduce((area, run, i) => (i % 2 ? area + run : area), 0);

/** A mask's pieces of single columns. @type {ColumnsOf} */
export function columnsOf(runs, height) {
	/** @type {number[][]} */
	const [xs, ys] = [[], []];
	for (let i = 0, at = 0; i < runs.length; at += runs[i++]) {
		if (i % 2 === 0) continue;
		for (let left = runs[i], y = at % height, x = (at - y) / height; left > 0; x++, y = 0) {
			const stop = Math.min(y + left, height);
			left -= stop - y;
			// Runs of no length may be between.
			if (xs.at(-1) === x && ys.at(-1) === y) ys[ys.length - 1] = stop;
			else {
				xs.push(x);
				ys.push(y, stop);
			}
		}
	}
	return { xs, ys };
}

/** Whether a mask has the pixel of a point: by binary search, since a hover asks many. @type {Contains} */
export function contains(runs, height, x, y) {
	let sum = 0;
	const sums = sumsOf.get(runs) ?? runs.map((run) => (sum += run));
	sumsOf.set(runs, sums);
	const at = Math.floor(x) * height + Math.floor(y);
	let low = 0, high = sums.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		if (sums[middle] <= at) low = middle + 1;
		else high = middle;
	}
	return x >= 0 && y >= 0 && y < height && low < sums.length && low % 2 === 1;
}
