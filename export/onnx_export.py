"""ONNX export: graph, manifest, and proof that it answers as the network does."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import tomllib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from pydantic import ValidationError

from export.class_codes import read_class_codes
from export.out_of_distribution import fit_score
from export.parity import Parity, compare, expect
from export.wrapper import FEATURES_NAME, OnnxNetwork, OnnxNetworkWithFeatures
from model.cli import tell_replacement
from model.data.coco import CocoDataset
from model.network.checkpoint import TRAINED_FILMS
from model.network.solo_network import SoloNetwork
from solo.contract.manifest import (
    INPUT_NAME,
    OUTPUT_NAMES,
    Manifest,
    ManifestError,
    list_faults,
)

OPSET = 20


def read_about(path: Path) -> dict[str, Any]:
    """Reads a model's description from TOML: name, version, licence, data, quality.

    Raises:
        ValueError: if the file is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path} is not TOML: {error}") from error


def export(
    network: SoloNetwork,
    about: dict[str, Any],
    canvases: npt.NDArray[np.float32],
    out: Path,
    data: Sequence[CocoDataset] = (),
    trained: Sequence[str] | None = None,
) -> Parity:
    """Exports a network, compares the graph with it, and only then writes the file.

    Args:
        network: on the CPU, in evaluation mode.
        about: the manifest's fields that the network does not know, from `read_about`.
        canvases: float32 [n, 1, H, W], real films to compare on, n >= 5.
        out: the .onnx file; an existing one stays untouched unless the new one has passed.
        data: what the out-of-distribution score is fitted on; without, or with films of too few
            patients, there is none.
        trained: digests of the films that the network was trained on, where they are known.

    Raises:
        ParityError: if the graph differs from the network.
        ValueError: if `about` does not make a manifest, or there are too few films.
    """
    manifest = describe_network(network, about)
    module = OnnxNetwork(network)
    expected = expect(module, canvases)  # before the graph, which takes longer than all else
    graph, entry = fit_score(trace(network), data)
    manifest = manifest.model_copy(update={"out_of_distribution": entry})
    onnx.helper.set_model_props(graph, {**manifest.to_metadata(), **as_metadata(trained)})
    graph.producer_name = "solo-xray"
    graph.doc_string = manifest.intended_use
    parity = compare(module, graph.SerializeToString(), canvases, expected)
    write_model(graph, out)
    return parity


def read_graph(path: Path) -> onnx.ModelProto:
    """The graph of a model file, with its metadata.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no ONNX file.
    """
    content = path.read_bytes()
    try:
        return onnx.load_from_string(content)
    except Exception as error:  # protobuf has errors of its own
        raise ValueError(f"{path} is no ONNX file, or a damaged one") from error


def read_manifest(path: Path) -> Manifest:
    """The manifest of a model file.

    Raises:
        ValueError: if it is no ONNX file.
        ManifestError: if it has no manifest, or one that cannot be used.
    """
    properties = read_graph(path).metadata_props
    return Manifest.from_metadata({entry.key: entry.value for entry in properties})


def as_metadata(trained: Sequence[str] | None) -> dict[str, str]:
    """Digests of the films that a network was trained on as ONNX `metadata_props`.

    They stand beside the manifest: who serves a model does not ask for them.
    """
    return {} if trained is None else {TRAINED_FILMS: " ".join(trained)}


def trained_films(graph: onnx.ModelProto) -> list[str] | None:
    """The inverse of `as_metadata`; None where a file does not say."""
    found = [entry.value for entry in graph.metadata_props if entry.key == TRAINED_FILMS]
    return found[0].split() if found else None


def check_place(out: Path, *kept: Path) -> None:
    """Checks, before any work, that a file can be written and is none of those it is made of.

    Raises:
        OSError: if its folder is not there, or it is a folder itself.
        ValueError: if it would replace one of `kept`.
    """
    if not out.parent.is_dir():
        raise FileNotFoundError(f"{out.parent} is not a folder")
    if out.is_dir():
        raise IsADirectoryError(f"{out} is a folder: give the name of a file")
    if any(out.resolve() == path.resolve() for path in kept):
        raise ValueError(f"{out} would replace what it is made of: give another name")


def write_model(graph: onnx.ModelProto, out: Path) -> None:
    """Checks a graph and writes it whole or not at all; says so where it replaces a file."""
    onnx.checker.check_model(graph)
    tell_replacement(out)
    partial = out.with_name(out.name + ".partial")
    partial.write_bytes(graph.SerializeToString())
    os.replace(partial, out)


def trace(network: SoloNetwork) -> onnx.ModelProto:
    """The network's graph, with the output `features`."""
    height, width = network.config.canvas_size
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision, we do not
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of its own deprecations
        program = torch.onnx.export(
            OnnxNetworkWithFeatures(network),
            # Two images, since torch.export takes a batch of one for a constant.
            (torch.rand(2, 1, height, width, generator=torch.Generator().manual_seed(0)),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT_NAME],
            output_names=[*OUTPUT_NAMES, FEATURES_NAME],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for part in [*model.graph.node, *model.graph.value_info]:
        del part.metadata_props[:]  # stack traces, with the paths of this machine
    return model


def describe_network(network: SoloNetwork, about: dict[str, Any]) -> Manifest:
    """The manifest of a network and its description.

    Raises:
        ManifestError: naming the fields that are missing, empty or wrong.
    """
    config = network.config
    blank = [key for key, value in about.items() if isinstance(value, str) and not value.strip()]
    if blank:
        raise ManifestError(
            f"the description is not complete: fill in {', '.join(blank)} (a sentence or a word; "
            "where there is nothing to say, 'none')"
        )
    values = {
        **about,
        "variant": config.variant,
        "backbone": config.backbone,
        "class_names": config.class_names,
        "class_codes": read_class_codes(about.get("class_codes", {}), config.class_names),
        "category_ids": config.category_ids,
        "canvas_size": config.canvas_size,
        "mask_stride": 4,
        "max_instances": config.max_instances,
        "mask_threshold": config.mask_threshold,
        "weights_sha256": _weights_sha256(network),
        "source_revision": _revision(),
        "opset": OPSET,
    }
    try:
        manifest = Manifest.model_validate(values)
    except ValidationError as error:
        raise ManifestError(f"the description does not fit: {list_faults(error)}") from error
    if manifest.score_threshold < config.candidate_threshold:
        raise ManifestError(
            f"the description does not fit: score_threshold is {manifest.score_threshold}, but the "
            f"network drops whatever scores {config.candidate_threshold} or less "
            "(its candidate_threshold)"
        )
    return manifest


def _weights_sha256(network: SoloNetwork) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _revision() -> str:
    command = ["git", "rev-parse", "HEAD"]
    root = Path(__file__).parent
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)  # noqa: S603  # a constant command
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
