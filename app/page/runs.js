/** COCO run lengths: a mask as pixels down the columns, background and mask in turn. */

/** @type {WeakMap<Uint32Array, Uint32Array>} */
const ends = new WeakMap();

/**
 * Reads COCO's compressed run lengths: five bits a character, lowest first; from the fourth run on
 * differences to the run before the last.
 * @param {string} text
 * @param {number} [pixels] height times width, which the runs have to add up to
 */
export function decodeCounts(text, pixels) {
  const runs = new Uint32Array(text.length);
  let count = 0, sum = 0, value = 0, shift = 0;
  for (let i = 0; i < text.length; i++) {
    const bits = text.charCodeAt(i) - 48;
    if (!(bits >= 0 && bits < 64) || shift > 30) {
      throw new Error("The run lengths of a mask are not in COCO's compressed form.");
    }
    value += (bits & 31) * 2 ** shift;
    shift += 5;
    if (bits & 32) continue;
    if (bits & 16) value -= 2 ** shift;
    if (count > 2) value += runs[count - 2];
    sum += value;
    if (value < 0 || sum >= 2 ** 32) {
      throw new Error("The run lengths of a mask are below 0 or too large.");
    }
    runs[count++] = value;
    value = shift = 0;
  }
  if (shift) throw new Error("The run lengths of a mask end within a number.");
  if (pixels !== undefined) checkSum(sum, pixels);
  return runs.slice(0, count);
}

/** @param {number} sum @param {number} pixels */
export function checkSum(sum, pixels) {
  if (sum !== pixels) throw new Error("The run lengths of a mask do not add up to its film.");
}

/** Writes COCO's compressed run lengths, as pycocotools does. @param {Uint32Array} runs */
export function encodeCounts(runs) {
  const text = new Uint8Array(7 * runs.length);
  let length = 0;
  for (let i = 0; i < runs.length; i++) {
    let value = runs[i] - (i > 2 ? runs[i - 2] : 0);
    for (let more = true; more; ) {
      const bits = value & 31;
      value = Math.floor(value / 32);
      more = value !== (bits & 16 ? -1 : 0);
      text[length++] = 48 + bits + (more ? 32 : 0);
    }
  }
  return new TextDecoder().decode(text.subarray(0, length));
}

/** A mask without a pixel. @param {number} height @param {number} width */
export const emptyRuns = (height, width) => Uint32Array.of(height * width);

/** Pixels of a mask. @param {Uint32Array} runs */
export function areaOf(runs) {
  let area = 0;
  for (let i = 1; i < runs.length; i += 2) area += runs[i];
  return area;
}

/**
 * The tight box [x, y, width, height] of a mask; zeros where it is empty.
 * @param {Uint32Array} runs
 * @param {number} height
 * @returns {[number, number, number, number]}
 */
export function boxOf(runs, height) {
  let left = Infinity, top = Infinity, right = -1, bottom = -1;
  for (let i = 1, at = runs[0]; i < runs.length; at += runs[i] + (runs[i + 1] ?? 0), i += 2) {
    if (!runs[i]) continue;
    const last = at + runs[i] - 1, x = Math.floor(at / height), end = Math.floor(last / height);
    left = Math.min(left, x);
    right = end;
    top = x < end ? 0 : Math.min(top, at % height);
    bottom = x < end ? height - 1 : Math.max(bottom, last % height);
  }
  return right < 0 ? [0, 0, 0, 0] : [left, top, right - left + 1, bottom - top + 1];
}

/**
 * Whether the film's point (x, y) lies in a mask. The sums are kept: many points are asked of a mask.
 * @param {Uint32Array} runs
 * @param {number} height
 * @param {number} x
 * @param {number} y
 */
export function contains(runs, height, x, y) {
  let sums = ends.get(runs);
  if (!sums) {
    let sum = 0;
    ends.set(runs, (sums = runs.map((run) => (sum += run))));
  }
  const at = Math.floor(x) * height + Math.floor(y);
  if (!(x >= 0 && y >= 0 && y < height && at < sums[sums.length - 1])) return false;
  let low = 0, high = sums.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sums[middle] <= at) low = middle + 1;
    else high = middle;
  }
  return low % 2 === 1;
}

