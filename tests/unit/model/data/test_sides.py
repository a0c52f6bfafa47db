"""Classes that differ by side, found by their names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.configuration.recipe import Augmentation, TrainConfig
from model.data.coco import load_coco
from model.data.dataset import TrainingStream
from model.data.sides import find_sides
from tests.support.coco_folder import annotation, document, image, write_unread

FDI = [f"{quadrant}{tooth}" for quadrant in (1, 2, 3, 4) for tooth in range(1, 9)]
ALPHABET = [f"part {letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("left lung", "right lung"),
        ("lung-left", "lung-right"),
        ("Lung (left)", "Lung (right)"),
        ("leftLung", "rightLung"),
        ("LEFT_LUNG", "RIGHT_LUNG"),
        ("leftlung", "rightlung"),
        ("lung_upper_lobe_left", "lung_upper_lobe_right"),
        ("L clavicle", "R clavicle"),
        ("clavicle_l", "clavicle_r"),
        ("LLung", "RLung"),
        ("rib L1", "rib R1"),
        ("Lt. lung", "Rt lung"),
        ("left", "right"),
        ("linke Lunge", "rechte Lunge"),
        ("Lunge links", "Lunge rechts"),
        ("linker Lungenflügel", "rechter Lungenflügel"),
        ("linkerlong", "rechterlong"),
        ("poumon gauche", "poumon droit"),
        ("clavicule gauche", "clavicule droite"),
        ("pulmón izquierdo", "pulmón derecho"),
        ("clavícula izquierda", "clavícula derecha"),
        ("pulmão esquerdo", "pulmão direito"),
        ("polmone sinistro", "polmone destro"),
        ("pulmo sinister", "pulmo dexter"),
        ("clavicula sinistra", "clavicula dextra"),
        ("levá plíce", "pravá plíce"),
        ("левое лёгкое", "правое лёгкое"),
        ("左肺", "右肺"),
        ("vertebra L4 left", "vertebra L4 right"),
        ("tooth 38", "tooth 48"),
        ("Zahn 75", "Zahn 85"),
        ("tooth 3.8", "tooth 4.8"),
        ("tooth 38 crown", "tooth 48 crown"),
        ("levoscoliosis", "dextroscoliosis"),
        ("Lunge lks.", "Lunge rts."),
        ("hanche Gche", "hanche Dte"),
        ("pulmão esq", "pulmão dir"),
        ("pulmón izqdo", "pulmón dcho"),
        ("plíce vlevo", "plíce vpravo"),
        ("vasen keuhko", "oikea keuhko"),
        ("bal tüdő", "jobb tüdő"),
        ("sol akciğer", "sağ akciğer"),
        ("plămânul stâng", "plămânul drept"),
        ("αριστερός πνεύμονας", "δεξιός πνεύμονας"),
        ("рука левой", "рука правой"),
        ("ліва рука", "права рука"),
        ("الرئة اليسرى", "الرئة اليمنى"),
        ("왼쪽 폐", "오른쪽 폐"),
        ("phổi trái", "phổi phải"),
    ],
)
def test_pairs_that_are_certain(left: str, right: str) -> None:
    for names in ((left, "heart", right), (right, left, "heart")):
        sides = find_sides(names)
        assert [{*pair} for pair in sides.pairs] == [{left, right}]
        assert not sides.alone
        assert not sides.unsure
        swapped = [names[label] for label in sides.swapped]
        assert swapped == [{left: right, right: left}.get(name, name) for name in names]


@pytest.mark.parametrize(
    "names",
    [
        ["rib", "lung", "heart"],
        ["bright spot", "upright post", "cleft", "leftover-free"],
        ["L1", "L2", "L3", "L4", "L5", "T11", "T12", "S1"],
        ["vertebra L", "vertebra T"],
        [str(number) for number in range(1, 11)],
        ["11", "21"],
        ["part 11", "part 21", "part 38", "part 48"],
        ["bolt", "plate", "crack"],
        ["left hip", "right hip", "L4", "vertebra L5", "rib", "upright post"],
        ["LR44", "LR6", "coin"],  # batteries
        ["type A", "type D", "type E", "type S"],
        ["recto", "verso", "Linse", "lamp", "ramp"],
    ],
)
def test_names_without_a_side(names: list[str]) -> None:
    sides = find_sides(names)
    assert sides.pairs in ((), (("left hip", "right hip"),))
    assert not sides.alone
    assert not sides.unsure


@pytest.mark.parametrize(
    ("names", "unsure"),
    [
        (["L", "R"], {"L", "R"}),  # letters of lead
        (["left marker", "right marker"], {"left marker", "right marker"}),
        (["R1", "L1", "C1"], {"R1", "L1"}),  # parts of a circuit
        (["LUL", "LLL", "RUL", "RML", "RLL"], {"LUL", "LLL", "RUL", "RML", "RLL"}),
        (["LT", "RT"], {"LT", "RT"}),
        (["Seitenmarke links", "Seitenmarke rechts"], {"Seitenmarke links", "Seitenmarke rechts"}),
        (["label left", "label right"], {"label left", "label right"}),
        (["lv", "rv"], {"lv", "rv"}),
        (["UR6", "UL6"], {"UR6", "UL6"}),
        (["tooth 11", "tooth 21"], {"tooth 11", "tooth 21"}),  # by the American count 21 is below
        ([str(number) for number in range(1, 33)], {str(number) for number in range(1, 33)}),
        (ALPHABET, {"part l", "part r"}),
        (["clavicule g", "clavicule d"], {"clavicule g", "clavicule d"}),
        (["pulmão E", "pulmão D"], {"pulmão E", "pulmão D"}),
        (["pulmón I", "pulmón D"], {"pulmón I", "pulmón D"}),
        (["polmone S", "polmone D"], {"polmone S", "polmone D"}),
        (["płuco L", "płuco P"], {"płuco L", "płuco P"}),
        (["UL", "UR", "LL", "LR"], {"UL", "UR", "LL", "LR"}),
        (["quadrant 1", "quadrant 2"], {"quadrant 1", "quadrant 2"}),
        (["tooth A", "tooth J"], {"tooth A", "tooth J"}),
    ],
)
def test_what_is_not_certain_is_not_swapped(names: list[str], unsure: set[str]) -> None:
    sides = find_sides(names)
    assert not sides.pairs
    assert {*sides.unsure} == unsure
    assert "the names may mean sides" in " ".join(sides.describe())


def test_teeth_by_bare_numbers() -> None:
    pairs = {frozenset(pair) for pair in find_sides(FDI).pairs}
    assert pairs == {frozenset((f"1{n}", f"2{n}")) for n in range(1, 9)} | {
        frozenset((f"3{n}", f"4{n}")) for n in range(1, 9)
    }


def test_a_side_without_its_partner_stays_alone() -> None:
    names = ["left lung", "right lung", "right middle lobe", "heart"]
    sides = find_sides(names)
    assert sides.pairs == (("left lung", "right lung"),)
    assert sides.alone == ("right middle lobe",)
    said = " ".join(sides.describe())
    assert "swap the labels of 'left lung' and 'right lung'" in said
    assert "Films with 'right middle lobe' are not mirrored" in said
    assert find_sides([*FDI[:-1]]).alone == ("38",)  # 48 is missing


@given(st.lists(st.text(min_size=1, max_size=12), unique=True, max_size=8))
def test_swapping_twice_is_nothing_whatever_the_names(names: list[str]) -> None:
    swapped = find_sides(names).swapped
    assert swapped[swapped].tolist() == list(range(len(names)))


@pytest.mark.parametrize(
    ("names", "single"),
    [
        (["lung L", "lung R", "middle lobe R", "heart"], "middle lobe R"),
        (["left lung", "right lung", "rt middle lobe"], "rt middle lobe"),
        (["leftlung", "rightlung", "rightmiddlelobe"], "rightmiddlelobe"),
        (["lewe płuco", "prawe płuco", "płuco R"], "płuco R"),
    ],
)
def test_a_short_form_without_its_partner_is_not_mirrored_beside_sides(
    names: list[str], single: str
) -> None:
    sides = find_sides(names)
    assert len(sides.pairs) == 1
    assert sides.unsure == (single,)


def test_given_pairs_take_the_place_of_those_found() -> None:
    names = ["left lung", "right lung", "a", "b"]
    assert find_sides(names, [("a", "b")]).swapped.tolist() == [0, 1, 3, 2]
    assert find_sides(names, []).describe() == []


def test_sides_that_given_pairs_leave_out_are_not_mirrored() -> None:
    lobes = ["LUL", "RUL", "RML", "heart"]
    assert find_sides(lobes, [("LUL", "RUL")]).unsure == ("RML",)
    names = ["lung A", "lung B", "right middle lobe"]
    assert find_sides(names, [("lung A", "lung B")]).alone == ("right middle lobe",)
    assert find_sides([*names, "L1", "R1"], [("lung A", "lung B")]).unsure == ()
    assert find_sides(names, []).describe() == []


@pytest.mark.parametrize(
    ("given_pairs", "sentence"),
    [
        ([("a", "c")], "names 'c', which is no class: they are a, b"),
        ([("a", "a")], "two classes"),
        ([("a", "b", "c")], "two classes"),
        ([("a", "b"), ("b", "a")], "names 'a' 2 times"),
    ],
)
def test_given_pairs_that_are_none(given_pairs: list[tuple[str, str]], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        find_sides(["a", "b"], given_pairs)


def test_films_of_a_side_alone_are_not_mirrored(tmp_path: Path) -> None:
    content = document(
        categories=[{"id": 1, "name": "left lung"}, {"id": 2, "name": "heart"}],
        images=[image(id=1), image(id=2, file_name="b.png")],
        annotations=[
            annotation(id=1, image_id=1, category_id=1),
            annotation(id=2, image_id=2, category_id=2),
        ],
    )
    data = load_coco(write_unread(tmp_path, content))
    assert [find_sides(data.class_names).may_mirror(film) for film in data.images] == [False, True]
    told = TrainingStream(data, (64, 64), 1, 0).notes()
    assert told[0].startswith("Films with 'left lung' are not mirrored")
    assert len(TrainingStream(data, (64, 64), 1, 0, Augmentation(mirror=0)).notes()) == 1


def test_pairs_come_back_from_json() -> None:
    train = TrainConfig(1, augmentation=Augmentation(side_pairs=(("a", "b"),)))
    values = {"iterations": 1, "augmentation": {"side_pairs": [["a", "b"]]}}
    assert TrainConfig.from_dict(values) == train


@pytest.mark.parametrize("field", ["mirror", "copy_paste", "repeat_threshold"])
@pytest.mark.parametrize("part", [-0.1, 1.1, float("nan")])
def test_parts_are_from_0_to_1(field: str, part: float) -> None:
    with pytest.raises(ValueError, match=f"augmentation.{field} must be from 0 to 1"):
        TrainConfig.from_dict({"iterations": 1, "augmentation": {field: part}})
