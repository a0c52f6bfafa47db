/** Holes and pieces of masks, and the insides of polygons, on run lengths alone. */
import { columnsOf, emptyRuns } from "./runs.js";
import { combine } from "./strokes.js";

/**
 * For each piece of a column the first one that it hangs together with (union-find).
 * @param {{xs: number[], ys: number[]}} columns
 * @param {0 | 1} reach 1 where corners connect (8-connected), else 0 (4-connected)
 */
function connect({ xs, ys }, reach) {
	const parents = xs.map((_, i) => i);
	/** @param {number} i */
	const root = (i) => {
		while (parents[i] !== i) i = parents[i] = parents[parents[i]];
		return i;
	};
	for (let i = 0, left = 0; i < xs.length; i++) {
		const x = xs[i] - 1;
		while (xs[left] < x || (xs[left] === x && ys[2 * left + 1] + reach <= ys[2 * i])) left++;
		for (let j = left; xs[j] === x && ys[2 * j] < ys[2 * i + 1] + reach; j++) {
			const a = root(i), b = root(j);
			parents[Math.max(a, b)] = Math.min(a, b);
		}
	}
	return parents.map(root);
}

/**
 * The mask with or without the chosen pieces.
 * @param {Uint32Array} runs @param {number} height @param {{xs: number[], ys: number[]}} columns
 * @param {(_: number, i: number) => boolean} choice @param {boolean} erase
 */
function change(runs, height, { xs, ys }, choice, erase) {
	const [starts, stops] = [0, 1].map((end) =>
		xs.map((x, i) => x * height + ys[2 * i + end]).filter(choice));
	return combine(runs, starts, stops, erase);
}

/**
 * Fills holes: background from which no 4-connected way leads to the film's border.
 * @param {Uint32Array} runs @param {number} height @param {number} width
 */
export function fillHoles(runs, height, width) {
	const columns = columnsOf(Uint32Array.from([0, ...runs]), height), { xs, ys } = columns;
	const roots = connect(columns, 0);
	const open = new Set(roots.filter((_, i) =>
		xs[i] === 0 || xs[i] === width - 1 || ys[2 * i] === 0 || ys[2 * i + 1] === height));
	return change(runs, height, columns, (_, i) => !open.has(roots[i]), false);
}

/**
 * The largest 8-connected piece, as `solo.masks` counts pieces; of several the leftmost.
 * @param {Uint32Array} runs @param {number} height
 */
export function keepLargest(runs, height) {
	const columns = columnsOf(runs, height), { ys } = columns;
	const roots = connect(columns, 1), areas = roots.map(() => 0);
	roots.forEach((root, i) => (areas[root] += ys[2 * i + 1] - ys[2 * i]));
	const largest = areas.indexOf(areas.reduce((a, b) => Math.max(a, b), 0));
	return change(runs, height, columns, (_, i) => roots[i] !== largest, true);
}

/**
 * The union of polygons: pixels whose centres lie in one by the even-odd rule; of centres on an
 * edge those at the left and at the top.
 * @param {number[][]} polygons x and y in turn, in pixels, whose corners are whole numbers
 * @param {number} height @param {number} width
 */
export function fromPolygons(polygons, height, width) {
	/** @type {number[][]} */
	const edges = [[], []];
	let count = 0;
	for (const polygon of polygons) {
		const crossings = [], size = polygon.length;
		const isFine = polygon.every((value) => typeof value === "number" && Math.abs(value) < 2 ** 31);
		if (!isFine || size < 6 || size % 2) {
			throw new Error("A polygon needs three or more pairs of numbers, x and y in pixels.");
		}
		for (let i = 0; i < size; i += 2) {
			const [ax, ay, bx, by] = [0, 1, 2, 3].map((next) => polygon[(i + next) % size]);
			const [first, end] = [Math.min(ax, bx), Math.max(ax, bx)].map((x) =>
				Math.min(width, Math.max(0, Math.ceil(x - 0.5))));
			count += end - first;
			if (count > 2 ** 24) throw new Error("A mask's polygons have too many points.");
			for (let x = first; x < end; x++) {
				const y = ay + ((x + 0.5 - ax) / (bx - ax)) * (by - ay);
				crossings.push(x * height + Math.min(height, Math.max(0, Math.ceil(y - 0.5))));
			}
		}
		// A column has an even number of crossings: what it begins it ends.
		Uint32Array.from(crossings).sort().forEach((at, i) => edges[i % 2].push(at));
	}
	return combine(emptyRuns(height, width), edges[0], edges[1]);
}
