"""Segments of a SEG: what each instance is, by codes, and what found it (PS3.3 C.8.20)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from solo.contract.manifest import ClassCodes
from solo.errors import NoCodesError
from solo.formats.dicom.modules import ascii_text, coded
from solo.formats.dicom.uids import derived_uid
from solo.formats.pictures import COLOURS
from solo.result import Instance, ModelIdentity, Result


def segment_names(instances: Sequence[Instance]) -> list[str]:
    """Labels, with a number where a class has several: `lung 1`, `lung 2`."""
    of_class = Counter(instance.label for instance in instances)
    seen, names = Counter[str](), []
    for instance in instances:
        seen[instance.label] += 1
        number = f" {seen[instance.label]}" if of_class[instance.label] > 1 else ""
        names.append(ascii_text(instance.label, 56) + number)
    return names


def segments(result: Result, class_codes: Mapping[str, ClassCodes], uid: str) -> list[Dataset]:
    """The items of Segment Sequence, one for each instance (PS3.3 C.8.20.4).

    Args:
        result: with the instances.
        class_codes: by label.
        uid: of the SEG, which those for tracking are derived from.

    Raises:
        NoCodesError: for an instance whose class has no codes.
    """
    names = segment_names(result.instances)
    found = []
    for number, (instance, name) in enumerate(zip(result.instances, names, strict=True), 1):
        class_code = class_codes.get(instance.label)
        if class_code is None:
            raise NoCodesError(
                f"the model's file has no codes for its class {instance.label!r}, and a DICOM SEG "
                "names what it shows by codes: export the model with them in `class_codes`"
            )
        segment = _segment(number, name, class_code)
        _tell_algorithm(segment, instance, result.model)
        segment.TrackingID = f"{name} of {ascii_text(result.model.name)}"
        segment.TrackingUID = derived_uid(uid, "tracking", str(number))
        found.append(segment)
    return found


def _tell_algorithm(segment: Dataset, instance: Instance, model: ModelIdentity) -> None:
    """Says what made a mask; no algorithm is named of one that a person drew (C.8.20.2)."""
    segment.SegmentAlgorithmType = instance.algorithm_type
    match instance.algorithm_type:
        case "AUTOMATIC":
            segment.SegmentDescription = f"score {instance.score:.3f}"
        case "SEMIAUTOMATIC":
            segment.SegmentDescription = "corrected by a person"
        case "MANUAL":
            segment.SegmentDescription = "drawn by a person"
            return
    segment.SegmentAlgorithmName = ascii_text(model.name)
    algorithm = Dataset()
    algorithm.AlgorithmFamilyCodeSequence = [coded(codes.DCM.ArtificialIntelligence)]
    algorithm.AlgorithmName = ascii_text(model.name)
    algorithm.AlgorithmVersion = ascii_text(model.version)
    segment.SegmentationAlgorithmIdentificationSequence = [algorithm]


def _segment(number: int, name: str, found: ClassCodes) -> Dataset:
    segment = Dataset()
    segment.SegmentNumber, segment.SegmentLabel = number, name
    segment.SegmentedPropertyCategoryCodeSequence = [coded(found.category)]
    kind = coded(found.type)
    if found.side is not None:
        kind.SegmentedPropertyTypeModifierCodeSequence = [coded(found.side)]
    segment.SegmentedPropertyTypeCodeSequence = [kind]
    segment.RecommendedDisplayCIELabValue = cielab(COLOURS[(number - 1) % len(COLOURS)])
    return segment


def cielab(colour: tuple[int, int, int]) -> list[int]:
    """A colour of the overlays, BGR in 8 bits, as PS3.3 C.10.7.1.1 scales CIELab: uint16 each."""
    pixel = np.array([[colour]], np.float32) / 255
    lightness, a, b = cv2.cvtColor(pixel, cv2.COLOR_BGR2Lab)[0, 0].tolist()
    scaled = (lightness / 100, (a + 128) / 255, (b + 128) / 255)
    return [round(min(max(one, 0), 1) * 65535) for one in scaled]
