// Outlines of masks: exact rings along the pixels' edges, and fewer points to draw.

import { columnsOf } from "./runs.js";

const TOGETHER = 1024; // points that one search sees: its time is their square at worst

// The rings around a mask: x and y in turn, corners alone. Outer rings run clockwise on the screen
// and holes the other way, so that their signed areas add up to the mask's. Corners connect.
/** @type {Trace} */
export function trace(runs, height) {
	// Each piece of a column has an upper edge (even number), to the right, and a lower one, to the
	// left. Between two columns the edges of both, from the top down, are joined two by two.
	const { xs, ys } = columnsOf(runs, height), next = new Int32Array(ys.length);
	for (let left = 0, right = 0; left < ys.length; ) {
		const x = Math.min(xs[left >> 1] + 1, xs[right >> 1] ?? Infinity);
		for (let open = -1, arrives = false; ; ) {
			const here = xs[left >> 1] === x - 1, there = xs[right >> 1] === x;
			if (!here && !there) break;
			// Of edges at one height upper ones first: so corners connect.
			const isLeft = here && (!there || 2 * ys[left] + left % 2 <= 2 * ys[right] + right % 2);
			const edge = isLeft ? left++ : right++;
			if (open < 0) {
				open = edge;
				arrives = isLeft === (edge % 2 === 0);
			} else {
				if (arrives) next[open] = edge;
				else next[edge] = open;
				open = -1;
			}
		}
	}
	/** @type {Int32Array[]} */
	const rings = [];
	for (let first = 0; first < next.length; first++) {
		/** @type {number[]} */
		const ring = [];
		for (let edge = first; next[edge] >= 0; ) {
			const following = next[edge], x = xs[edge >> 1] + 1 - (edge % 2);
			if (ys[edge] !== ys[following]) ring.push(x, ys[edge], x, ys[following]);
			next[edge] = -1;
			edge = following;
		}
		if (ring.length) rings.push(Int32Array.from(ring));
	}
	return rings;
}

// A ring with fewer points, none of the old ones farther than the tolerance from it (Douglas-Peucker);
// the ring itself where less than a triangle would be left.
/** @type {Simplify} */
export function simplify(ring, tolerance) {
	const count = ring.length / 2;
	let far = 0, most = 0;
	for (let i = 1; i < count; i++) {
		const square = (ring[2 * i] - ring[0]) ** 2 + (ring[2 * i + 1] - ring[1]) ** 2;
		if (square > most) [far, most] = [i, square];
	}
	const kept = new Uint8Array(count), stack = [];
	for (const [from, to] of [[0, far], [far, count]]) {
		for (let i = from; i < to; i += TOGETHER) stack.push(i, Math.min(i + TOGETHER, to));
	}
	while (stack.length) {
		const to = /** @type {number} */ (stack.pop()), from = /** @type {number} */ (stack.pop());
		const end = 2 * (to % count), ax = ring[2 * from], ay = ring[2 * from + 1];
		const dx = ring[end] - ax, dy = ring[end + 1] - ay, length = dx * dx + dy * dy || 1;
		let worst = tolerance * tolerance, at = 0;
		for (let i = from + 1; i < to; i++) {
			const x = ring[2 * i] - ax, y = ring[2 * i + 1] - ay;
			const t = Math.min(1, Math.max(0, (x * dx + y * dy) / length));
			const square = (x - t * dx) ** 2 + (y - t * dy) ** 2;
			if (square > worst) [at, worst] = [i, square];
		}
		kept[from] = 1;
		if (at) stack.push(from, at, at, to);
	}
	const simple = ring.filter((_, i) => kept[i >> 1]);
	return simple.length < 6 ? ring : simple;
}

/** The path of rings, for `fill(path, "evenodd")`. @param {ArrayLike<number>[]} rings */
export function pathOf(rings) {
	const path = new Path2D();
	for (const ring of rings) {
		path.moveTo(ring[0], ring[1]);
		for (let i = 2; i < ring.length; i += 2) path.lineTo(ring[i], ring[i + 1]);
		path.closePath();
	}
	return path;
}
