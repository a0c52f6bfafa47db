/** ZIP archives (PKWARE APPNOTE 6.3): written stored, read stored or deflated. */

const MOST = 2 ** 32 - 1;  // what zip64 begins with
const ZIP64 = "is one for more than 4 GiB (zip64)";
const LETTERS = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑ";  // of DOS, from 128 on

const CRCS = Uint32Array.from({ length: 256 }, (_, crc) => {
	for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
	return crc;
});

/** CRC-32 of bytes that follow others. @param {Uint8Array} bytes @param {number} before */
export function crc32(bytes, before = 0) {
	let crc = ~before;
	for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ CRCS[(crc ^ bytes[i]) & 255];
	return ~crc >>> 0;
}

/** Numbers of two bytes, in lists those of four. @param {(number | [number])[]} fields */
const pack = (...fields) => Uint8Array.from(fields.flatMap((field) =>
	typeof field === "number" ? [field, field >> 8] : [0, 8, 16, 24].map((bit) => field[0] >>> bit)));

/**
 * Equal bytes for equal entries: no compression, all of 1980-01-01.
 * @param {[name: string, content: Blob][]} entries
 */
export async function writeZip(entries) {
	/** @type {BlobPart[][]} */
	const [files, directory] = [[], []];
	let offset = 0, length = 0;
	for (const [path, content] of entries) {
		const name = new TextEncoder().encode(path), size = content.size;
		const crc = crc32(new Uint8Array(await content.arrayBuffer()));
		// Version 2.0, name in UTF-8, stored, 0:00 of the first day.
		const facts = pack(20, 0x800, 0, 0, 33, [crc], [size], [size], name.length, 0);
		files.push(pack([0x04034b50]), facts, name, content);
		directory.push(pack([0x02014b50], 20), facts, pack(0, 0, 0, [0], [offset]), name);
		offset += 30 + name.length + size;
		length += 46 + name.length;
	}
	const count = entries.length;
	if (count > 20000 || offset + length >= MOST) {
		throw new Error("This is too much for one zip: save fewer films.");
	}
	const end = pack([0x06054b50], 0, 0, count, count, [length], [offset], 0);
	return new Blob([...files, ...directory, end]);
}

/** @param {unknown} fine @param {string} [fault] */
function check(fine, fault = "is damaged") {
	if (!fine) throw new Error(`The zip ${fault}: make a plain one.`);
}

/** @param {Blob} blob @param {number} from @param {number} size */
async function read(blob, from, size) {
	const data = new DataView(await blob.slice(from, from + size).arrayBuffer());
	check(data.byteLength === size);
	return {
		u16: (/** @type {number} */ at) => data.getUint16(at, true),
		u32: (/** @type {number} */ at) => data.getUint32(at, true),
		bytes: (/** @type {number} */ at, /** @type {number} */ end) =>
			new Uint8Array(data.buffer).slice(at, end),
	};
}

/**
 * Files by their paths, without folders and the `__MACOSX/` of macOS.
 * @param {Blob} zip
 * @returns {Promise<Map<string, Blob>>}
 */
export async function readZip(zip) {
	const size = Math.min(zip.size, 65557), tail = await read(zip, zip.size - size, size);
	let end = size - 22;
	const isEnd = () => tail.u32(end) === 0x06054b50 && end + 22 + tail.u16(end + 20) <= size;
	while (end >= 0 && !isEnd()) end--;
	check(end >= 0, "is cut off, or no zip at all");
	const count = tail.u16(end + 10), length = tail.u32(end + 12), offset = tail.u32(end + 16);
	const isLarge = end >= 20 && tail.u32(end - 20) === 0x07064b50;
	check(!isLarge && Math.max(offset, length) < MOST, ZIP64);
	check(count <= 20000, "has more than 20,000 entries");
	const first = zip.size - size + end - length, before = first - offset;
	check(before >= 0 && tail.u16(end + 4) === 0 && tail.u16(end + 8) === count);
	const directory = await read(zip, first, length), entries = [];
	for (let at = 0; at < length; ) {
		check(at + 46 <= length && directory.u32(at) === 0x02014b50);
		const [flags, method, named] = [8, 10, 28].map((field) => directory.u16(at + field));
		const [crc, packed, full, start] = [16, 20, 24, 42].map((field) => directory.u32(at + field));
		check(!(flags & 0x2041), "is encrypted");
		check(method === 0 || method === 8, "is packed by another method than Deflate");
		check(Math.max(packed, full, start) < MOST, ZIP64);
		check(full <= 2 ** 29, "has a file of more than 512 MiB");
		check(at + 46 + named <= length);
		const name = nameOf(directory.bytes(at + 46, at + 46 + named));
		entries.push({ name, method, crc, packed, full, start: start + before });
		at += 46 + named + directory.u16(at + 30) + directory.u16(at + 32);
	}
	check(entries.length === count);
	const all = entries.reduce((sum, { full }) => sum + full, 0);
	check(all <= MOST, "holds more than 4 GiB");
	// As `python -m datasets.gather` has it; films and run lengths do not come near it.
	check(all <= 100 * zip.size + 2 ** 26, "would grow more than a hundredfold, as no data set does");
	const files = new Map();
	let past = 0;
	for (const { name, start, packed, ...entry } of entries.sort((a, b) => a.start - b.start)) {
		check(start >= past, "has entries that overlap");
		const local = await read(zip, start, 30), from = start + 30 + local.u16(26) + local.u16(28);
		past = from + packed;
		check(local.u32(0) === 0x04034b50);
		check(past <= first, "has entries that overlap");
		const content = await unpack(zip.slice(from, past), entry);
		if (name.endsWith("/") || name.startsWith("__MACOSX/")) continue;
		check(!files.has(name), "has two files of the same name");
		files.set(name, content);
	}
	return files;
}

/** A path in UTF-8, said or not, or in DOS's letters. @param {Uint8Array} bytes */
function nameOf(bytes) {
	let name;
	try {
		name = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
	} catch {
		const letters = Array.from(bytes, (byte) => String.fromCharCode(byte));
		name = letters.map((letter, i) => LETTERS[bytes[i] - 128] ?? letter).join("");
	}
	return name.replaceAll("\\", "/");
}

/** @param {Blob} packed @param {{method: number, full: number, crc: number}} entry */
async function unpack(packed, { method, full, crc }) {
	/** @type {ReadableStream<Uint8Array<ArrayBuffer>>} */
	const plain = packed.stream();
	const stream = method ? plain.pipeThrough(new DecompressionStream("deflate-raw")) : plain;
	const reader = stream.getReader();
	const parts = [];
	let length = 0, sum = 0;
	for (;;) {
		const { value } = await reader.read().catch(() => ({ value: null }));
		if (!value) break;
		length += value.length;
		if (length > full) break;
		sum = crc32(value, sum);
		if (method) parts.push(value);
	}
	reader.cancel().catch(() => {});  // of a bomb
	check(length === full && sum === crc);
	return method ? new Blob(parts) : packed;
}
