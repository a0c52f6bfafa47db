// Reads SEG objects as OHIF does, and writes the pixels of each segment: node read.js OUT FILE...
// A SEG refers to its film alone, so that its own head says all that the viewer knows of the film.
import { adaptersSEG } from "@cornerstonejs/adapters";
import { metaData } from "@cornerstonejs/core";
import dcmjs from "dcmjs";
import fs from "fs";

const PLANE = {
  rowCosines: [1, 0, 0],
  columnCosines: [0, 1, 0],
  imageOrientationPatient: [1, 0, 0, 0, 1, 0],
  imagePositionPatient: [0, 0, 0],
};

/** What a viewer knows of the film that a SEG refers to, by the names of its metadata modules. */
function filmOf(buffer) {
  const { dict } = dcmjs.data.DicomMessage.readFile(buffer);
  const seg = dcmjs.data.DicomMetaDictionary.naturalizeDataset(dict);
  const series = [seg.ReferencedSeriesSequence].flat()[0];
  const image = [series.ReferencedInstanceSequence].flat()[0];
  const instance = {
    SOPInstanceUID: image.ReferencedSOPInstanceUID,
    SOPClassUID: image.ReferencedSOPClassUID,
    SeriesInstanceUID: series.SeriesInstanceUID,
    StudyInstanceUID: seg.StudyInstanceUID,
    Rows: seg.Rows,
    Columns: seg.Columns,
    ImageOrientationPatient: PLANE.imageOrientationPatient,
  };
  return {
    instance,
    imagePlaneModule: { rows: seg.Rows, columns: seg.Columns, ...PLANE },
    generalSeriesModule: { seriesInstanceUID: series.SeriesInstanceUID, modality: "DX" },
    generalImageModule: { sopInstanceUID: instance.SOPInstanceUID },
    sopCommonModule: { sopInstanceUID: instance.SOPInstanceUID, sopClassUID: instance.SOPClassUID },
  };
}

async function pixelsOf(path) {
  const file = fs.readFileSync(path);
  const buffer = file.buffer.slice(file.byteOffset, file.byteOffset + file.length);
  const film = filmOf(buffer);
  const provider = { get: (name) => film[name] };
  metaData.removeAllProviders();
  metaData.addProvider(provider.get);
  const read = await adaptersSEG.Cornerstone3D.Segmentation.createFromDICOMSegBuffer(
    [`film:${film.instance.SOPInstanceUID}`],
    buffer,
    { metadataProvider: provider },
  );
  const counts = {};
  for (const image of read.labelMapImages.flat())
    for (const segment of image.voxelManager.getScalarData())
      if (segment) counts[segment] = (counts[segment] ?? 0) + 1;
  return Object.keys(counts).sort((one, other) => one - other).map((segment) => counts[segment]);
}

(async () => {
  const [out, ...paths] = process.argv.slice(2);
  const pixels = [];
  for (const path of paths)
    pixels.push(await pixelsOf(path).catch((error) => String(error)));
  fs.writeFileSync(out, JSON.stringify(pixels));
})();
