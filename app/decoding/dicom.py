"""DICOM radiographs."""

from __future__ import annotations

from app.decoding.dicom_file import parse_dicom
from app.decoding.dicom_pixels import read_frame
from app.decoding.elements import numbers, text
from app.decoding.grey import to_grey
from app.decoding.grey_description import GreyDescription
from app.decoding.modalities import check_projection
from app.decoding.pixel_layout import PixelLayout
from app.decoding.radiograph import Limits, Radiograph
from app.decoding.spacing import choose_spacing
from app.errors import NotSegmentableError


def decode_dicom(data: bytes | memoryview, limits: Limits, frame: int) -> Radiograph:
    """Decodes one frame of a DICOM file.

    Raises:
        ServiceError: one of those that `app.decoding.decode` names.
    """
    file = parse_dicom(data)
    dataset = file.dataset
    check_projection(text(dataset, "SOPClassUID"), text(dataset, "Modality"))
    if file.pixel_data is None:
        raise NotSegmentableError("the DICOM object has no pixel data")
    layout = PixelLayout.of(dataset, limits)
    description = GreyDescription.of(dataset)
    cells = read_frame(file, layout, frame)
    if layout.samples == 1:
        pixels, recipe = to_grey(cells, description)
    else:
        pixels, recipe = cells, "as_stored"
    return Radiograph(
        pixels=pixels,
        spacing=choose_spacing(
            numbers(dataset, "ImagerPixelSpacing"),
            numbers(dataset, "PixelSpacing"),
            text(dataset, "PixelSpacingCalibrationType"),
        ),
        grey=recipe,
        frame=frame,
        kind="dicom",
        encoding=str(file.transfer_syntax),
        frames=layout.frames,
    )
