"""Codes of classes in a model's description: by name, and as DICOM has them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.sr.codedict import codes

from export.class_codes import read_class_codes, tell_missing_codes
from export.onnx_export import read_about, read_manifest
from model.data.common_codes import common_codes
from solo.contract.manifest import ClassCodes, Code, ManifestError

ZOO = Path(__file__).parents[3] / "model" / "zoo"
ANATOMY = "91723000, SCT, Anatomical Structure"
LUNG = {"category": ANATOMY, "type": "39607008, SCT, Lung"}


def test_codes_come_in_the_order_of_the_classes() -> None:
    side = "24028007, SCT, Right"
    found = read_class_codes({"right lung": {**LUNG, "side": side}}, ("ball", "right lung"))
    assert found[0] is None
    assert ClassCodes.model_validate(found[1]) == ClassCodes(
        category=Code(value="91723000", scheme="SCT", meaning="Anatomical Structure"),
        type=Code(value="39607008", scheme="SCT", meaning="Lung"),
        side=Code(value="24028007", scheme="SCT", meaning="Right"),
    )
    assert read_class_codes({}, ("ball",)) == ()


def test_common_names_have_codes_without_being_asked() -> None:
    heart, right = read_class_codes({}, ("heart", "Right_Lung"))
    assert heart["type"] == {"value": "80891009", "scheme": "SCT", "meaning": "Heart"}
    assert heart["side"] is None
    assert (right["type"]["value"], right["side"]["value"]) == ("39607008", "24028007")
    nodule = common_codes("nodule")
    assert nodule is not None
    assert nodule["category"]["value"] == "49755003"


@pytest.mark.parametrize("name", ["ball", "left", "lung nodule", "", "lung left", "hearts"])
def test_no_code_is_invented(name: str) -> None:
    assert common_codes(name) is None


def test_codes_that_are_missing_are_asked_for() -> None:
    model = read_manifest(ZOO / "thorax-anatomy.onnx")
    assert tell_missing_codes(model) == ""
    without = model.model_copy(update={"class_codes": (None, *model.class_codes[1:])})
    assert "no codes for rib:" in tell_missing_codes(without)
    assert "vertebra" in tell_missing_codes(model.model_copy(update={"class_codes": ()}))


def test_a_meaning_may_hold_commas() -> None:
    entry = {"category": ANATOMY, "type": "1, 99LOCAL, Implant, of metal"}
    (found,) = read_class_codes({"implant": entry}, ("implant",))
    assert found["type"]["meaning"] == "Implant, of metal"


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"lungs": LUNG}, "are for 'lungs', but the network's classes are lung, heart"),
        ([LUNG], "class_codes is a table with an entry for each class"),
        ({"lung": "39607008"}, "class_codes.lung is a table of category, type and side"),
        ({"lung": {**LUNG, "type": "39607008"}}, "class_codes.lung.type is a text such as"),
        ({"lung": {**LUNG, "type": "39607008, , Lung"}}, "not '39607008, , Lung'"),
        ({"lung": {**LUNG, "type": 39607008}}, "not 39607008"),
    ],
)
def test_what_is_no_table_of_codes_is_a_sentence(table: object, sentence: str) -> None:
    with pytest.raises(ManifestError) as refused:
        read_class_codes(table, ("lung", "heart"))
    assert sentence in str(refused.value)


@pytest.mark.parametrize("path", sorted(ZOO.glob("*.toml")), ids=lambda path: path.stem)
def test_codes_of_the_zoo_are_in_dicoms_dictionary(path: Path) -> None:
    table = read_about(path)["class_codes"]
    for name, entry in zip(table, read_class_codes(table, tuple(table)), strict=True):
        found = ClassCodes.model_validate(entry)
        kind = getattr(codes.SCT, name.capitalize())
        assert (found.type.value, found.type.meaning) == (kind.value, kind.meaning)
        assert found.type.scheme == found.category.scheme == "SCT"
        category = codes.SCT.AnatomicalStructure
        assert (found.category.value, found.category.meaning) == (category.value, category.meaning)
        assert found.side is None
