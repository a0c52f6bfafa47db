from __future__ import annotations

import pytest

from app.http.parameters import check_one_picture, negotiate_format
from app.schemas import ResponseFormat
from solo.errors import InvalidParameterError


@pytest.mark.parametrize(
    ("wanted", "accept", "form"),
    [
        (None, "*/*", "rle"),
        (None, "", "rle"),
        (None, "application/json", "rle"),
        (None, "image/png", "overlay"),
        (None, "image/*;q=0.8", "overlay"),
        (None, "IMAGE/PNG", "overlay"),
        (None, "text/html, image/png", "overlay"),
        (None, "application/json, image/png", "rle"),
        (None, "text/html,image/avif,image/webp,image/png,*/*;q=0.8", "rle"),  # a browser
        (None, "text/plain", "rle"),
        (None, "image/png;q=0", "rle"),
        (None, "image/png; q=0.0, */*", "rle"),
        (None, "image/png;q=0.05", "overlay"),
        ("polygons", "image/png", "polygons"),
        ("label-map", "application/json", "label-map"),
    ],
)
def test_the_parameter_comes_before_the_header(
    wanted: ResponseFormat | None, accept: str, form: ResponseFormat
) -> None:
    assert negotiate_format(wanted, accept) == form


@pytest.mark.parametrize("form", ["overlay", "label-map"])
def test_a_picture_is_of_one_file_and_frame(form: ResponseFormat) -> None:
    check_one_picture(form, 1, one_frame=True)
    with pytest.raises(InvalidParameterError, match="3 files"):
        check_one_picture(form, 3, one_frame=True)
    with pytest.raises(InvalidParameterError, match="several: name one"):
        check_one_picture(form, 1, one_frame=False)


@pytest.mark.parametrize("form", ["rle", "polygons", "uncompressed-rle"])
def test_json_is_of_any_number_of_files(form: ResponseFormat) -> None:
    check_one_picture(form, 3, one_frame=False)
