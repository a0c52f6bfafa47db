"""Options: which instances are in a result, and checks of the segmenter's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real

from solo.errors import InvalidParameterError


@dataclass(frozen=True)
class Options:
    """Thresholds for one image; what is None is the model's own.

    Attributes:
        score_threshold: least score of an instance, in [0, 1].
        max_instances: most instances of an image, best first; at least 1.
        max_overlap: largest intersection over union of two instances of whatever class, in [0, 1];
            the better one stays. None suppresses within a class only, as the model does.

    Raises:
        InvalidParameterError: for a value out of range.
    """

    score_threshold: float | None = None
    max_instances: int | None = None
    max_overlap: float | None = None

    def __post_init__(self) -> None:
        for name in ("score_threshold", "max_overlap"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, Real) and 0 <= float(value) <= 1):
                raise InvalidParameterError(f"{name} is {value!r}, and has to be in [0, 1]")
        most = self.max_instances
        if most is not None and not (isinstance(most, Integral) and most >= 1):
            raise InvalidParameterError(f"max_instances is {most!r}, and has to be 1 or more")


def check_numbers(numbers: Mapping[str, int]) -> None:
    """Checks settings that count something.

    Raises:
        ValueError: for one below 1.
    """
    for name, number in numbers.items():
        if not number >= 1:
            raise ValueError(f"{name} is {number}, and has to be 1 or more")


def check_word(name: str, word: str, words: Sequence[str]) -> None:
    """Checks a setting of a closed set.

    Raises:
        ValueError: for a word that is none of them.
    """
    if word not in words:
        raise ValueError(f"{name} is {word!r}, and has to be one of {', '.join(words)}")
