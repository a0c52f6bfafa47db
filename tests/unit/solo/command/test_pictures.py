from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from solo.command.pictures import picture_name

# What a file system's bytes become that are no UTF-8.
UNDECODED = st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF, categories=["Cs"])
CHARACTERS = st.characters(exclude_characters="/\0", exclude_categories=["Cs"]) | UNDECODED
NAMES = st.text(CHARACTERS, min_size=1, max_size=90).filter(lambda name: name not in (".", ".."))
PATHS = st.lists(st.one_of(NAMES, st.just("..")), max_size=3).flatmap(
    lambda folders: NAMES.map(lambda name: "/".join([*folders, name]))
)


@settings(max_examples=60)
@given(PATHS, st.none() | st.integers(0, 9999))
def test_a_picture_has_a_name_that_any_file_system_takes(path: str, frame: int | None) -> None:
    folder, name = picture_name(path, frame).split("/")
    for part in (folder, name):
        assert part.isprintable()
        assert part[0] not in "-. "
        assert len(part.encode()) <= 255


@settings(max_examples=40)
@given(st.lists(PATHS, unique=True, min_size=2, max_size=5))
def test_films_have_pictures_of_their_own(paths: list[str]) -> None:
    assert len({picture_name(path, None) for path in paths}) == len(paths)


def test_a_usual_name_stays_what_it_is() -> None:
    assert picture_name("../films/chest 1.dcm", None).endswith("/chest 1.dcm.png")
    assert picture_name("../films/chest.dcm", 2).endswith("/chest.dcm.frame-2.png")
    assert picture_name("../films/chest.dcm", None).startswith("films-")


def test_a_name_cannot_be_made_to_look_like_that_of_another() -> None:
    odd = picture_name("a\nb", None).removesuffix(".png")
    assert picture_name(odd.split("/")[1], None) != f"{odd}.png"
