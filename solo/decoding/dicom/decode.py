"""DICOM decoding: from a file to one frame, ready for display."""

from __future__ import annotations

from functools import partial

from solo.decoding.dicom.elements import code, numbers
from solo.decoding.dicom.file import parse_dicom
from solo.decoding.dicom.frames import read_frame
from solo.decoding.dicom.pixel_layout import PixelLayout
from solo.decoding.dicom.sop_classes import projection_class
from solo.decoding.dicom.source_header import Presentation, read_source_header
from solo.decoding.dicom.voi import to_grey
from solo.decoding.dicom.voi_attributes import GreyDescription
from solo.decoding.pixel_spacing import choose_spacing
from solo.decoding.radiograph import Limits, Radiograph, RadiographInfo
from solo.decoding.stored_pixels import as_stored
from solo.errors import NotSegmentableError


def decode_dicom(data: bytes | memoryview, limits: Limits, frame: int) -> Radiograph:
    """Decodes one frame of a DICOM file.

    Raises:
        SoloError: one of those that `solo.decoding.decode` names.
    """
    file = parse_dicom(data)
    dataset = file.dataset
    sop_class = projection_class(
        code(dataset, "SOPClassUID"), file.media_class, code(dataset, "Modality")
    )
    if file.pixel_data is None:
        raise NotSegmentableError("the DICOM object has no pixel data")
    layout = PixelLayout.of(dataset, limits)
    description = GreyDescription.of(dataset, sop_class)
    cells = read_frame(file, layout, frame)
    presentation: Presentation | None = None
    if layout.samples == 1:
        pixels, recipe, stored, voi = to_grey(cells, description)
        presentation = Presentation.of(description, voi)
    else:
        pixels, recipe, stored = cells, "as_stored", partial(as_stored, cells)
    info = RadiographInfo(
        height=layout.rows,
        width=layout.columns,
        frame=frame,
        frames=layout.frames,
        grey=recipe,
        pixel_spacing=choose_spacing(
            numbers(dataset, "ImagerPixelSpacing"),
            numbers(dataset, "PixelSpacing"),
            code(dataset, "PixelSpacingCalibrationType"),
        ),
        kind="dicom",
        encoding=str(file.transfer_syntax),
    )
    header = partial(read_source_header, dataset, file.media_class, presentation)
    return Radiograph(pixels, info, stored, header)
