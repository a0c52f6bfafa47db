/** Brush strokes and other intervals of pixels, added to masks and taken away. */
import { areaOf } from "./runs.js";

/**
 * Adds intervals of pixels, counted down the columns, or takes them away. The same array where
 * nothing changes.
 * @param {Uint32Array} runs
 * @param {Iterable<number>} starts first pixels, in any order
 * @param {Iterable<number>} stops pixels after the last ones, in any order
 * @param {boolean} [erase]
 */
export function combine(runs, starts, stops, erase) {
	const [begins, ends] = [starts, stops].map((edges) => Uint32Array.from(edges).sort());
	const total = runs.reduce((sum, run) => sum + run, 0), result = [];
	let from = 0, was = false, edge = runs[0], run = 0, begun = 0, ended = 0;
	for (;;) {
		const at = Math.min(edge, begins[begun] ?? total, ends[ended] ?? total);
		if (at >= total) break;
		while (edge === at) edge += runs[++run];
		while (begins[begun] === at) begun++;
		while (ends[ended] === at) ended++;
		const inside = run % 2 === 1, is = erase ? inside && begun === ended : inside || begun > ended;
		if (is === was) continue;
		result.push(at - from);
		from = at;
		was = is;
	}
	const changed = Uint32Array.from([...result, total - from]);
	return areaOf(changed) === areaOf(runs) ? runs : changed;
}

/**
 * Paints or erases a disc swept along a line: pixels whose centres it reaches, and those that have
 * a point. The same array where nothing changes.
 * @param {Uint32Array} runs @param {number} height @param {number} width
 * @param {{points: number[][], radius: number}} stroke in pixels, whose corners are whole numbers
 * @param {boolean} [erase]
 */
export function paint(runs, height, width, { points, radius }, erase) {
	/** @type {number[][]} */
	const [starts, stops] = [[], []];
	/** @param {number} x @param {number} first @param {number} stop */
	const add = (x, first, stop) => {
		if (!(x >= 0 && x < width && first < height && stop > 0 && first < stop)) return;
		starts.push(x * height + Math.max(first, 0));
		stops.push(x * height + Math.min(stop, height));
	};
	const r = Math.max(radius, 0.5);
	points.forEach(([bx, by], i) => {
		const [ax, ay] = points[Math.max(i - 1, 0)], dx = bx - ax, dy = by - ay;
		const scale = r / (Math.hypot(dx, dy) || 1);
		add(Math.floor(bx), Math.floor(by), Math.floor(by) + 1);
		const end = Math.min(width, Math.max(ax, bx) + r);
		for (let x = Math.max(0, Math.floor(Math.min(ax, bx) - r)); x < end; x++) {
			// Where the column meets the two discs, and the straight edges between them.
			const ys = [];
			for (const [cx, cy] of [[ax, ay], [bx, by]]) {
				const half = Math.sqrt(r * r - (x + 0.5 - cx) ** 2);
				if (half >= 0) ys.push(cy - half, cy + half);
			}
			for (const side of [scale, -scale]) {
				const t = (x + 0.5 - ax - side * dy) / dx;
				if (t >= 0 && t <= 1) ys.push(ay + t * dy - side * dx);
			}
			add(x, Math.ceil(Math.min(...ys) - 0.5), Math.floor(Math.max(...ys) + 0.5));
		}
	});
	return combine(runs, starts, stops, erase);
}
