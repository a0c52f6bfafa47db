"""Film reader of training and evaluation: the service's own decoder, on files of a data set."""

from __future__ import annotations

from model.data.coco import DatasetError, ImageRecord
from model.data.coco_values import MOST_PIXELS
from model.data.orientation import TURNED_BY_VIEWERS, orientation
from solo.contract.greyscale import Grey
from solo.decoding.decode import decode
from solo.decoding.quiet import quieten_decoders
from solo.decoding.radiograph import Limits
from solo.errors import SoloError

_LIMITS = Limits(MOST_PIXELS)


def read_radiograph(record: ImageRecord) -> Grey:
    """Decodes a record's frame to the bit as the service does.

    Orientation tags are ignored, so that outlines fit.

    Returns:
        uint8 or uint16 [height, width], the dtype's full range is black to white.

    Raises:
        DatasetError: if it cannot be decoded, or is not of the size that its annotations are for.
        OSError: if the file cannot be read from the disk.
    """
    content = record.path.read_bytes()
    image = _decode(content, record)
    if image.shape != (record.height, record.width):
        turned = image.shape == (record.width, record.height) and orientation(content) != 1
        raise DatasetError(
            f"image {record.image_id} is {image.shape[0]} x {image.shape[1]} pixels, "
            f"its annotations are for {record.height} x {record.width}"
            + (f": {record.path.name} has {TURNED_BY_VIEWERS}" if turned else "")
        )
    return image


def _decode(content: bytes, record: ImageRecord) -> Grey:
    fault = f"image {record.image_id} cannot be decoded: {record.path.name}"
    quieten_decoders()  # here, for every process that reads films comes by, whoever started it
    try:
        return decode(content, _LIMITS, record.frame).pixels
    except SoloError as error:
        raise DatasetError(f"{fault}: {error.detail}") from None
    except Exception:  # the text of an error that nobody foresaw may quote the file
        raise DatasetError(fault) from None
