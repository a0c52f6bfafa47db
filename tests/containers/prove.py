"""Builds the CPU image, runs the compose stack and tries what docs/operations.md promises of it.

    make test-containers

Needs docker with compose, or podman with podman-compose; openssl; and no Python library at all, so
that it runs from a clean clone. With --or-skip it says what is missing and counts as passed.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.containers.balancer import addresses_handed_on, redirected  # noqa: E402
from tests.containers.confinement import check_confinement  # noqa: E402
from tests.containers.engine import (  # noqa: E402
    CannotRunError,
    Engine,
    Stack,
    find_engine,
    replacing,
    run,
)
from tests.containers.load import Client, Load, until  # noqa: E402
from tests.containers.metrics import PROMETHEUS_PORT, value  # noqa: E402
from tests.containers.pacs import HTTP_PORT, PACS, build_pacs, check_pacs  # noqa: E402
from tests.containers.proof import Proof  # noqa: E402

IMAGE = "localhost/solo-xray:cpu"
FILM = (ROOT / "examples" / "chest.dcm").read_bytes()
MOST_BYTES_OVER_BASE = 500_000_000
CLIENTS = 16
TLS_PORT = 18443
# podman raises each limit that is not named once one is, which not every machine lets it do.
_PODMANS_LIMITS = """
services:
  cpu: &named {ulimits: {nofile: 1024, nproc: 4096}}
  balancer: *named
  prometheus: *named
  orthanc: *named
  pacs-gateway: *named
"""


def build(engine: Engine) -> None:
    """Builds the image."""
    with replacing(engine, IMAGE):
        # podman would keep a copy of everything for each step; docker does not know the variable.
        run(["make", "image", f"ENGINE={engine.name}"], {"BUILDAH_LAYERS": "false"})


def check_image(engine: Engine, proof: Proof, base: str) -> None:
    """What the image is and is not."""
    size, base_size = (int(engine.inspect("image", name, "{{.Size}}")) for name in (IMAGE, base))
    over = size - base_size
    proof("the image is at most 500 MB over its base", over <= MOST_BYTES_OVER_BASE,
          f"{over / 1e6:.0f} MB")  # fmt: skip
    labels = json.loads(engine.inspect("image", IMAGE, "{{json .Config.Labels}}"))
    commit = run(["git", "rev-parse", "HEAD"]).strip()
    named = labels["org.opencontainers.image.revision"]
    proof("its label has the commit", named == commit, commit[:12])
    version = re.search(r'^__version__ = "(.+)"', (ROOT / "solo/__init__.py").read_text(), re.M)
    found = labels["org.opencontainers.image.version"]
    proof("and the version", version is not None and found == version[1], found)


@contextmanager
def secrets(engine: Engine) -> Iterator[tuple[Path, str]]:
    """A folder with a certificate and a file of keys, and the key."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost", "-keyout", f"{folder}/private.pem",
             "-out", f"{folder}/certificate.pem"])  # fmt: skip
        parts = [(folder / part).read_text() for part in ("certificate.pem", "private.pem")]
        (folder / "tls.pem").write_text("".join(parts))
        made = engine("run", "--rm", "--network", "none", IMAGE, "sh", "-c",
                      "python -m app.keys proof 2>&1")  # fmt: skip
        line = next(line for line in made.splitlines() if line.startswith("proof "))
        (folder / "keys").write_text(f"{line}\n")
        yield folder, next(line for line in made.splitlines() if not line.startswith("proof "))


def check_answers(proof: Proof, client: Client) -> None:
    """What callers get."""
    status, answer = client.once("/segment", FILM)
    labels = [instance["label"] for instance in answer["images"][0]["instances"]]
    proof("a film with a key gets its masks over TLS", (status, labels) == (200, ["lung"] * 2))
    for key, what in ((None, "no key"), ("x" * 43, "a wrong key")):
        status, answer = Client(client.port, client.certificate, key).once("/segment", FILM)
        proof(f"a film with {what} gets 401", status == 401, answer["detail"])
    plain = http.client.HTTPConnection("localhost", HTTP_PORT, timeout=30)
    status, answer = client.ask(plain, "/segment", b"film")
    proof("plain HTTP is refused, as configured", status == 403, answer["detail"])
    status, _ = client.once("/metrics")
    proof("the balancer hides the replicas' metrics", status == 404)


