"""LitServe on the simulated accelerator: python -m benchmarks.contenders.litserve_server PORT.

It takes JSON or forms and no raw bodies, so that the bytes come as a form; its faster queue is on.
"""

import sys
from typing import Any, cast

import litserve
from fastapi import Request

from benchmarks.contenders.accelerator import MAX_BATCH, WAIT_SECONDS, run


class Accelerator(litserve.LitAPI):
    """Answers with the number of bytes."""

    def setup(self, device: str) -> None:
        """Nothing to open."""

    def decode_request(self, request: Request) -> bytes:
        """The bytes of the form's file; the annotation asks for a request and brings its form."""
        form = cast(Any, request)
        data: bytes = form["file"].file.read()
        return data

    def batch(self, inputs: list[bytes]) -> list[bytes]:
        """Leaves the bodies as they are."""
        return inputs

    def predict(self, batch: list[bytes]) -> list[int]:
        """Runs a batch."""
        run(len(batch))
        return [len(body) for body in batch]

    def unbatch(self, output: list[int]) -> list[int]:
        """Leaves the answers as they are."""
        return output

    def encode_response(self, output: int) -> dict[str, int]:
        """One answer."""
        return {"bytes": output}


if __name__ == "__main__":
    api = Accelerator(max_batch_size=MAX_BATCH, batch_timeout=WAIT_SECONDS)
    server = litserve.LitServer(api, accelerator="cpu", fast_queue=True, timeout=60)
    server.run(port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
