"""Times and compares ways to suppress overlapping masks.

    python -m benchmarks.nms
    python -m benchmarks.nms --checkpoint runs/mine/checkpoint.pt --data DIR

Prints two tables: Matrix NMS from masks to scores against the reference's plain form, and the
SOLOv2 paper's comparison (table 7): time without the IoU, and AP, of hard, soft, fast and Matrix
NMS on the same predictions. Without a checkpoint the predictions are made in code; a network's
answer comes with one. Times are medians of processor time in this process.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor

from benchmarks.average_precision import Film, mask_ap
from benchmarks.made_masks import Scene, made_scene
from benchmarks.mask_nms import hard_nms, soft_nms
from benchmarks.processor_time import seconds
from model.configuration.network import ModelConfig
from model.data.coco import load_coco
from model.data.radiograph import read_radiograph
from model.evaluation.images import true_masks
from model.network import mask_overlap
from model.network.checkpoint import load_network
from model.network.matrix_nms import decay, fast_nms, matrix_nms, overlap_with_better
from model.network.postprocess import Candidates, find_candidates, keep_best
from solo.contract.instances import Instances
from solo.contract.letterbox import Letterbox

Suppress = Callable[[Tensor, Tensor], Tensor]
Predictions = tuple[Tensor, Tensor, Callable[[Tensor], Film], Film]
METHODS: dict[str, Suppress] = {
    "none": lambda _, scores: scores,
    "hard, IoU 0.5": hard_nms,
    "soft, Gaussian": soft_nms,
    "fast, IoU 0.5": fast_nms,
    "Matrix, linear": partial(decay, kernel="linear"),
    "Matrix, Gaussian": decay,
}


def plain_matrix_nms(masks: Tensor, labels: Tensor, scores: Tensor, sigma: float = 2.0) -> Tensor:
    """Matrix NMS of sorted masks as the paper lists it: one product of all masks' pixels."""
    count = len(masks)
    flat = masks.flatten(1).float()
    areas = flat.sum(1).expand(count, count)
    overlap = flat @ flat.T
    same = (labels.expand(count, count) == labels.expand(count, count).T).float()
    iou = (overlap / (areas + areas.T - overlap)).triu(1) * same.triu(1)
    covered = iou.amax(0).expand(count, count).T
    return scores * (torch.exp(-sigma * iou**2) / torch.exp(-sigma * covered**2)).amin(0)