def check_keys(proof: Proof, client: Client, keys: Path) -> None:
    """A key that comes and goes, in the file as it is mounted."""
    former, later = keys.read_text(), replace(client, key="y" * 43)
    digest = hashlib.sha256(b"y" * 43).hexdigest()
    for text, status in ((f"{former}later {digest}\n", 200), (former, 401)):
        keys.write_text(text)
        until(partial(_answers, later, status), f"a key gets {status}")
    proof("a key is added and withdrawn without a restart", True)


def _answers(client: Client, status: int) -> bool:
    return client.once("/model")[0] == status


def check_balancer(engine: Engine, proof: Proof, image: str, python: str) -> None:
    """What else an operator can have of plain HTTP; `refuse` is asked of the stack."""
    answer = redirected(engine, image)
    found = (answer.status, answer.headers["location"])
    proof("a balancer that is told to redirect plain HTTP does",
          found == (308, "https://localhost:8443/model"), answer.status)  # fmt: skip
    told = answer.headers["x-content-type-options"]
    proof("and says to browsers what they may not do", told == "nosniff")
    forged = "203.0.113.7"
    lines = addresses_handed_on(forged, engine, image, python)
    proof("one that is told to serve it hands on the client's address, and not a claimed one",
          len(lines) == 1 and forged not in lines[0], lines)  # fmt: skip


def clone(engine: Engine, folder: Path) -> str:
    """Copies what git tracks, as it is here, and so without a .env; returns the compose files."""
    for name in run(["git", "ls-files", "-z"]).split("\0")[:-1]:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    if engine.name == "docker":
        return "docker-compose.yml"
    (folder / "limits.yml").write_text(_PODMANS_LIMITS)
    return "docker-compose.yml:limits.yml"


def check_defaults(engine: Engine, proof: Proof, folder: Path, files: str) -> None:
    """What `docker compose up` of a fresh clone is, but for its ports, and then the try at home."""
    given = {"COMPOSE_FILE": files, "HTTP_PORT": str(HTTP_PORT), **PACS}
    stack = Stack(engine, "solo-xray-proof", given, folder)
    for service in ("cpu", "balancer"):
        limits = [stack.configured(service, field) for field in ("memory", "memswap_limit")]
        proof(f"{service} may not swap: memory is limited alone and with swap to the same",
              len({*limits}) == 1, limits[0])  # fmt: skip
    client = Client(HTTP_PORT, folder, None)

    def ask(path: str, body: bytes | None = None) -> tuple[int, dict[str, object]]:
        plain = http.client.HTTPConnection("localhost", HTTP_PORT, timeout=30)
        plain.connect()
        return client.ask(plain, path, body)

    try:
        stack.compose("up", "-d", "cpu", "balancer")
        until(lambda: ask("/healthz/ready")[0] == 200, "a replica is ready")
        proof("a fresh clone comes up without a .env", True)
        until(lambda: ask("/segment", FILM)[0] == 200, "masks without a key")
        proof("and gives masks without a key", True)
        if build_pacs(stack):
            check_pacs(stack, proof)
    finally:
        stack.compose("down", "--volumes")


def check_health(stack: Stack, proof: Proof) -> None:
    """Each service's own health check, and which version it was of those that are not ours."""
    for service, asked in (
        ("balancer", ("haproxy", "-v")),
        ("prometheus", ("promtool", "--version")),
    ):
        said = stack.engine("exec", stack.containers(service)[0], *asked)
        print(f"      {service}: {said.splitlines()[0]}", flush=True)
    for service in ("cpu", "balancer", "prometheus"):
        name = stack.containers(service)[0]
        until(partial(stack.engine.healthy, name), f"{name} is healthy")
        proof(f"the health check of {service} passes", True)


