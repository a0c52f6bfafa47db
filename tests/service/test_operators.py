"""What an unlucky operator does: logs that nobody reads, SIGHUP, addresses, models of no kind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.support.films import flat, png
from tests.support.processes import (
    START_SECONDS,
    STOP_SECONDS,
    ServiceProcess,
    environment,
    free_port,
    run_to_end,
    serving,
    wait_until_ready,
)

FILM = png(flat(255))


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            with suppress(OSError):  # the test has closed it
                os.close(end)


@contextmanager
def started(
    stdout: int | None, model: Path, errors: Path, **settings: object
) -> Iterator[ServiceProcess]:
    """A service whose standard output goes where the test says; None closes it."""
    port = free_port()
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.main"],
            env=environment(port=port, model=model, decode_workers=1, **settings),
            stdout=stdout,
            stderr=stderr,
            preexec_fn=(lambda: os.close(1)) if stdout is None else None,
        )
    try:
        yield ServiceProcess(process, f"http://127.0.0.1:{port}", errors)
    finally:
        process.kill()
        process.wait()


def ask(service: ServiceProcess, times: int) -> None:
    with httpx.Client(base_url=service.url, timeout=20) as http:
        for _ in range(times):
            assert http.get("/healthz/live").status_code == 200
        assert http.post("/segment", content=FILM).status_code == 200


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_log_that_nobody_reads_holds_up_neither_requests_nor_the_end(
    tiny_model: Path, tmp_path: Path
) -> None:
    with pipe() as (_, writing), started(writing, tiny_model, tmp_path / "errors") as service:
        wait_until_ready(service)
        ask(service, 1000)  # of 200 bytes each, where a pipe holds 64 KiB
        assert "solo_log_lines_lost_total 0.0" in httpx.get(f"{service.url}/metrics").text
        service.process.terminate()
        assert service.process.wait(5) == 0
        assert service.log() == ""


@pytest.mark.parametrize("output", ["full", "closed", "closed reader"])
def test_an_output_that_takes_nothing_is_borne(
    tiny_model: Path, tmp_path: Path, output: str
) -> None:
    with pipe() as (reading, writing), Path("/dev/full").open("wb", buffering=0) as full:
        os.close(reading)
        stdout = {"full": full.fileno(), "closed": None, "closed reader": writing}[output]
        with started(stdout, tiny_model, tmp_path / "errors") as service:
            wait_until_ready(service)
            ask(service, 30)
            assert service.stop() == 0
            assert service.log() == ""


@pytest.mark.parametrize("reload", ["true", "false"])
def test_a_hangup_ends_nothing_at_any_moment(tiny_model: Path, tmp_path: Path, reload: str) -> None:
    output = tmp_path / "log"
    with (
        output.open("ab") as log,
        started(log.fileno(), tiny_model, output, reload_on_hangup=reload) as service,
    ):
        until(lambda: "starting" in service.log())
        while '"ready"' not in service.log():
            assert service.process.poll() is None
            service.process.send_signal(signal.SIGHUP)
            time.sleep(0.05)
        done = "model refused" if reload == "true" else "SIGHUP ignored"
        until(lambda: done in service.log())
        seen = service.log().count(done)
        service.process.send_signal(signal.SIGHUP)
        until(lambda: service.log().count(done) > seen)
        ask(service, 1)
        assert ("SOLO_RELOAD_ON_HANGUP" in service.log()) == (reload == "false")
        assert service.stop() == 0


def test_a_pipe_for_a_model_refuses_one_reload_and_not_the_next(
    tiny_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(tiny_model.read_bytes())
    with serving(tmp_path / "output", model=path, reload_on_hangup=True) as service:
        path.unlink()
        os.mkfifo(path)
        service.process.send_signal(signal.SIGHUP)
        until(lambda: "is a pipe or a device" in service.log())
        path.unlink()
        path.mkdir()
        service.process.send_signal(signal.SIGHUP)
        until(lambda: "is a folder" in service.log())
        ask(service, 1)


def refused(text: str, **settings: object) -> None:
    ended = run_to_end(**settings)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert text in ended.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])  # noqa: S104
def test_a_port_that_is_taken_is_told(host: str) -> None:
    """Before the model is opened: there is none at this path."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = f"port {port} on {host} is taken by another program: stop it or set SOLO_PORT"
        refused(text, host=host, port=port, model="absent.onnx")


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("nowhere.invalid", "SOLO_HOST=nowhere.invalid is not known"),
        ("a b", "SOLO_HOST=a b is not known"),
        ("x" * 70, "is not known"),
        ("192.0.2.1", "SOLO_HOST=192.0.2.1 is no address of this machine"),
        ("2001:db8::1", "SOLO_HOST=2001:db8::1 "),
    ],
)
def test_an_address_that_cannot_be_had_is_told(host: str, text: str) -> None:
    refused(text, host=host, port=free_port(), model="absent.onnx")


@pytest.mark.parametrize(
    ("kind", "text"),
    [("pipe", "is a pipe or a device"), ("folder", "is a folder"), ("device", "is a pipe")],
)
def test_a_model_that_is_no_file_is_told(tmp_path: Path, kind: str, text: str) -> None:
    path = tmp_path / "model.onnx"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path = Path("/dev/zero")
    refused(text, model=path, port=free_port())


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_a_start_that_is_told_to_stop_ends_at_once_and_quietly(
    tiny_model: Path, tmp_path: Path, told: int
) -> None:
    """By itself: the first process of a container has no default action that would end it."""
    with pipe() as (reading, writing), started(writing, tiny_model, tmp_path / "errors") as service:
        assert b"starting" in os.read(reading, 1000)
        service.process.send_signal(told)
        assert service.process.wait(STOP_SECONDS) == 0
        assert service.log() == ""


@pytest.mark.parametrize(
    ("value", "quoted"), [("127.0.0.1\nx", "127.0.0.1\\nx"), ("\udcff\x1b[1m", "\\udcff\\x1b[1m")]
)
def test_a_setting_is_quoted_in_one_line_of_text(value: str, quoted: str) -> None:
    refused(f"SOLO_PORT={quoted}: ", port=value)
    refused(f"the model {quoted} cannot be read: ", port=free_port(), model=value)


def test_a_terminal_gets_plain_text(tiny_model: Path, tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 200))
    with started(theirs, tiny_model, tmp_path / "errors") as service:
        wait_until_ready(service)
        assert service.stop() == 0
        text = os.read(ours, 100_000).decode()
    assert "starting      version" in text
    assert f"ready         url {service.url}, page /," in text
    assert "{" not in text
    assert "\x1b" not in text
    os.close(ours)
    os.close(theirs)


def test_the_log_says_what_is_ready(service: ServiceProcess) -> None:
    until(lambda: '"ready"' in service.log())
    entries = [json.loads(line) for line in service.log().splitlines() if line.endswith("}")]
    events = [entry["event"] for entry in entries if entry["event"] != "request"]
    assert events[:3] == ["starting", "warming up", "ready"]
    (ready,) = (entry for entry in entries if entry["event"] == "ready")
    expected = {"page": "/", "precision": "float32", "access": "open", "url": service.url}
    assert expected.items() <= ready.items()
    assert ready["provider"] == "CPUExecutionProvider"
