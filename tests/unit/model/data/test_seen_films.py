"""Films that a network was trained on are known again, whatever ids and names they have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from model.data.coco import CocoDataset, load_coco
from model.data.seen_films import film_digests, require_unseen
from tests.support.coco_folder import disc_folder

NETWORK = Path("runs/mine/checkpoint.pt")


@pytest.fixture
def discs(tmp_path: Path) -> CocoDataset:
    return load_coco(disc_folder(tmp_path / "discs", 6))


def part(data: CocoDataset, *places: int) -> CocoDataset:
    return data.subset(tuple(data.images[place] for place in places))


def trained(data: CocoDataset) -> list[str]:
    return sorted(film_digests(data).values())


def test_a_film_that_was_trained_on_is_refused(discs: CocoDataset) -> None:
    with pytest.raises(ValueError, match=r"mine/checkpoint\.pt was trained on 1 of these 3 films"):
        require_unseen(NETWORK, trained(part(discs, 0, 1)), discs, part(discs, 1, 2, 3))
    require_unseen(NETWORK, trained(part(discs, 0, 1)), discs, part(discs, 2, 3))


def test_another_film_of_a_patient_who_was_trained_on_is_refused(discs: CocoDataset) -> None:
    grown = discs.subset((*discs.images[:5], replace(discs.images[5], patient="p0")))
    with pytest.raises(ValueError, match=r"0 of these 1 films, and on others .* as 1 more"):
        require_unseen(NETWORK, trained(part(discs, 0)), grown, part(grown, 5))


def test_ids_and_names_of_another_data_set_are_no_sign(discs: CocoDataset, tmp_path: Path) -> None:
    other = load_coco(disc_folder(tmp_path / "more", 8))  # the same ids, patients and names
    shown = part(other, 6, 7)
    renamed = shown.subset(
        tuple(
            replace(film, image_id=10 + n, patient=f"p{n}") for n, film in enumerate(shown.images)
        )
    )
    require_unseen(NETWORK, trained(discs), renamed, renamed)


def test_a_film_under_another_name_and_id_is_known(discs: CocoDataset, tmp_path: Path) -> None:
    film = discs.images[0]
    copy = tmp_path / "copy.png"
    copy.write_bytes(film.path.read_bytes())
    stranger = replace(film, image_id=999, path=copy, patient="somebody")
    data = discs.subset((stranger,))
    with pytest.raises(ValueError, match="was trained on 1 of these 1 films"):
        require_unseen(NETWORK, trained(discs), data, data)