def check_metrics(proof: Proof) -> None:
    """What Prometheus sees."""
    answered = 'sum(solo_requests_total{route="/segment",code="200"})'
    until(lambda: value(answered) >= 1, "Prometheus counts the film")
    proof("Prometheus has the solo_ metrics of both replicas", value("count(solo_ready)") == 2)
    proof("and the balancer's", value('up{job="balancer"}') == 1)
    url = f"http://localhost:{PROMETHEUS_PORT}/api/v1/rules"
    with urllib.request.urlopen(url, timeout=10) as response:
        groups = json.load(response)["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    proof("its rules are loaded and sound", all(r["health"] != "err" for r in rules), len(rules))


def check_loss(stack: Stack, proof: Proof, client: Client) -> None:
    """A replica is killed while clients wait for it."""
    load = Load(client, FILM)
    load.start(CLIENTS)
    try:
        until(lambda: load.answered() >= CLIENTS, "the clients are answered")
        victim = stack.containers("cpu")[0]
        # Failures of requests sent until the engine has done it are failures in flight.
        stack.engine("kill", victim)
        killed = time.monotonic()
        until(lambda: load.answered(since=killed) >= CLIENTS, "the other replica answers")
    finally:
        load.stop()
    failed = [outcome for outcome in load.outcomes if outcome.status != 200]
    statuses = {
        status: sum(o.status == status for o in failed) for status in {o.status for o in failed}
    }
    in_flight = len(failed) <= CLIENTS and all(outcome.started < killed for outcome in failed)
    proof("at most requests in flight on it failed, of 16 clients", in_flight, len(failed))
    # HAProxy 2.6 says nothing to a client that is still sending its film when the replica ends.
    proof("each with 502, or a closed connection while still sending (0)",
          statuses.keys() <= {0, 502}, statuses)  # fmt: skip
    proof("the other replica answered all that came after", True, load.answered(since=killed))
    until(lambda: value('sum(up{job="solo"})') == 1, "Prometheus misses the replica")
    proof("Prometheus shows the gap", True)
    stack.engine("start", victim)
    until(lambda: value("sum(solo_ready)") == 2, "the replica is back")
    proof("started again, it takes part again", True)


def check_end(stack: Stack, proof: Proof) -> None:
    """Replicas end well when they are told to."""
    for name in stack.containers("cpu"):
        stack.engine("stop", "--time", "30", name)
    codes = [
        stack.engine.inspect("container", n, "{{.State.ExitCode}}") for n in stack.containers("cpu")
    ]
    proof("told to stop, replicas end with exit code 0", set(codes) == {"0"})


def prove(engine: Engine, proof: Proof) -> None:
    """Tries everything, and takes down what it started."""
    compose_file = (ROOT / "docker-compose.yml").read_text()
    images = dict(re.findall(r"\$\{(\w+_IMAGE):-([^}]+)\}", compose_file))
    for image in ("PYTHON_IMAGE", "HAPROXY_IMAGE", "PROMETHEUS_IMAGE"):
        engine.require(images[image])
    engine.require_room()
    engine.require_containers(images["PYTHON_IMAGE"], "multipart")
    build(engine)
    check_image(engine, proof, images["PYTHON_IMAGE"])
    check_balancer(engine, proof, images["HAPROXY_IMAGE"], images["PYTHON_IMAGE"])
    with secrets(engine) as (folder, key), tempfile.TemporaryDirectory() as fresh:
        files = clone(engine, Path(fresh))
        check_defaults(engine, proof, Path(fresh), files)
        stack = Stack(engine, "solo-xray-proof", {
            "COMPOSE_FILE": f"{files}:docker-compose.secure.yml",
            "REPLICAS": "2", "CPUS": "0.5", "SOLO_DECODE_WORKERS": "2",
            "ADDRESS": "127.0.0.1", "TLS_ADDRESS": "127.0.0.1", "HTTP_PORT": str(HTTP_PORT),
            "HTTPS_PORT": str(TLS_PORT), "PROMETHEUS_PORT": str(PROMETHEUS_PORT),
            "KEYS_FILE": f"{folder}/keys", "TLS_FILE": f"{folder}/tls.pem",
        }, Path(fresh))  # fmt: skip
        client = Client(TLS_PORT, folder / "certificate.pem", key)
        steps: list[Callable[[], None]] = [
            lambda: check_answers(proof, client),
            lambda: check_keys(proof, client, folder / "keys"),
            lambda: check_confinement(stack, proof),
            lambda: check_health(stack, proof),
            lambda: check_metrics(proof),
            lambda: check_loss(stack, proof, client),
            lambda: check_end(stack, proof),
        ]
        try:
            stack.compose("up", "-d", "cpu", "balancer", "prometheus")
            until(lambda: client.once("/healthz/ready")[0] == 200, "a replica is ready")
            until(lambda: value("sum(solo_ready)") == 2, "Prometheus sees both replicas ready")
            proof("the stack is up", True)
            for step in steps:
                step()
        finally:
            stack.compose("down", "--volumes")
    proof("and taken down again", stack.containers("cpu") == [])


def main(arguments: list[str]) -> int:
    """Command line: COMPOSE [--or-skip]; returns the exit code."""
    proof = Proof()
    try:
        prove(find_engine(arguments[0]), proof)
    except (CannotRunError, subprocess.TimeoutExpired) as reason:
        print(f"skipped: {reason}")
        return 0 if "--or-skip" in arguments else 1
    except AssertionError as broken:
        print(f"FAIL  {broken}\n{proof.kept} passed, 1 failed")
        return 1
    print(f"{proof.kept} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
