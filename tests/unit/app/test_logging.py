"""Log lines are gathered for a moment, and none is lost."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest

from app.log_output import LogOutput
from app.logging import FLUSH_SECONDS, BufferedHandler, JsonFormatter, write


class Sink(LogOutput):
    """Keeps what a handler hands on."""

    def __init__(self) -> None:
        self.writes: list[str] = []

    def put(self, lines: bytes) -> None:
        self.writes.append(lines.decode())

    def close(self) -> None:
        """There is no thread."""

    def getvalue(self) -> str:
        return "".join(self.writes)


def handler_on(sink: Sink) -> BufferedHandler:
    handler = BufferedHandler(sink)
    handler.setFormatter(JsonFormatter())
    return handler


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("tests.logging")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    yield logger
    logger.handlers.clear()


def events(stream: Sink) -> list[str]:
    return [json.loads(line)["event"] for line in stream.getvalue().splitlines()]


def test_the_lines_of_a_moment_are_written_together(logger: logging.Logger) -> None:
    logger.addHandler(handler_on(stream := Sink()))

    async def moment() -> None:
        for number in range(3):
            write(logger, f"line {number}", number=number)
        assert stream.getvalue() == ""
        await asyncio.sleep(5 * FLUSH_SECONDS)
        assert events(stream) == ["line 0", "line 1", "line 2"]
        write(logger, "later")
        await asyncio.sleep(5 * FLUSH_SECONDS)

    asyncio.run(moment())
    assert events(stream)[3:] == ["later"]
    assert len(stream.writes) == 2


def test_a_warning_brings_those_before_it_at_once(logger: logging.Logger) -> None:
    logger.addHandler(handler_on(stream := Sink()))

    async def moment() -> None:
        write(logger, "a request")
        logger.warning("trouble")
        assert events(stream) == ["a request", "trouble"]

    asyncio.run(moment())


def test_the_end_of_the_process_loses_no_line(logger: logging.Logger) -> None:
    handler = handler_on(stream := Sink())
    logger.addHandler(handler)

    async def moment() -> None:
        write(logger, "the last one")

    asyncio.run(moment())
    assert stream.getvalue() == ""
    handler.flush()  # what `logging.shutdown` calls
    handler.flush()
    assert events(stream) == ["the last one"]


def test_many_lines_do_not_wait(logger: logging.Logger) -> None:
    logger.addHandler(handler_on(stream := Sink()))

    async def moment() -> None:
        for _ in range(1000):
            write(logger, "a request")

    asyncio.run(moment())
    assert len(events(stream)) == 1000


def test_outside_of_a_loop_a_line_is_written_at_once(logger: logging.Logger) -> None:
    logger.addHandler(handler_on(stream := Sink()))
    write(logger, "starting")
    assert events(stream) == ["starting"]


def test_a_line_that_cannot_be_written_costs_no_other_and_repeats_nothing() -> None:
    handler = handler_on(stream := Sink())

    async def moment() -> None:
        for text, argument in (("%s", "before"), ("%d films", "Planted^Patient"), ("%s", "after")):
            record = {"levelno": logging.INFO, "levelname": "INFO", "msg": text}
            handler.handle(logging.makeLogRecord({**record, "args": (argument,)}))

    asyncio.run(moment())
    handler.flush()
    assert events(stream) == ["before", "a log record could not be written", "after"]
    assert "Planted" not in stream.getvalue()
