"""Attacks: what each does, how late the good client may be answered, and how to add one.

An attack is a coroutine that goes on until its `Siege` is to stop. Five lines add one:

    @attack(Bar.THREEFOLD, answers={400})
    async def heads_without_a_version(siege: Siege) -> None:
        \"\"\"200 request lines a second that name no version of HTTP.\"\"\"
        await siege.at_rate(200, lambda _: siege.ask(b"GET /\\r\\n\\r\\n"))
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from tests.torture.siege import Siege

ALWAYS_ALLOWED = frozenset({408, 429})
"""Answers that whoever attacks must put up with: too slow, and too much."""
NONE = 0
"""In place of a status: the connection ended without an answer."""


class Bar(Enum):
    """How late the good client's 99th percentile may be while the attack runs."""

    THREEFOLD = "three times that alone"
    ONE_DECODE = "that alone, and one decoding of the attack's heaviest film"
    ANY = "no matter when: the attack's films are as ordinary, or decoders are taken away"


@dataclass(frozen=True)
class Attack:
    """An attack, and the service that it is made on.

    Attributes:
        name: as the command line and the table have it.
        about: what it does, in one line.
        run: goes on until the siege is to stop.
        bar: how late the good client may be answered.
        answers: statuses that its requests may get, `NONE` among them, beside `ALWAYS_ALLOWED`.
        good_answers: statuses that the good client may get beside its own 200.
        settings: of a service of its own; with none of these it is made on one that others share.
        model: name of the bundled model that is served.
        unread: whether the service's standard output is a pipe that nobody reads.
        terminates: whether the service gets SIGTERM while the attack's requests are at work.
        long: whether it takes too long for the tests.
    """

    name: str
    about: str
    run: Callable[[Siege], Awaitable[None]]
    bar: Bar
    answers: frozenset[int]
    good_answers: frozenset[int] = frozenset()
    settings: Mapping[str, object] = field(default_factory=dict)
    model: str = "cxr-lungs"
    unread: bool = False
    terminates: bool = False
    long: bool = False

    @property
    def has_own_service(self) -> bool:
        """Whether the service is started for it alone, and ended by SIGTERM after it."""
        return bool(self.unread or self.terminates or self.settings)

    @property
    def service(self) -> tuple[str, str]:
        """Equal for attacks that can be made on one service, one after the other."""
        return self.name if self.has_own_service else "", self.model


ATTACKS: dict[str, Attack] = {}


def attack(
    bar: Bar,
    answers: Iterable[int] = (),
    *,
    good_answers: Iterable[int] = (),
    settings: Mapping[str, object] | None = None,
    model: str = "cxr-lungs",
    unread: bool = False,
    terminates: bool = False,
    long: bool = False,
) -> Callable[[Callable[[Siege], Awaitable[None]]], Callable[[Siege], Awaitable[None]]]:
    """Enters a coroutine in the table of attacks; see `Attack` for the arguments."""

    def enter(run: Callable[[Siege], Awaitable[None]]) -> Callable[[Siege], Awaitable[None]]:
        name = run.__name__.replace("_", "-")
        about = (run.__doc__ or "").strip().partition("\n")[0]
        ATTACKS[name] = Attack(
            name,
            about,
            run,
            bar,
            frozenset(answers) | ALWAYS_ALLOWED,
            frozenset(good_answers),
            settings or {},
            model,
            unread,
            terminates,
            long,
        )
        return run

    return enter
