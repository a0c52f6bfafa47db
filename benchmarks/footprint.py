"""What memory the service takes: idle, and for one large film.

    python -m benchmarks.footprint [--model FILE]

The memory of all its processes, two decoders among them. Idle: each shared page once (Pss). For a
film: the sum of each process's own peak while one uncompressed DICOM of 2500 x 3000 pixels is
answered, less what they held before; an upper bound, since the peaks need not coincide and shared
pages count for each.
"""

from __future__ import annotations

import argparse
import http.client
from pathlib import Path
from statistics import median

from benchmarks.made_film import large_film
from benchmarks.service_process import MODEL, ServiceProcess, serving

_MB = 1e6
_REPEATS = 9


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.footprint")
    parser.add_argument("--model", type=Path, default=MODEL)
    arguments = parser.parse_args()
    film = large_film(2500, 3000)
    with serving(arguments.model, decode_workers=2) as service:
        print(f"idle, before the first film       {service.memory_bytes() / _MB:8.0f} MB")
        added = [_added_bytes(service, film) for _ in range(_REPEATS)]
        print(f"the first film adds               {added[0] / _MB:8.0f} MB at its peak")
        print(f"a film after that adds            {median(added[1:]) / _MB:8.0f} MB at its peak")
        print(f"idle, after {_REPEATS} films               {service.memory_bytes() / _MB:8.0f} MB")


def _added_bytes(service: ServiceProcess, film: bytes) -> int:
    service.forget_peaks()
    before = service.resident_bytes()
    connection = http.client.HTTPConnection("127.0.0.1", service.port)
    connection.request("POST", "/segment", film, {"Content-Type": "application/dicom"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"the service answered {answer.status}")
    return service.peak_bytes() - before


if __name__ == "__main__":
    main()