/**
 * Adds intervals of pixels to a mask or takes them from it; the same array where nothing changes.
 * @param {Uint32Array} runs
 * @param {ArrayLike<number>} starts first pixels, counted down the columns; ascending
 * @param {ArrayLike<number>} stops pixels after the last ones, ascending by themselves
 * @param {boolean} erase
 */
export function combine(runs, starts, stops, erase) {
  const total = runs.reduce((sum, run) => sum + run, 0);
  const result = new Uint32Array(runs.length + 2 * starts.length + 1);
  let count = 0, from = 0, was = false, edge = runs[0], run = 0, start = 0, stop = 0;
  for (;;) {
    const at = Math.min(edge, starts[start] ?? total, stops[stop] ?? total);
    if (at >= total) break;
    while (edge === at) edge += runs[++run];
    while (starts[start] === at) start++;
    while (stops[stop] === at) stop++;
    const inside = run % 2 === 1;
    const is = erase ? inside && start === stop : inside || start > stop;
    if (is === was) continue;
    result[count++] = at - from;
    from = at;
    was = is;
  }
  result[count++] = total - from;
  // What only grows or only shrinks is the same where its area is.
  return areaOf(result) === areaOf(runs) ? runs : result.slice(0, count);
}

/**
 * Paints or erases a disc swept along a line; the same array where nothing changes. A pixel belongs
 * to it where its centre lies in it, or one of the points in the pixel.
 * @param {Uint32Array} runs
 * @param {number} height
 * @param {number} width
 * @param {{points: number[][], radius: number}} stroke in the film's pixels, corners at integers
 * @param {boolean} erase
 */
export function paint(runs, height, width, { points, radius }, erase) {
  /** @type {number[]} */
  const starts = [], stops = /** @type {number[]} */ ([]);
  /** @param {number} x @param {number} first @param {number} stop */
  const add = (x, first, stop) => {
    first = Math.max(first, 0);
    stop = Math.min(stop, height);
    if (x < 0 || x >= width || !(first < stop)) return;
    starts.push(x * height + first);
    stops.push(x * height + stop);
  };
  const r = Math.max(radius, 0.5);
  points.forEach(([bx, by], i) => {
    const [ax, ay] = points[Math.max(i - 1, 0)];
    const dx = bx - ax, dy = by - ay, scale = r / (Math.hypot(dx, dy) || 1);
    add(Math.floor(bx), Math.floor(by), Math.floor(by) + 1);
    const end = Math.min(width, Math.floor(Math.max(ax, bx) + r + 0.5));
    for (let x = Math.max(0, Math.ceil(Math.min(ax, bx) - r - 0.5)); x < end; x++) {
      let low = Infinity, high = -Infinity;
      /** @param {number} y @param {number} half */
      const reach = (y, half) => {
        low = Math.min(low, y - half);
        high = Math.max(high, y + half);
      };
      for (const [cx, cy] of [[ax, ay], [bx, by]]) {
        const square = r * r - (x + 0.5 - cx) ** 2;
        if (square >= 0) reach(cy, Math.sqrt(square));
      }
      for (const side of [scale, -scale]) {  // the straight edges between the two discs
        const t = (x + 0.5 - ax - side * dy) / dx;
        if (t >= 0 && t <= 1) reach(ay + t * dy - side * dx, 0);
      }
      add(x, Math.ceil(low - 0.5), Math.floor(high + 0.5));
    }
  });
  return combine(runs, Uint32Array.from(starts).sort(), Uint32Array.from(stops).sort(), erase);
}

/**
 * The mask's pieces of single columns: in `xs` the column of each, in `ys` its first row and the row
 * after its last.
 * @param {Uint32Array} runs
 * @param {number} height
 */
export function columnsOf(runs, height) {
  /** @type {number[]} */
  const xs = [], ys = /** @type {number[]} */ ([]);
  for (let i = 1, at = runs[0]; i < runs.length; at += runs[i] + (runs[i + 1] ?? 0), i += 2) {
    for (let y = at % height, x = (at - y) / height, left = runs[i]; left > 0; x++, y = 0) {
      const stop = Math.min(y + left, height), last = xs.length - 1;
      if (xs[last] === x && ys[2 * last + 1] === y) ys[2 * last + 1] = stop;  // a gap of no pixel
      else {
        xs.push(x);
        ys.push(y, stop);
      }
      left -= stop - y;
    }
  }
  return { xs, ys };
}
