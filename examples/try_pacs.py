"""A try at home of results in an archive, without containers: Orthanc, the service, the gateway.

    make try-pacs

Sends the example film to the archive, waits for its results, lists them, saves the archive's own
pictures of them, and ends all three. Needs Debian's Orthanc and dcmtk, and the two environments
that make sets up. docs/pacs.md has the same with containers, which stay for a look around.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FILM = ROOT / "examples" / "chest.dcm"
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
PACKAGES = "orthanc orthanc-dicomweb dcmtk"
RESULTS = {"SEG", "PR", "OT"}  # segmentation, presentation state, secondary capture
START_SECONDS, RESULT_SECONDS, STOP_SECONDS = 60, 60, 10
# A network of its own, since Orthanc listens on every address.
_LOOPBACK = 'ip link set lo up && exec "$@"'


def main() -> None:
    """Command line; comes back to itself within the namespace, where there can be one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("out/pacs"), help="folder for pictures")
    parser.add_argument("--service", default=sys.executable, help="Python of the service")
    parser.add_argument("--gateway", default=sys.executable, help="Python of the gateway")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    programs = find_programs()
    if not arguments.here:
        apart = namespace()
        if apart:
            os.execvp(apart[0], [*apart, sys.executable, __file__, *sys.argv[1:], "--here"])  # noqa: S606
        print("There can be no namespace here: until the end, Orthanc's DICOM port takes")
        print("connections from the network, and refuses films that this machine did not send.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    arguments.out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        attempt(stack, programs, arguments.service, arguments.gateway, folder, arguments.out)


def find_programs() -> tuple[str, str]:
    """Orthanc and storescu.

    Raises:
        SystemExit: saying how to get what is missing.
    """
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    found = [shutil.which(name, path=path) for name in ("Orthanc", "storescu")]
    if found[0] is None or found[1] is None or not PLUGIN.exists():
        raise SystemExit(
            "Orthanc, its DICOMweb plugin or storescu is not installed. On Debian:\n"
            f"  sudo apt-get install --no-install-recommends {PACKAGES}\n"
            "Debian starts Orthanc with that, open to your network. If you do not want this:\n"
            "  sudo systemctl disable --now orthanc"
        )
    return found[0], found[1]


def namespace() -> list[str]:
    """The command that goes before another to run it apart; empty where that is not allowed."""
    for options in (["--net"], ["--net", "--map-root-user"]):
        apart = ["unshare", *options, "sh", "-c", _LOOPBACK, "sh"]
        if shutil.which("unshare") and shutil.which("ip") and _succeeds([*apart, "true"]):
            return apart
    return []


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def attempt(
    stack: ExitStack,
    programs: tuple[str, str],
    service: str,
    gateway: str,
    folder: Path,
    out: Path,
) -> None:
    """Starts all, sends the film and shows what came of it.

    Args:
        stack: ends what was started.
        programs: Orthanc and storescu.
        service: the Python that runs the service.
        gateway: the Python that runs the gateway.
        folder: for the archive, the cursor and logs.
        out: folder for pictures.

    Raises:
        SystemExit: if anything does not start, or no results come.
    """
    orthanc, storescu = programs
    archive_port, dicom_port, service_port, metrics_port = (free_port() for _ in range(4))
    archive, served = (f"http://127.0.0.1:{port}" for port in (archive_port, service_port))
    configuration = json.loads((ROOT / "docker" / "orthanc.json").read_text()) | {
        "StorageDirectory": str(folder / "orthanc"),
        "IndexDirectory": str(folder / "orthanc"),
        "HttpPort": archive_port,
        "DicomPort": dicom_port,
        "RemoteAccessAllowed": False,
        "DicomAlwaysAllowStore": False,
        "DicomCheckModalityHost": True,
        "DicomModalities": {"sender": ["STORESCU", "127.0.0.1", 104]},
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    (folder / "cursor").write_text("0")  # from the archive's first film on
    commands: dict[str, tuple[list[str], Mapping[str, object], str]] = {
        "orthanc": ([orthanc, str(folder / "orthanc.json")], {}, f"{archive}/system"),
        "service": (
            [service, "-m", "app.main"],
            {"SOLO_PORT": service_port},
            f"{served}/healthz/ready",
        ),
        "gateway": (
            [gateway, "-m", "gateway"],
            {
                "SOLO_GATEWAY_MODE": "pull",
                "SOLO_GATEWAY_SERVICE_URL": served,
                "SOLO_GATEWAY_ORTHANC_URL": archive,
                "SOLO_GATEWAY_DICOMWEB_URL": f"{archive}/dicom-web",
                "SOLO_GATEWAY_CURSOR_FILE": folder / "cursor",
                "SOLO_GATEWAY_RESULTS": "seg,gsps,sc",
                "SOLO_GATEWAY_METRICS_PORT": metrics_port,
            },
            f"http://127.0.0.1:{metrics_port}/healthz/ready",
        ),
    }
    for name, (command, settings, url) in commands.items():
        print(f"starting {name} ...", flush=True)
        log = folder / f"{name}.log"
        process = stack.enter_context(running(command, settings, log))
        wait_for(lambda: answers(url), process, START_SECONDS, f"{name} does not start", log)  # noqa: B023
    sent = [storescu, "-aec", "ORTHANC", "127.0.0.1", str(dicom_port), str(FILM)]
    print(f"storescu -aec ORTHANC 127.0.0.1 {dicom_port} {FILM.relative_to(ROOT)}", flush=True)
    if subprocess.run(sent, check=False).returncode:
        raise SystemExit("storescu could not send the film: it says why above")
    wait_for(
        lambda: {one["MainDicomTags"]["Modality"] for one in series(archive)} >= RESULTS,
        process,
        RESULT_SECONDS,
        "no results have come",
        folder / "gateway.log",
    )
    show(archive, out)


def show(archive: str, out: Path) -> None:
    """Lists what the archive has, and saves its pictures of what it can draw."""
    for one in series(archive):
        tags, (instance,) = one["MainDicomTags"], one["Instances"]
        line = f"{tags['Modality']:4} {tags.get('SeriesDescription', ''):40}"
        try:
            picture = get(f"{archive}/instances/{instance}/preview", "image/png")
        except urllib.error.HTTPError:
            print(line, "(no picture: Orthanc does not draw these)")
            continue
        path = out / f"{tags['Modality']}.png"
        path.write_bytes(picture)
        print(line, path)


def series(archive: str) -> list[Any]:
    """The archive's series, in their order."""
    found = json.loads(get(f"{archive}/series?expand"))
    return sorted(found, key=lambda one: int(one["MainDicomTags"].get("SeriesNumber", 0)))


def get(url: str, accept: str = "*/*") -> bytes:
    """What a server on this machine answers.

    Raises:
        OSError: if it does not, or refuses.
    """
    request = urllib.request.Request(url, headers={"Accept": accept})  # noqa: S310 (our own)
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        body: bytes = response.read()
    return body


def answers(url: str) -> bool:
    """Whether a server is ready."""
    try:
        return bool(get(url))
    except OSError:
        return False


@contextmanager
def running(
    command: list[str], settings: Mapping[str, object], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A process with these settings alone, until the block ends, or this process in any way."""
    command = ["setpriv", "--pdeathsig", "TERM", *command]
    kept = {name: text for name, text in os.environ.items() if not name.startswith("SOLO_")}
    environment = kept | {name: str(value) for name, value in settings.items()}
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(
    condition: Callable[[], bool],
    process: subprocess.Popen[bytes],
    seconds: float,
    failure: str,
    log: Path,
) -> None:
    """Waits until something holds.

    Raises:
        SystemExit: if it does not in time, or the process ends, with the end of its log.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            end = log.read_text(errors="replace")[-2000:]
            raise SystemExit(f"{failure}; its log ends with:\n{end}")
        time.sleep(0.1)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
