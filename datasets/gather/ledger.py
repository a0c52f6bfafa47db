"""Ledger of a gathered data set: what each source holds, and why less of it arrived."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field


@dataclass
class Dropped:
    """What was dropped for one reason.

    Attributes:
        sentence: about the first of them.
        films: how many.
        instances: how many, those of the dropped films among them.
        times: how often the reason was met.
        hides: whether a film may stay that shows one of them.
    """

    sentence: str
    films: int = 0
    instances: int = 0
    times: int = 0
    hides: bool = False


@dataclass
class Ledger:
    """What a source holds, and what was dropped of it.

    Attributes:
        name: of the source, as it was given.
        films: entries in its list of images.
        instances: entries in its list of annotations.
        dropped: by reason.
        film_names: by image id, where sentences shall have them in place of the ids.
    """

    name: str
    films: int
    instances: int
    dropped: dict[str, Dropped] = field(default_factory=dict)
    film_names: Mapping[str, str] = field(default_factory=dict)

    def drop(
        self, sentence: str, *, films: int = 0, instances: int = 0, hides: bool = True
    ) -> None:
        """Counts what is dropped; sentences that differ in names and numbers are one reason.

        Args:
            sentence: says why.
            films: how many.
            instances: how many, those of the dropped films among them.
            hides: whether instances are there to see on films that may stay.
        """
        if self.film_names:
            sentence = re.sub(r"\bannotation \d+\b", "an object", sentence)
            sentence = re.sub(r"\bimage (\d+)\b", self._film_name, sentence)
        reason = re.sub(r"'.*'|\d+", "", sentence)
        entry = self.dropped.setdefault(reason, Dropped(sentence))
        entry.films += films
        entry.instances += instances
        entry.times += 1
        entry.hides |= hides and instances > 0 and not films

    def losses(self) -> Iterator[str]:
        """A sentence for each reason."""
        for entry in self.dropped.values():
            more = f", and {entry.times - 1:,} more like it" if entry.times > 1 else ""
            yield f"{self.name}: {entry.sentence}{more}"

    def _film_name(self, found: re.Match[str]) -> str:
        name = self.film_names.get(found[1])
        return found[0] if name is None else f"'{name}'"

    @property
    def loses_objects(self) -> bool:
        """Whether an object is dropped though its film may stay."""
        return any(entry.hides for entry in self.dropped.values())


def table(ledgers: Iterable[Ledger], result: str) -> Iterator[str]:
    """The lines of a balance: what was read, less what was dropped, is what the result holds.

    Args:
        ledgers: of all sources.
        result: what the last line is called.
    """
    rows: list[tuple[int, int, str]] = []
    for ledger in ledgers:
        rows.append((ledger.films, ledger.instances, f"in {ledger.name}"))
        for entry in ledger.dropped.values():
            more = f", and {entry.times - 1:,} more like it" if entry.times > 1 else ""
            rows.append((-entry.films, -entry.instances, f"  {entry.sentence}{more}"))
    rows.append((sum(row[0] for row in rows), sum(row[1] for row in rows), f"in {result}"))
    yield f"{'films':>9}  {'instances':>9}"
    for films, instances, text in rows:
        yield f"{films:>9,}  {instances:>9,}  {text}"
