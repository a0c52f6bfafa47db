"""Layouts and file names of annotation tools' exports: which file is which film."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from model.data.annotation_file import split_of
from model.data.coco import DatasetError, load_coco
from tests.support.coco_folder import document, image

APPLE_DOUBLE = b"\0\5\x16\7"


def put(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(APPLE_DOUBLE if path.name.startswith("._") else b"not a picture")
    return folder


def export(folder: Path, where: str, *names: str) -> Path:
    """An annotation file that names these films."""
    images = [image(id=7 + index, file_name=name) for index, name in enumerate(names)]
    put(folder, where).joinpath(where).write_text(json.dumps(document(images=images)))
    return folder


def found(data: Path, folder: Path) -> list[str]:
    """The films of a data set, relative to a folder."""
    images = load_coco(data).images
    return [str(record.path.resolve().relative_to(folder.resolve())) for record in images]


@pytest.mark.parametrize(
    ("annotations", "film"),
    [
        ("annotations.json", "film.png"),
        ("annotations.json", "images/film.png"),
        ("labels.json", "data/film.png"),  # FiftyOne
        ("annotations/instances_default.json", "images/default/film.png"),  # CVAT, Datumaro
        ("annotations/instances_train2017.json", "train2017/film.png"),  # COCO, mmdetection
        ("annotations/train.json", "train/film.png"),
        ("train/_annotations.coco.json", "train/film.png"),  # Roboflow
        ("export/result.json", "export/images/film.png"),  # Label Studio, in an archive's folder
        ("export/annotations/instances_default.json", "export/images/default/film.png"),
        ("result.json", "data/images/film.png"),
        ("RESULT.JSON", "images/film.png"),
    ],
)
def test_layouts(annotations: str, film: str, tmp_path: Path) -> None:
    export(put(tmp_path, film), annotations, "film.png")
    assert found(tmp_path, tmp_path) == [film]
    assert found(tmp_path / annotations, tmp_path) == [film]


def test_the_folder_of_the_annotations_is_the_data_set_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(put(tmp_path, "images/default/film.png"), "annotations/a_default.json", "film.png")
    assert found(tmp_path / "annotations", tmp_path) == ["images/default/film.png"]
    monkeypatch.chdir(tmp_path / "annotations")
    assert found(Path(), tmp_path) == ["images/default/film.png"]


def test_of_several_annotation_files_one_has_to_be_chosen(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        put(tmp_path, f"{split}/film.png")
        export(tmp_path, f"{split}/_annotations.coco.json", "film.png")
        export(tmp_path / "cvat", f"annotations/instances_{split}.json", "film.png")
        put(tmp_path / "cvat", f"images/{split}/film.png")
    with pytest.raises(DatasetError) as caught:
        load_coco(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} holds 2 JSON files, train/_annotations.coco.json, valid/_annotations.coco.json"
        ": give the path of one in place of the folder's"
    )
    assert found(tmp_path / "valid", tmp_path) == ["valid/film.png"]
    with pytest.raises(DatasetError, match=r"instances_train\.json, annotations/instances_valid"):
        load_coco(tmp_path / "cvat")
    chosen = tmp_path / "cvat" / "annotations" / "instances_valid.json"
    assert found(chosen, tmp_path) == ["cvat/images/valid/film.png"]


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("train/_annotations.coco.json", "train"),
        ("valid/_annotations.coco.json", "val"),
        ("annotations/instances_val2017.json", "val"),
        ("annotations/instances_Validation.json", "val"),
        ("Testing/labels.json", "test"),
        ("annotations/train.json", "train"),
        ("annotations/instances_default.json", ""),
        ("training_day/constraint.json", ""),
    ],
)
def test_splits_by_name(path: str, split: str) -> None:
    assert split_of(Path(path)) == split


def test_other_tasks_of_coco_do_not_hide_the_instances(tmp_path: Path) -> None:
    export(put(tmp_path, "train2017/film.png"), "annotations/instances_train2017.json", "film.png")
    for task in ("captions", "person_keypoints"):
        export(tmp_path, f"annotations/{task}_train2017.json", "film.png")
    assert found(tmp_path, tmp_path) == ["train2017/film.png"]


def test_the_nearest_annotation_file_counts(tmp_path: Path) -> None:
    put(tmp_path, "film.png", "images/film.json", "images/other.json")
    assert found(export(tmp_path, "annotations.json", "film.png"), tmp_path) == ["film.png"]


def test_what_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is neither a folder nor a file"):
        load_coco(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="holds no JSON file of annotations"):
        load_coco(tmp_path)
    for index in range(9):
        (tmp_path / f"{index}.json").write_text('{"images": [], "annotations": []}')
    with pytest.raises(DatasetError, match=r"holds 9 JSON files, 0\.json, .*4\.json and 4 more:"):
        load_coco(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32-be"])
@pytest.mark.parametrize("where", ["result.json", "annotations/instances_default.json"])
def test_other_json_files_do_not_hide_the_annotations(
    where: str, encoding: str, tmp_path: Path
) -> None:
    for name in ("meta.json", "annotations/notes.JSON", "images/film.json", "folder.json/x"):
        put(tmp_path, name).joinpath(name).write_text('{"images": 3}')
    export(put(tmp_path, "images/film.png"), where, "film.png")
    path = tmp_path / where
    path.write_bytes(path.read_text().encode(encoding))
    assert found(tmp_path, tmp_path) == ["images/film.png"]


def test_json_files_of_which_none_is_of_annotations(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(DatasetError, match=r"dataset\.json has no list 'categories'"):
        load_coco(tmp_path)
    (tmp_path / "meta.json").write_text("{}")
    with pytest.raises(
        DatasetError, match=r"none of the 2 JSON files, dataset\.json, meta\.json, has"
    ):
        load_coco(tmp_path)


def test_files_of_macos_and_of_storage_servers_are_passed_over(tmp_path: Path) -> None:
    put(tmp_path, "._result.json", ".DS_Store", ".cache/a.json", "__MACOSX/._result.json")
    put(tmp_path, "films/a.png", "films/._a.png", "__MACOSX/films/a.png", "@eaDir/a.png/a.png")
    assert found(export(tmp_path, "result.json", "C:\\films\\a.png"), tmp_path) == ["films/a.png"]
    put(tmp_path / "zip", "__MACOSX/._a.json", "__MACOSX/x/._a.json", "x/a.png", "x/._a.json")
    assert found(export(tmp_path / "zip", "x/a.json", "a.png"), tmp_path) == ["zip/x/a.png"]


@pytest.mark.parametrize(
    ("name", "film"),
    [
        ("./a.png", "images/a.png"),
        ("/images/a.png", "images/a.png"),
        ("images\\a.png", "images/a.png"),
        (".\\images\\a.png", "images/a.png"),
        ("C:\\Users\\me\\films\\a.png", "images/a.png"),
        ("\\\\server\\share\\a.png", "a.png"),
        ("/home/somebody/films/a.png", "images/a.png"),
        ("../../label-studio/data/media/upload/4/a.png", "images/a.png"),
        ("/data/upload/4/a.png", "images/a.png"),
        ("/data/upload/../a.png", "images/a.png"),
        ("/data/local-files/?d=films%2Fa%20b.png", "images/a b.png"),
        ("https://host/bucket/a.png?signature=1/2", "images/a.png"),
        ("images/a%20b.png", "images/a b.png"),
        ("50%25.png", "50%25.png"),  # as it stands
        ("images/a.png", "images\\a.png"),  # an archive of Windows unpacked elsewhere
        ("A.PNG", "images/a.png"),
        ("images/../a.png", "a.png"),
        ("images/a.png", "a.png"),
        ("patient/1/a.png", "data/images/patient/1/a.png"),
        ("D:\\export\\patient\\1\\a.png", "img/patient/1/a.png"),
        (
            unicodedata.normalize("NFC", "Körper.png"),
            unicodedata.normalize("NFD", "films/Körper.png"),
        ),
        ("masks/a.png", "masks/a.png"),  # for whoever trains on them
    ],
)
def test_names_of_another_machine(name: str, film: str, tmp_path: Path) -> None:
    assert found(export(put(tmp_path, film), "result.json", name), tmp_path) == [film]


def test_the_longest_end_of_a_path_is_meant(tmp_path: Path) -> None:
    films = ["films/1/a.png", "films/2/a.png", "films/2/A.png", "a.png", "data/films/2/b.png"]
    put(tmp_path, *films)
    names = ["/x/films/1/a.png", "/x/films/2/a.png", "/x/films/2/A.png", "a.png", "films\\2\\b.png"]
    assert found(export(tmp_path, "result.json", *names), tmp_path) == films


def faults(data: Path) -> list[str]:
    with pytest.raises(DatasetError) as caught:
        load_coco(data)
    return str(caught.value).splitlines()


def test_a_name_that_may_be_two_files_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "data/a.png", "images/a.png", "masks/a.png")
    assert faults(export(tmp_path, "result.json", "/x/a.png")) == [
        "image 7: '/x/a.png' may be any of 2 files, data/a.png, images/a.png"
    ]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("p2/a.png", "p1/a.png"),  # of another patient
        ("p2/a.png", "images/a.png"),
        ("p2/1/a.png", "p1/1/a.png"),
        ("p2/1/a.png", "1/a.png"),
        ("C:\\films\\p2\\a.png", "p1/a.png"),
        ("/films/p2/1/a.png", "p1/1/a.png"),
        ("p2/../p1/a.png", "p2/a.png"),
        ("a.png", "p1/a.png"),
        ("a.png", "valid/a.png"),
        ("images/a.png", "masks/a.png"),
        ("a.png", "labelsTr/a.png"),
        ("ds0/img/a.png", "ds0/masks_human/a.png"),
        ("JPEGImages/a.png", "Visualization/a.png"),
        ("JPEGImages/a.png", "SegmentationClass/a.png"),
        ("films/a.png", "out/overlays/x/a.png"),
        ("a.png", "thumbnails/a.png"),
        ("a.png", "images/thumbnails/a.png"),
        ("/data/upload/4/a.png", "masks/a.png"),
        ("/data/local-files/?d=images%2Fa.png", "overlays/a.png"),
    ],
)
def test_a_file_in_other_folders_is_not_the_film(name: str, file: str, tmp_path: Path) -> None:
    put(tmp_path, file)
    assert faults(export(tmp_path, "result.json", name)) == [
        f"image 7: there is no file '{name}'; {file} is in other folders"
    ]


@pytest.mark.parametrize(
    ("annotations", "name", "file"),
    [
        ("annotations/instances_train2017.json", "0001.png", "val2017/0001.png"),
        ("annotations/instances_train.json", "images/val/a.png", "images/train/a.png"),
        ("annotations/instances_default.json", "a.png", "annotations/a.png"),
        ("annotations/labels.json", "a.png", "labels/a.png"),
        ("labels/coco.json", "a.png", "labels/a.png"),
        ("masks/coco.json", "/x/a.png", "masks/a.png"),
    ],
)
def test_what_lies_among_annotations_is_not_the_film(
    annotations: str, name: str, file: str, tmp_path: Path
) -> None:
    put(tmp_path, file)
    (fault,) = faults(export(tmp_path, annotations, name))
    assert fault == f"image 7: there is no file '{name}'; {file} is in other folders"
    (fault,) = faults(tmp_path / annotations)
    assert fault == f"image 7: there is no file '{name}'; {file} is in other folders"


def test_films_are_found_beside_files_of_their_names(tmp_path: Path) -> None:
    put(tmp_path, "images/a.png", "labels/a.png", "thumbnails/a.png", "annotations/a.png")
    put(tmp_path, "images/B.PNG", "masks/b.png")
    export(tmp_path, "annotations/instances_default.json", "a.png")
    assert found(tmp_path, tmp_path) == ["images/a.png"]
    export(tmp_path, "annotations/instances_default.json", "D:\\x\\a.png", "/x/b.png")
    assert found(tmp_path, tmp_path) == ["images/a.png", "images/B.PNG"]


def test_a_split_has_its_own_films_first(tmp_path: Path) -> None:
    put(tmp_path, "images/a.png", "images/val/a.png", "val/b.png", "images/b.png")
    export(tmp_path, "annotations/instances_val.json", "a.png", "b.png")
    assert found(tmp_path, tmp_path) == ["images/val/a.png", "val/b.png"]


def test_a_name_may_begin_with_the_folder_of_the_data_set(tmp_path: Path) -> None:
    put(tmp_path / "set", "train/a.png")
    export(tmp_path / "set", "result.json", "set/train/a.png")
    assert found(tmp_path / "set", tmp_path) == ["set/train/a.png"]
    export(tmp_path / "set", "result.json", "other/train/a.png")
    (fault,) = faults(tmp_path / "set")
    assert fault.endswith("; train/a.png is in other folders")


@pytest.mark.parametrize("names", [("/p1/a.png", "/p2/a.png"), ("images/a.png", "a.png")])
def test_two_names_never_mean_one_file(names: tuple[str, str], tmp_path: Path) -> None:
    put(tmp_path, "images/a.png")
    assert faults(export(tmp_path, "result.json", *names)) == [
        f"image 8: '{names[1]}' and '{names[0]}' would both be the file images/a.png"
    ]


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    outside = put(tmp_path, "a.png", "b.png") / "b.png"
    folder = put(tmp_path / "set", "images/a.png")
    assert found(export(folder, "result.json", "../a.png"), folder) == ["images/a.png"]
    for name in ("../b.png", str(outside)):
        assert faults(export(folder, "result.json", name)) == [
            f"image 7: '{name}' lies outside of {folder}, where its films have to be"
        ]


def test_links_to_folders_are_followed_and_end(tmp_path: Path) -> None:
    put(tmp_path / "store", "a.png")
    folder = export(tmp_path / "set", "result.json", "/elsewhere/a.png")
    (folder / "films").symlink_to(tmp_path / "store")
    (folder / "images").symlink_to(tmp_path / "store")
    (folder / "loop").symlink_to(folder)
    assert found(folder, tmp_path) == ["store/a.png"]
