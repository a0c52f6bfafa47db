"""The fit to films of data sets: which films, how they count, and when there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest

from export.films import Films, spread
from export.out_of_distribution import describe, fit_score
from export.score_graph import features_alone, score_alone
from model.data.coco import CocoDataset, load_coco
from model.data.radiograph import read_radiograph
from solo.contract.letterbox import Letterbox
from solo.contract.manifest import OUT_OF_DISTRIBUTION_NAME, OUTPUT_NAMES
from tests.support.coco_folder import SIZE, disc_folder, document, image, write
from tests.support.feature_graph import feature_graph
from tests.support.shaded_folder import shaded


def scores(model: onnx.ModelProto, data: CocoDataset, turns: int = 0) -> npt.NDArray[np.float32]:
    return answers(score_alone(model), data, turns)


def answers(part: onnx.ModelProto, data: CocoDataset, turns: int = 0) -> npt.NDArray[np.float32]:
    session = onnxruntime.InferenceSession(
        part.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    films = [np.rot90(read_radiograph(record), turns) for record in data.images]
    canvases = [Letterbox.fit(film.shape, (64, 64)).apply(film) for film in films]
    (found,) = session.run(None, {"images": np.stack(canvases)[:, None]})
    return np.asarray(found)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> CocoDataset:
    return shaded(tmp_path_factory.mktemp("many") / "first", 120)


def test_films_of_others_pass_and_turned_ones_are_flagged(
    data: CocoDataset, tmp_path: Path
) -> None:
    model, entry = fit_score(feature_graph(), [data])
    assert entry is not None
    assert (entry.films, entry.patients) == (120, 60)
    assert entry.auroc["turned"] > 0.99
    assert entry.auroc["upside_down"] > 0.99
    others = shaded(tmp_path / "others", 40, seed=1)
    found = scores(model, others)
    assert (found > 1).mean() <= 0.05
    assert np.median(found) == pytest.approx(entry.median_score, rel=0.2)
    assert (scores(model, others, turns=1) > 1).all()
    assert "fitted on 120 films of 60 patients" in describe(entry, [data])


def test_a_score_is_a_residual_in_units_of_the_limit_that_the_manifest_names(
    data: CocoDataset,
) -> None:
    model, entry = fit_score(feature_graph(), [data])
    assert entry is not None
    features = answers(features_alone(feature_graph()), data).astype(np.float64)
    standardised = (features - features.mean(0)) / features.std(0)
    _, vectors = np.linalg.eigh(standardised.T @ standardised)
    left = vectors[:, :16]  # the fit keeps half of 32 directions
    residuals = np.square(standardised @ left).sum(1) / features.shape[1]
    np.testing.assert_allclose(residuals, scores(model, data) * entry.limit, rtol=1e-3)


def test_films_of_few_patients_make_no_score(tmp_path: Path) -> None:
    few = shaded(tmp_path / "few", 78)
    for data, patients in (([few], 39), ([], 0), ([few, few], 39)):
        model, entry = fit_score(feature_graph(), data)
        assert entry is None
        assert [output.name for output in model.graph.output] == list(OUTPUT_NAMES)
        assert f"of 40 patients, and these are of {patients}" in describe(None, data)


def test_films_that_are_all_alike_make_no_score(tmp_path: Path) -> None:
    films = {f"{index}.png": np.full(SIZE, 90, np.uint8) for index in range(45)}
    images = [image(id=index, file_name=name) for index, name in enumerate(films)]
    alike = load_coco(write(tmp_path / "alike", document(images=images, annotations=[]), films))
    model, entry = fit_score(feature_graph(), [alike])
    assert entry is None
    assert OUT_OF_DISTRIBUTION_NAME not in {output.name for output in model.graph.output}
    assert describe(None, [alike]).endswith("these films hardly differ")


def test_films_of_a_patient_are_in_one_fold_and_data_sets_count_alike(
    data: CocoDataset, tmp_path: Path
) -> None:
    nameless = [shaded(tmp_path / name, 30, patients=False) for name in ("one", "other")]
    films = Films.of([data, *nameless], folds=5, most=2000)
    assert films.patients == 60 + 30 + 30  # numbers of images are no names
    folds: dict[str, set[int]] = {}
    for record, fold in zip(films.records[:120], films.folds, strict=False):
        folds.setdefault(record.patient, set()).add(int(fold))
    assert {len(found) for found in folds.values()} == {1}
    assert np.bincount(films.folds).min() > 20
    parts = np.split(films.weights, [120, 150])
    assert [part.sum() for part in parts] == pytest.approx([1, 1, 1])

    fewer = films.fewer(40)
    assert np.bincount(fewer.data_sets).tolist() == [40, 30, 30]
    fold_of = dict(zip((r.path for r in films.records), films.folds, strict=True))
    assert [fold_of[record.path] for record in fewer.records] == fewer.folds.tolist()
    assert np.bincount(Films.of([data, *nameless], 5, most=20).data_sets).tolist() == [20, 20, 20]


@pytest.mark.parametrize("count", [1, 19, 20, 21, 39, 40, 59, 1000])
def test_films_are_chosen_evenly_from_first_to_last(count: int) -> None:
    """Data sets are often in the order of hospitals."""
    chosen = np.array(spread(range(count), 20))
    assert len(chosen) == min(count, 20)
    gaps = np.diff(np.append(chosen, count))
    assert chosen[0] == 0
    assert gaps.min() >= 1
    assert np.ptp(gaps) <= 1


def test_features_that_are_no_numbers_are_a_sentence(data: CocoDataset) -> None:
    graph = feature_graph()
    (squares,) = (node for node in graph.graph.node if node.op_type == "Mul")
    squares.op_type = "Acosh"  # of what is below 1
    squares.input.pop()
    with pytest.raises(ValueError, match="are no finite numbers: its weights"):
        fit_score(graph, [data])


def test_a_small_data_set_weighs_as_much_as_a_large_one(data: CocoDataset, tmp_path: Path) -> None:
    """Films of the small one alone would be flagged if films were counted."""
    small = disc_folder(tmp_path / "small", 12)
    model, entry = fit_score(feature_graph(), [data, load_coco(small)])
    assert entry is not None
    assert (scores(model, load_coco(small)) < 1).all()
