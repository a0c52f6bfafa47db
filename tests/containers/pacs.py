"""The try at home: a film that a sender stores in the archive, and its results beside it."""

from __future__ import annotations

import http.client
import json
import urllib.request
from pathlib import Path
from typing import Any

from tests.containers.confinement import CONFINEMENT
from tests.containers.engine import CommandError, Engine, Stack, replacing
from tests.containers.load import until
from tests.containers.proof import Proof

ROOT = Path(__file__).parents[2]
PROJECT = "solo-xray-proof"
IMAGES = ("localhost/solo-xray:gateway", "localhost/solo-xray:orthanc")
HTTP_PORT, ORTHANC_PORT, DICOM_PORT, GATEWAY_PORT = 18080, 18042, 14242, 11113
# As buildah does it here; docker knows neither variable.
_BUILDAH = {"BUILDAH_ISOLATION": "chroot", "BUILDAH_LAYERS": "false"}

_SEND = """
from pydicom import dcmread
from pynetdicom import AE, build_context
film = dcmread("/films/chest.dcm")
contexts = [build_context(film.SOPClassUID, film.file_meta.TransferSyntaxUID)]
association = AE("MODALITY").associate("orthanc", 4242, contexts, ae_title="ORTHANC")
print(association.send_c_store(film).Status)
association.release()
"""
# What each segment of the archive's only SEG has of pixels.
_AREAS = """
import io, json, urllib.request
from pydicom import dcmread
def get(path):
    with urllib.request.urlopen("http://orthanc:8042" + path) as response: return response.read()
for name in json.loads(get("/instances")):
    found = dcmread(io.BytesIO(get(f"/instances/{name}/file")))
    if found.Modality == "SEG":
        bits, size = int.from_bytes(found.PixelData, "little"), found.Rows * found.Columns
        print([(bits >> number * size & (1 << size) - 1).bit_count()
               for number in range(int(found.NumberOfFrames))])
"""


def check_pacs(engine: Engine, proof: Proof, folder: Path, files: str, python: str) -> None:
    """Builds and starts the profile, and sends the film before the gateway is there.

    Args:
        engine: what runs containers.
        proof: notes what holds.
        folder: where the compose files are.
        files: their names.
        python: the image that the others are built from.
    """
    probe = ("sh", "-c", "apt-get update -qq >/dev/null 2>&1; apt-cache show orthanc-dicomweb")
    try:
        engine("run", "--rm", python, *probe)
    except CommandError:
        print("      the try at home is skipped: a container finds no Debian packages here")
        return
    given = {
        "COMPOSE_FILE": files, "COMPOSE_PROFILES": "pacs", "HTTP_PORT": str(HTTP_PORT),
        "ORTHANC_PORT": str(ORTHANC_PORT), "ORTHANC_DICOM_PORT": str(DICOM_PORT),
        "GATEWAY_PORT": str(GATEWAY_PORT), **_BUILDAH,
    }  # fmt: skip
    stack = Stack(engine, PROJECT, given, folder)
    with replacing(engine, *IMAGES):
        stack.compose("build", "orthanc", "pacs-gateway")
    try:
        stack.compose("up", "-d", "orthanc")
        until(lambda: bool(_ask("/system")), "the archive answers")
        plugins = {*json.loads(_ask("/plugins"))} - {"explorer.js"}
        proof("the archive has no plugin but DICOMweb", plugins == {"dicom-web"})
        proof("it takes a film by C-STORE", _sender(engine, _SEND) == "0")
        stack.compose("up", "-d", "cpu", "balancer", "pacs-gateway")
        until(lambda: {"SEG", "PR", "OT"} < {*_series()}, "the results are in the archive")
        proof("its results are in the film's study", len(json.loads(_ask("/studies"))) == 1,
              ", ".join(_series()))  # fmt: skip
        areas = json.loads(_sender(engine, _AREAS))
        proof("pixels of its SEG are the areas of the JSON", areas == _areas(), areas)
        picture = _ask(f"/instances/{_series()['OT']}/preview")
        in_colour = picture.startswith(b"\x89PNG") and picture[25] == 2
        proof("the archive draws the secondary capture, in colour", in_colour)
        for service in ("orthanc", "pacs-gateway"):
            (name,) = stack.containers(service)
            seen = stack.python(name, CONFINEMENT)
            rights = [seen[one] for one in ("uid", "capabilities", "no_new_privileges", "writable")]
            proof(f"{service} has no rights and a read-only root", rights == [10001, 0, 1, []])
            until(lambda: engine.healthy(name), f"{name} is healthy")  # noqa: B023 (called here)
            proof(f"the health check of {service} passes", True)
    finally:
        stack.compose("down", "--volumes")


def _sender(engine: Engine, program: str) -> str:
    """What a program prints in a container beside the archive, as another machine would be."""
    films = f"{ROOT}/examples:/films:ro"
    command = ("--network", f"{PROJECT}_outer", "--volume", films, IMAGES[0], "python", "-c")
    return engine("run", "--rm", *command, program).strip()


def _ask(path: str) -> bytes:
    """The archive's answer, empty while it is away."""
    try:
        url = f"http://127.0.0.1:{ORTHANC_PORT}{path}"
        with urllib.request.urlopen(url, timeout=10) as response:
            body: bytes = response.read()
    except OSError:
        return b""
    return body


def _series() -> dict[str, str]:
    """The last instance of each modality."""
    found: list[Any] = json.loads(_ask("/series?expand"))
    return {one["MainDicomTags"]["Modality"]: one["Instances"][-1] for one in found}


def _areas() -> list[int]:
    connection = http.client.HTTPConnection("localhost", HTTP_PORT, timeout=30)
    connection.request("POST", "/segment", (ROOT / "examples" / "chest.dcm").read_bytes())
    (image,) = json.loads(connection.getresponse().read())["images"]
    return [instance["area"] for instance in image["instances"]]
