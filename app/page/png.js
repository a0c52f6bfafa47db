// PNG of 8-bit grey (ISO/IEC 15948), by the browser's own deflate.

import { crc32 } from "./zip.js";

/** @type {Chunk} */
function chunk(type, data) {
	const out = new Uint8Array(12 + data.length), view = new DataView(out.buffer);
	view.setUint32(0, data.length);
	out.set(new TextEncoder().encode(type), 4);
	out.set(data, 8);
	view.setUint32(8 + data.length, crc32(out.subarray(4, 8 + data.length)));
	return out;
}

/** @type {WritePng} */
export async function writePng(grey, { height, width }) {
	const rows = new Uint8Array(height * (width + 1)); // each begins with its filter: 1, differences
	for (let y = 0, from = 0, to = 0; y < height; y++) {
		rows[to++] = 1;
		for (let x = 0, last = 0; x < width; x++, last = grey[from++]) rows[to++] = grey[from] - last;
	}
	const deflated = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
	const header = new Uint8Array(13), view = new DataView(header.buffer);
	view.setUint32(0, width);
	view.setUint32(4, height);
	header[8] = 8; // bits of grey; what follows is 0 for all that is usual
	const data = new Uint8Array(await new Response(deflated).arrayBuffer());
	const chunks = [chunk("IHDR", header), chunk("IDAT", data), chunk("IEND", new Uint8Array())];
	return new Blob([new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]), ...chunks], { type: "image/png" });
}