def compare_speed(count: int, size: tuple[int, int], classes: int, repeats: int) -> None:
    """Prints the table of Matrix NMS from masks to scores."""
    scene = made_scene(np.random.default_rng(0), size, count // 12, count, classes)
    tensors = (torch.from_numpy(x) for x in (scene.masks, scene.labels, scene.scores))
    masks, labels, scores = tensors
    batched = masks[None], labels[None], scores[None]
    expected = plain_matrix_nms(masks, labels, scores)
    plain = seconds(lambda: plain_matrix_nms(masks, labels, scores), repeats)
    print(f"\nMatrix NMS of {count} masks of {size[0]} x {size[1]}, {classes} classes\n")
    print("| from masks to scores | ms | times faster | largest difference of a score |")
    print("|---|---|---|---|")
    print(f"| plain product, sorted, unbatched | {1e3 * plain:.1f} | 1 | |")
    worth_packing = mask_overlap._WORTH_PACKING
    for name, threshold in (("product (in the graph)", 1 << 62), ("blocks (on a CPU)", 0)):
        mask_overlap._WORTH_PACKING = threshold
        taken = seconds(lambda: matrix_nms(*batched), repeats)
        difference = float((matrix_nms(*batched)[0] - expected).abs().max())
        print(f"| {name} | {1e3 * taken:.1f} | {plain / taken:.1f} | {difference:.0e} |")
    mask_overlap._WORTH_PACKING = worth_packing


def made_predictions(films: int, size: tuple[int, int], count: int) -> Iterator[Predictions]:
    """Predictions made in code, three classes."""
    for seed in range(films):
        scene = made_scene(np.random.default_rng(seed), size, count // 12, count, 3)
        scores = torch.from_numpy(scene.scores)[None]
        masks, labels = torch.from_numpy(scene.masks)[None], torch.from_numpy(scene.labels)[None]
        iou = overlap_with_better(masks, labels, scores)
        yield iou, scores, partial(_best_of_scene, scene), Film(scene.truth, scene.truth_labels)


def _best_of_scene(scene: Scene, scores: Tensor) -> Film:
    lowered = scores[0].numpy()
    best = np.argsort(-lowered, kind="stable")[:100]
    best = best[lowered[best] >= 0.05]
    return Film(scene.masks[best], scene.labels[best], lowered[best])


def network_predictions(checkpoint: Path, folder: Path) -> Iterator[Predictions]:
    """A network's candidates on the films of a data set, measured in the films' own pixels."""
    network = load_network(checkpoint)
    config = network.config
    for record in load_coco(folder).images:
        letterbox = Letterbox.fit((record.height, record.width), config.canvas_size)
        canvas = torch.from_numpy(letterbox.apply(read_radiograph(record)))[None, None]
        with torch.inference_mode():
            found = find_candidates(network(canvas), config)
            iou = overlap_with_better(found.inside, found.labels, found.scores)

        labels = np.array([a.label for a in record.annotations if not a.is_crowd], np.int64)
        best = partial(_best_of_network, found, letterbox, config)
        yield iou, found.scores, best, Film(true_masks(record), labels)


def _best_of_network(
    found: Candidates, letterbox: Letterbox, config: ModelConfig, scores: Tensor
) -> Film:
    rows = [output[0].numpy() for output in keep_best(found, scores, config)]
    instances = Instances.from_outputs(rows[0], rows[1], rows[2])
    restored = letterbox.restore(instances, config.mask_threshold)
    return Film(restored, instances.labels, instances.scores)


def compare_quality(predictions: Iterator[Predictions], repeats: int, whose: str) -> None:
    """Prints the paper's table."""
    truth: list[Film] = []
    found: dict[str, list[Film]] = {name: [] for name in METHODS}
    times: dict[str, list[float]] = {name: [] for name in METHODS}
    candidates = 0
    for iou, scores, best, film in predictions:
        truth.append(film)
        candidates += int((scores > 0).sum())
        for name, suppress in METHODS.items():
            times[name].append(seconds(partial(suppress, iou, scores), repeats))
            found[name].append(best(suppress(iou, scores)))
    print(f"\n{whose}: {len(truth)} films, {candidates / len(truth):.0f} candidates a film\n")
    print("| NMS | ms without the IoU | AP |\n|---|---|---|")
    for name in METHODS:
        ap = mask_ap(truth, found[name])
        print(f"| {name} | {1e3 * median(times[name]):.2f} | {ap:.3f} |")


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.nms",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--masks", type=int, default=500)
    parser.add_argument("--size", type=int, nargs=2, default=(200, 336), metavar=("H", "W"))
    parser.add_argument("--films", type=int, default=10, help="of made predictions")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--data", type=Path, help="a COCO data set, with --checkpoint")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if (arguments.checkpoint is None) != (arguments.data is None):
        parser.error("--checkpoint and --data go together")
    torch.set_num_threads(arguments.threads)
    height, width = arguments.size
    for classes in (1, 8):
        compare_speed(arguments.masks, (height, width), classes, arguments.repeats)
    if arguments.checkpoint is None:
        made = made_predictions(arguments.films, (height, width), arguments.masks)
        compare_quality(made, arguments.repeats, "Predictions made in code")
    else:
        predictions = network_predictions(arguments.checkpoint, arguments.data)
        compare_quality(predictions, arguments.repeats, str(arguments.checkpoint.name))


if __name__ == "__main__":
    main()
