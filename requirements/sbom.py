"""Software bill of materials (CycloneDX 1.6) of the service's image for the CPU.

    .venv/serve/bin/python -m requirements.sbom .venv/supply/bin/cyclonedx-py

`cyclonedx-py` lists what is installed, with licences, and the hashes of the pins. Added here are
the models, from the manifests that they carry, and the image that everything is put on. What
differs from the pins, or has no licence, is refused. The same inputs give the same bytes.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

from solo import __version__
from solo.inference.model_file import ModelFile

ROOT = Path(__file__).parents[1]
GROUP = "serve-cpu"
NOT_IN_THE_IMAGE = {"pip", "setuptools"}

Component = dict[str, Any]


def normal(name: str) -> str:
    """The normalised name of a distribution (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def direct_requirements(groups: dict[str, list[Any]], group: str) -> Iterator[str]:
    """Normalised names that a dependency group and those that it includes ask for (PEP 735)."""
    for item in groups[group]:
        if isinstance(item, dict):
            yield from direct_requirements(groups, item["include-group"])
        else:
            yield normal(re.split(r"[^\w.-]", item)[0])


def distributions(installed: list[Component], pinned: list[Component]) -> Iterator[Component]:
    """Installed distributions, each with the hashes that its pin accepts, and with a licence.

    Raises:
        ValueError: for one that is not pinned in this version, or that names no licence.
    """
    pins = {pin["purl"]: pin for pin in pinned}
    for component in installed:
        if component["name"] in NOT_IN_THE_IMAGE:
            continue
        pin = pins.get(component["purl"])
        if pin is None:
            raise ValueError(
                f"{component['bom-ref']} is installed but not pinned in requirements/{GROUP}.txt: "
                "remove .venv/serve, and try again"
            )
        if "licenses" not in component:  # neither an SPDX expression nor a classifier
            about = metadata(component["name"])
            if "License" not in about:
                raise ValueError(f"{component['bom-ref']} names no licence: look it up")
            licence = {"name": about["License"], "acknowledgement": "declared"}
            component["licenses"] = [{"license": licence}]
        component.setdefault("externalReferences", []).extend(pin["externalReferences"])
        yield component


def model_component(path: Path) -> Component:
    """A bundled model, as its manifest describes it."""
    file = ModelFile.read(path)
    about = file.manifest
    measured = {"slice": about.metrics_on}
    return {
        "type": "machine-learning-model",
        "bom-ref": path.name,
        "name": path.name,
        "version": about.version,
        "description": f"{about.precision} weights of {about.name}: {', '.join(about.class_names)}",
        "hashes": [{"alg": "SHA-256", "content": file.sha256}],
        "licenses": [{"license": {"id": about.licence}}],
        "modelCard": {
            "modelParameters": {
                "task": "instance segmentation of radiographs",
                "architectureFamily": "SOLO",
                "modelArchitecture": f"{about.variant}, {about.backbone}",
                "datasets": [
                    {
                        "type": "dataset",
                        "name": about.training_data,
                        "description": about.attribution,
                    }
                ],
            },
            "quantitativeAnalysis": {
                "performanceMetrics": [
                    {"type": name, "value": str(value), **measured}
                    for name, value in about.metrics.items()
                ]
            },
            "considerations": {"useCases": [about.intended_use]},
        },
    }


def base_component() -> Component:
    """The image that the service's is built on."""
    dockerfile = (ROOT / "docker" / "app.Dockerfile").read_text()
    image = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", dockerfile, re.MULTILINE)[0]
    name, _, tag = image.rpartition(":")
    return {"type": "container", "bom-ref": "base-image", "name": name, "version": tag}


def bill_of_materials(installed: dict[str, Any], pinned: dict[str, Any]) -> dict[str, Any]:
    """What the image holds.

    Args:
        installed: what `cyclonedx-py environment` writes.
        pinned: what `cyclonedx-py requirements` writes.

    Raises:
        ValueError: for a distribution that is not as pinned, or that names no licence.
    """
    libraries = [*distributions(installed["components"], pinned["components"])]
    models = [model_component(path) for path in sorted((ROOT / "model" / "zoo").glob("*.onnx"))]
    others = [*models, base_component()]
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    asked = {*direct_requirements(groups, GROUP)}
    root = {**installed["metadata"]["component"], "version": __version__}
    needs = [c["bom-ref"] for c in libraries if normal(c["name"]) in asked]
    kept = {component["bom-ref"] for component in libraries}
    return {
        **installed,
        "metadata": {**installed["metadata"], "component": root},
        "components": [*libraries, *others],
        "dependencies": [
            {"ref": root["bom-ref"], "dependsOn": [*needs, *(c["bom-ref"] for c in others)]},
            *(entry for entry in installed["dependencies"] if entry["ref"] in kept),
        ],
    }


def main(cyclonedx: str) -> int:
    """Writes the bill of this environment to standard output; returns the exit code."""

    def listed(*arguments: str) -> dict[str, Any]:
        command = [cyclonedx, *arguments, "--output-reproducible"]
        found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        assert isinstance(found, dict)
        return found

    try:
        bill = bill_of_materials(
            listed("environment", sys.prefix, "--pyproject", str(ROOT / "pyproject.toml")),
            listed("requirements", str(ROOT / "requirements" / f"{GROUP}.txt")),
        )
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(bill, indent=2, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
