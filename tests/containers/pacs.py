"""The try at home: a film that a sender stores in the archive, and its results beside it."""

from __future__ import annotations

import http.client
import json
import re
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

from tests.containers.confinement import CONFINEMENT
from tests.containers.engine import CommandError, Stack, replacing
from tests.containers.load import until
from tests.containers.proof import Proof

ROOT = Path(__file__).parents[2]
IMAGES = ("localhost/solo-xray:gateway", "localhost/solo-xray:orthanc")
HTTP_PORT, ORTHANC_PORT = 18080, 18042
# docker knows neither of buildah's variables.
PACS = {
    "COMPOSE_PROFILES": "pacs",
    "ORTHANC_PORT": str(ORTHANC_PORT),
    "ORTHANC_DICOM_PORT": "14242",
    "GATEWAY_PORT": "11113",
    "BUILDAH_ISOLATION": "chroot",
    "BUILDAH_LAYERS": "false",
}

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


def build_pacs(stack: Stack) -> bool:
    """Builds the profile's images; False where a build finds no packages of Debian's."""
    try:
        with replacing(stack.engine, *IMAGES):
            stack.compose("build", "orthanc", "pacs-gateway")
    except CommandError as error:
        if re.search(r"^E: (Unable to|Failed to|Package)", str(error), re.MULTILINE):
            print("      the try at home is skipped: a build finds no packages of Debian's here")
            return False
        raise
    return True


def check_pacs(stack: Stack, proof: Proof) -> None:
    """Adds the archive and its gateway to a service that runs.

    Args:
        stack: with `PACS` in its environment.
        proof: notes what holds.
    """
    stack.compose("up", "-d", "orthanc")
    until(lambda: bool(_ask("/system")), "the archive answers")
    plugins = {*json.loads(_ask("/plugins"))} - {"explorer.js"}
    proof("the archive has no plugin but DICOMweb", plugins == {"dicom-web"})
    proof("it takes a film by C-STORE, before there is a gateway", _send(stack) == "0")
    stack.compose("up", "-d", "pacs-gateway")
    until(lambda: {"SEG", "PR", "OT"} < {*_series()}, "the results are in the archive")
    proof("its results are in the film's study", len(json.loads(_ask("/studies"))) == 1,
          ", ".join(_series()))  # fmt: skip
    (gateway,) = stack.containers("pacs-gateway")
    areas = json.loads(stack.engine("exec", gateway, "python", "-c", _AREAS))
    proof("pixels of its SEG are the areas of the JSON", areas == _areas(), areas)
    picture = _ask(f"/instances/{_series()['OT']}/preview")
    in_colour = picture.startswith(b"\x89PNG") and picture[25] == 2
    proof("the archive draws the secondary capture, in colour", in_colour)
    for service in ("orthanc", "pacs-gateway"):
        (name,) = stack.containers(service)
        seen = stack.python(name, CONFINEMENT)
        rights = [seen[one] for one in ("uid", "capabilities", "no_new_privileges", "writable")]
        proof(f"{service} has no rights and a read-only root", rights == [10001, 0, 1, []])
        until(partial(stack.engine.healthy, name), f"{name} is healthy")
        proof(f"the health check of {service} passes", True)


def _send(stack: Stack) -> str:
    """The status of a C-STORE from a container of its own, as from another machine."""
    network, films = f"{stack.project}_outer", f"{ROOT}/examples:/films:ro"
    command = ("--network", network, "--volume", films, IMAGES[0], "python", "-c", _SEND)
    return stack.engine("run", "--rm", *command).strip()


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
