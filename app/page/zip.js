/** ZIP archives (PKWARE APPNOTE 6.3): written without compression, read with or without it. */

const MOST_ENTRIES = 20000;
const MOST_BYTES = 512 * 2 ** 20;  // of an entry
const CP437 =
  "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀" +
  "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";

const CRCS = Uint32Array.from({ length: 256 }, (_, crc) => {
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  return crc;
});

/** CRC-32 of bytes after others. @param {Uint8Array} bytes @param {number} before */
function crc32(bytes, before) {
  let crc = ~before;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ CRCS[(crc ^ bytes[i]) & 255];
  return ~crc >>> 0;
}

/** Numbers of two bytes (positive) or four (in a list). @param {(number | [number])[]} fields */
function header(...fields) {
  return Uint8Array.from(
    fields.flatMap((field) =>
      typeof field === "number"
        ? [field, field >> 8]
        : [0, 8, 16, 24].map((shift) => field[0] >>> shift),
    ),
  );
}

/**
 * The same bytes for the same entries: without compression, all of 1980-01-01.
 * @param {[name: string, content: Blob][]} entries
 */
export async function writeZip(entries) {
  /** @type {(Uint8Array<ArrayBuffer> | Blob)[]} */
  const parts = [], directory = /** @type {Uint8Array<ArrayBuffer>[]} */ ([]);
  let offset = 0, listed = 0;
  for (const [text, content] of entries) {
    const name = new TextEncoder().encode(text), size = content.size;
    const crc = crc32(new Uint8Array(await content.arrayBuffer()), 0);
    // Version 2.0, a name in UTF-8, stored, at 0:00 of the first day that the format knows.
    const facts = header(20, 0x800, 0, 0, 33, [crc], [size], [size], name.length, 0);
    parts.push(header([0x04034b50]), facts, name, content);
    directory.push(header([0x02014b50], 20), facts, header(0, 0, 0, [0], [offset]), name);
    offset += 30 + name.length + size;
    listed += 46 + name.length;
  }
  const count = entries.length;
  if (count > MOST_ENTRIES || offset + listed >= 2 ** 32 - 1) {
    throw new Error("This is too much for one zip: save fewer films at a time.");
  }
  const end = header([0x06054b50], 0, 0, count, count, [listed], [offset], 0);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

/**
 * The files of an archive by their paths, without folders and what macOS adds (`__MACOSX/`).
 * @param {Blob} zip
 * @returns {Promise<Map<string, Blob>>}
 * @throws {Error} with a sentence, where it is damaged or not of the plain kind
 */
export async function readZip(zip) {
  const { entries, first } = await readDirectory(zip);
  /** @type {Map<string, Blob>} */
  const files = new Map();
  let past = 0, total = 0;
  for (const entry of entries.sort((a, b) => a.at - b.at)) {
    const local = await view(zip, entry.at, 30);
    check(local.byteLength === 30 && u32(local, 0) === 0x04034b50, DAMAGED);
    const start = entry.at + 30 + u16(local, 26) + u16(local, 28);
    check(entry.at >= past && start + entry.packed <= first, "Entries of the zip overlap: it is damaged.");
    past = start + entry.packed;
    check(
      entry.size <= MOST_BYTES && (total += entry.size) <= 2 ** 32,
      "The zip holds more than is read at once: files of up to 512 MiB, 4 GiB in all.",
    );
    const content = await unpack(zip.slice(start, past), entry);
    if (entry.name.endsWith("/") || entry.name.startsWith("__MACOSX/")) continue;
    check(!files.has(entry.name), "Two files in the zip have the same name: give each its own.");
    files.set(entry.name, content);
  }
  return files;
}

const DAMAGED = "The zip is damaged: make it again.";

/** @param {unknown} fine @param {string} otherwise @returns {asserts fine} */
function check(fine, otherwise) {
  if (!fine) throw new Error(otherwise);
}

/** @param {Blob} blob @param {number} at @param {number} length */
const view = async (blob, at, length) =>
  new DataView(await blob.slice(at, at + length).arrayBuffer());
/** @param {DataView} data @param {number} at */
const u16 = (data, at) => data.getUint16(at, true);
/** @param {DataView} data @param {number} at */
const u32 = (data, at) => data.getUint32(at, true);

/** The entries of the central directory, and where it begins. @param {Blob} zip */
async function readDirectory(zip) {
  const from = Math.max(0, zip.size - 65557), tail = await view(zip, from, 65557);
  let end = tail.byteLength - 22;
  while (end >= 0 && !(u32(tail, end) === 0x06054b50 && end + 22 + u16(tail, end + 20) <= tail.byteLength)) end--;
  check(end >= 0, "This is no zip, or the end of it is missing.");
  const count = u16(tail, end + 10), length = u32(tail, end + 12), offset = u32(tail, end + 16);
  const isZip64 = end >= 20 && u32(tail, end - 20) === 0x07064b50;
  check(!isZip64 && length < 2 ** 32 - 1 && offset < 2 ** 32 - 1, "The zip is of the kind for more than 4 GiB (zip64): make several small ones.");
  check(count <= MOST_ENTRIES, "The zip has more than 20,000 entries: make several small ones.");
  const first = from + end - length, shift = first - offset;  // of something before the zip
  check(shift >= 0 && u16(tail, end + 4) === 0 && u16(tail, end + 8) === count, DAMAGED);
  const data = await view(zip, first, length), entries = [];
  for (let at = 0; at < length; ) {
    check(at + 46 <= length && u32(data, at) === 0x02014b50, DAMAGED);
    const flags = u16(data, at + 8), method = u16(data, at + 10), size = u16(data, at + 28);
    check(!(flags & 0x2041), "The zip is encrypted: make one without a password.");
    check(method === 0 || method === 8, "The zip is packed by a method that browsers do not know: make one with Deflate.");
    const packed = u32(data, at + 20), full = u32(data, at + 24), begin = u32(data, at + 42);
    check(Math.max(packed, full, begin) < 2 ** 32 - 1, "The zip is of the kind for more than 4 GiB (zip64): make several small ones.");
    check(at + 46 + size <= length, DAMAGED);
    const name = readName(new Uint8Array(data.buffer, at + 46, size));
    entries.push({ name, method, crc: u32(data, at + 16), packed, size: full, at: begin + shift });
    at += 46 + size + u16(data, at + 30) + u16(data, at + 32);
  }
  check(entries.length === count, DAMAGED);
  return { entries, first };
}

/** A path in UTF-8, as macOS writes it without saying so, or in DOS's letters. @param {Uint8Array} bytes */
function readName(bytes) {
  let name;
  try {
    name = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    name = Array.from(bytes, (byte) => (byte < 128 ? String.fromCharCode(byte) : CP437[byte - 128])).join("");
  }
  return name.replaceAll("\\", "/");
}

/**
 * @param {Blob} packed
 * @param {{method: number, size: number, crc: number}} entry
 */
async function unpack(packed, { method, size, crc }) {
  /** @type {ReadableStream<Uint8Array<ArrayBuffer>>} */
  let stream = packed.stream();
  if (method === 8) stream = stream.pipeThrough(new DecompressionStream("deflate-raw"));
  const reader = stream.getReader(), chunks = [];
  let length = 0, sum = 0;
  for (;;) {
    const { done, value } = await reader.read().catch(() => { throw new Error(DAMAGED); });
    if (done) break;
    length += value.length;
    if (length > size) {
      await reader.cancel();
      break;
    }
    sum = crc32(value, sum);
    if (method === 8) chunks.push(value);
  }
  check(length === size && sum === crc, DAMAGED);
  return method === 8 ? new Blob(chunks) : packed;
}
