"""Cost model: the measured time of a run of each batch size, and the batch size that pays."""

from __future__ import annotations

from collections.abc import Mapping

_NEW_WEIGHT = 0.1  # of a new measurement in the running mean
_WORTH_IT = 1.02  # a larger batch has to be faster per image by this factor
_RUNS_UNTIL_LARGER = 1000


class CostModel:
    """The time of a run of each batch size, and the batches that follow from it.

    On a GPU a run of eight costs little more than a run of one; on a CPU eight times as much, and
    then there is nothing to gain by running images together, much less by waiting for them.

    Args:
        seconds: of one run of every batch size, measured at warm-up.

    Attributes:
        best_size: the batch size of most images a second; the smallest of those about as good.
    """

    def __init__(self, seconds: Mapping[int, float]) -> None:
        self._seconds = dict(sorted(seconds.items()))
        self._sizes = list(self._seconds)
        self._runs_since_shrinking = 0
        self._plan()

    def note(self, images: int, seconds: float) -> None:
        """Takes a measured run into the mean of its batch size."""
        size = next(size for size in self._seconds if size >= images)
        self._seconds[size] += _NEW_WEIGHT * (seconds - self._seconds[size])
        self._runs_since_shrinking += 1
        known = list(self._seconds)
        if len(self._sizes) < len(known) and self._runs_since_shrinking >= _RUNS_UNTIL_LARGER:
            self._sizes = known[: len(self._sizes) + 1]
            self._runs_since_shrinking = 0
        self._plan()

    def take(self, waiting: int) -> int:
        """The batch size to run next, of so many waiting images.

        All, where a batch has room; fewer, where padding up to the next batch size would cost more
        than a run of its own for the rest.
        """
        if waiting >= self.best_size:
            return self.best_size
        return min(waiting, self._cheapest[waiting][1])

    def drain_seconds(self, images: int) -> float:
        """Seconds that this many images take, run one batch after the other."""
        batches, rest = divmod(images, self.best_size)
        return batches * self._seconds[self.best_size] + self._cheapest[rest][0]

    @property
    def joining_saves_seconds(self) -> float:
        """Seconds saved where two batches run as one: the part of a run that no image causes."""
        least, most = self._sizes[0], self._sizes[-1]
        if least == most:
            return 0.0
        gap = most * self._seconds[least] - least * self._seconds[most]
        return max(0.0, gap / (most - least))

    def shrink(self, images: int) -> None:
        """Keeps batches below this size for the next thousand runs: the device has no memory."""
        self._sizes = [size for size in self._sizes if size < images] or self._sizes[:1]
        self._runs_since_shrinking = 0
        self._plan()

    def _plan(self) -> None:
        """Finds the best batch size, and the cheapest way to run fewer images than that."""
        best = self._sizes[0]
        for size in self._sizes[1:]:
            if size / self._seconds[size] > _WORTH_IT * best / self._seconds[best]:
                best = size
        # By number of images: least seconds for them all, and the batch size to begin with.
        cheapest = [(0.0, 0)]
        for images in range(1, best):
            cheapest.append(
                min(
                    (self._seconds[size] + cheapest[max(0, images - size)][0], size)
                    for size in self._sizes
                )
            )
        self.best_size, self._cheapest = best, cheapest
