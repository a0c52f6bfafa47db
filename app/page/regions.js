/** Regions of a mask: holes, pieces and the insides of polygons, on run lengths alone. */
import { columnsOf, combine, emptyRuns } from "./runs.js";

const MOST_CROSSINGS = 1 << 24;

/**
 * For each piece of a column the first one of those that hang together with it (union-find).
 * @param {number[]} xs @param {number[]} ys as `columnsOf` has them
 * @param {0 | 1} reach 1 where corners connect (8-connected), else 0 (4-connected)
 */
function connect(xs, ys, reach) {
  const parents = Uint32Array.from(xs, (_, i) => i);
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
  return parents.map((_, i) => root(i));
}

/**
 * The mask with, or without, some of its pieces of columns.
 * @param {Uint32Array} runs @param {number} height
 * @param {{xs: number[], ys: number[]}} columns
 * @param {(i: number) => boolean} chosen
 * @param {boolean} erase
 */
function change(runs, height, { xs, ys }, chosen, erase) {
  const some = [...xs.keys()].filter(chosen);
  const edges = [0, 1].map((end) => some.map((i) => xs[i] * height + ys[2 * i + end]));
  return combine(runs, edges[0], edges[1], erase);
}

/**
 * The mask with its holes filled: background that no 4-connected way leads out of to the film's
 * border. The same array where there is none.
 * @param {Uint32Array} runs
 * @param {number} height
 * @param {number} width
 */
export function fillHoles(runs, height, width) {
  const columns = columnsOf(inverse(runs), height);
  const { xs, ys } = columns;
  const roots = connect(xs, ys, 0), open = new Uint8Array(xs.length);
  roots.forEach((root, i) => {
    const atSide = xs[i] === 0 || xs[i] === width - 1;
    if (atSide || ys[2 * i] === 0 || ys[2 * i + 1] === height) open[root] = 1;
  });
  return change(runs, height, columns, (i) => !open[roots[i]], false);
}

/** The background as a mask. @param {Uint32Array} runs */
function inverse(runs) {
  const result = new Uint32Array(runs.length + 1);
  result.set(runs, 1);
  return result;
}

/**
 * The largest 8-connected piece of a mask, as `solo.masks` counts pieces; the leftmost of several.
 * The same array where there is one piece.
 * @param {Uint32Array} runs
 * @param {number} height
 */
export function keepLargest(runs, height) {
  const columns = columnsOf(runs, height), { xs, ys } = columns;
  const roots = connect(xs, ys, 1), areas = new Float64Array(xs.length);
  roots.forEach((root, i) => (areas[root] += ys[2 * i + 1] - ys[2 * i]));
  const largest = areas.indexOf(areas.reduce((a, b) => Math.max(a, b), 0));
  return change(runs, height, columns, (i) => roots[i] !== largest, true);
}

/**
 * The union of polygons. A pixel belongs to a polygon where its centre lies inside by the even-odd
 * rule; of centres on an edge those at the left and upper edges do.
 * @param {number[][]} polygons x and y in turn, pixels' corners at integers
 * @param {number} height
 * @param {number} width
 */
export function fromPolygons(polygons, height, width) {
  /** @type {number[]} */
  const starts = [], stops = /** @type {number[]} */ ([]);
  let count = 0;
  for (const polygon of polygons) {
    /** @type {number[]} */
    const crossings = [];
    if (polygon.length < 6 || polygon.length % 2) {
      throw new Error("A polygon needs three or more pairs of x and y.");
    }
    if (!polygon.every((value) => typeof value === "number" && Math.abs(value) < 2 ** 31)) {
      throw new Error("A polygon holds something other than numbers of pixels.");
    }
    for (let i = 0, j = polygon.length - 2; i < polygon.length; j = i, i += 2) {
      const ax = polygon[j], ay = polygon[j + 1], bx = polygon[i], by = polygon[i + 1];
      const end = Math.min(width, Math.ceil(Math.max(ax, bx) - 0.5));
      const first = Math.max(0, Math.ceil(Math.min(ax, bx) - 0.5));
      count += Math.max(0, end - first);
      if (count > MOST_CROSSINGS) {
        throw new Error("The polygons of a mask cross too many columns: draw them with fewer points.");
      }
      for (let x = first; x < end; x++) {
        const y = ay + ((x + 0.5 - ax) / (bx - ax)) * (by - ay);
        crossings.push(x * height + Math.min(height, Math.max(0, Math.ceil(y - 0.5))));
      }
    }
    // A column has an even number of them, so that those of one at its end end it.
    Uint32Array.from(crossings).sort().forEach((at, i) => (i % 2 ? stops : starts).push(at));
  }
  const [first, last] = [starts, stops].map((edges) => Uint32Array.from(edges).sort());
  return combine(emptyRuns(height, width), first, last, false);
}
