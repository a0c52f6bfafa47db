"""mosec on the simulated accelerator: python -m benchmarks.contenders.mosec_server --port PORT."""

from __future__ import annotations

from mosec import Server, Worker

from benchmarks.contenders.accelerator import MAX_BATCH, WAIT_SECONDS, run


class Accelerator(Worker):
    """Answers with the number of bytes."""

    def deserialize(self, data: bytes) -> bytes:
        """Leaves the body as it is."""
        return data

    def forward(self, data: list[bytes]) -> list[dict[str, int]]:
        """Runs a batch."""
        run(len(data))
        return [{"bytes": len(body)} for body in data]


if __name__ == "__main__":
    server = Server()
    server.append_worker(
        Accelerator, max_batch_size=MAX_BATCH, max_wait_time=int(1e3 * WAIT_SECONDS)
    )
    server.run()
