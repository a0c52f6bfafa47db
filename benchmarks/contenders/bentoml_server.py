"""BentoML on the simulated accelerator: bentoml serve benchmarks.contenders.bentoml_server:Bento.

Files come as a form, and how long to wait for a batch it learns by itself.
"""

from __future__ import annotations

from pathlib import Path

import bentoml

from benchmarks.contenders.accelerator import MAX_BATCH, run


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 1000})
class Bento:
    """Answers with the number of bytes."""

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=60_000)
    def predict(self, files: list[Path]) -> list[int]:
        """Runs a batch."""
        run(len(files))
        return [file.stat().st_size for file in files]
