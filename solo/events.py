"""Events of a running segmenter, for a door to count or to act on."""

from __future__ import annotations

from typing import Literal

from solo.result import ModelIdentity, Result

Release = Literal["full", "idle", "wait"]
"""Why a batch left: it was full, the model was idle, or its batch window was over."""
Reload = Literal["swapped", "refused", "rolled_back"]
"""The outcome of a hot reload."""


class Events:
    """Hears everything and does nothing; a door overrides what it wants.

    All methods are called in the event loop, have to be short, and may not raise: what fails in one
    of them ends the batch or the result that it was told of.
    """

    def on_result(self, result: Result) -> None:
        """An image was segmented; its timings say where the time went."""

    def on_batch(self, size: int, release: Release) -> None:
        """A batch of so many images, padding not counted, has left for the model."""

    def on_model(self, model: ModelIdentity) -> None:
        """Another model answers from now on."""

    def on_health(self, answers: bool) -> None:
        """The last batch, or the last self-test, succeeded or failed."""

    def on_failure(self, reason: str) -> None:
        """The process cannot go on and should end; the reason is a sentence for the operator."""

    def on_session_reopened(self) -> None:
        """The model's session was opened anew, since the self-test had failed."""

    def on_reload(self, outcome: Reload) -> None:
        """A hot reload has ended, or a reloaded model was rolled back."""
