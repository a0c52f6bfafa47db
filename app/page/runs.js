/** Masks as COCO run lengths: pixels down the columns, background and mask in turn. */

/** @type {WeakMap<Uint32Array, Uint32Array>} */
const sumsOf = new WeakMap();

/**
 * Run lengths, checked.
 * @param {number[]} lengths @param {number} [pixels] height times width, where known
 */
export function toRuns(lengths, pixels) {
  const sum = lengths.reduce((sum, run) => (run >= 0 ? sum + run : NaN), 0);
  if (!(sum > 0 && sum < 2 ** 32) || sum !== (pixels ?? sum)) {
    throw new Error("The run lengths of a mask do not add up to its film.");
  }
  return Uint32Array.from(lengths);
}

/**
 * COCO's compressed form: five bits a letter, lowest first; from the fourth run on the difference
 * to the run before the last.
 * @param {string} text @param {number} [pixels] height times width, where known
 */
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

/** COCO's compressed form, as pycocotools writes it. @param {Uint32Array} runs */
export function encodeCounts(runs) {
  let text = "";
  for (let i = 0; i < runs.length; i++) {
    let value = runs[i] - (i > 2 ? runs[i - 2] : 0);
    for (let more = true; more; ) {
      const bits = value & 31;
      value = Math.floor(value / 32);
      more = value !== (bits & 16 ? -1 : 0);
      text += String.fromCharCode(48 + bits + (more ? 32 : 0));
    }
  }
  return text;
}

/** A mask without a pixel. @param {number} height @param {number} width */
export const emptyRuns = (height, width) => Uint32Array.of(height * width);

/** Pixels of a mask. @param {Uint32Array} runs */
export const areaOf = (runs) => runs.reduce((area, run, i) => (i % 2 ? area + run : area), 0);

/**
 * A mask's pieces of single columns: the columns `xs`, and in `ys` the first row of each and the
 * row after its last.
 * @param {Uint32Array} runs @param {number} height
 */
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

/**
 * The tight [x, y, width, height]; zeros without a pixel.
 * @param {Uint32Array} runs @param {number} height
 */
export function boxOf(runs, height) {
  const { xs, ys } = columnsOf(runs, height);
  if (!xs.length) return [0, 0, 0, 0];
  const top = ys.reduce((a, b) => Math.min(a, b)), bottom = ys.reduce((a, b) => Math.max(a, b));
  return [xs[0], top, xs[xs.length - 1] + 1 - xs[0], bottom - top];
}

/**
 * Whether a mask has the pixel of a point: by binary search, since a hover asks many masks.
 * @param {Uint32Array} runs @param {number} height @param {number} x @param {number} y
 */
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
