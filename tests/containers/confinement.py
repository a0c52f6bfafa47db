"""What a container may do."""

from __future__ import annotations

from tests.containers.engine import Stack
from tests.containers.proof import Proof

CONFINEMENT = """
import importlib.util, json, os, pathlib, resource
groups = pathlib.Path("/sys/fs/cgroup")
first = (groups / "memory").is_dir()  # cgroup v1, with names of its own
memory = groups / "memory" if first else groups
def refused(path):
    try: pathlib.Path(path, "probe").write_text("x")
    except OSError: return True
status = dict(l.split(":", 1) for l in open("/proc/self/status").read().splitlines())
print(json.dumps({
  "uid": os.getuid(), "capabilities": int(status["CapEff"], 16) | int(status["CapBnd"], 16),
  "no_new_privileges": int(status["NoNewPrivs"]),
  "writable": [p for p in ("/", "/solo", "/opt/solo", "/models", "/usr") if not refused(p)],
  "superfluous": [*filter(importlib.util.find_spec, ("torch", "onnx", "pip"))],
  "core_bytes": resource.getrlimit(resource.RLIMIT_CORE),
  "tmp_bytes": os.statvfs("/tmp").f_blocks * os.statvfs("/tmp").f_frsize,
  "tmp_files": os.listdir("/tmp"),
  "memory_limit": int((memory / ("memory.limit_in_bytes" if first else "memory.max")).read_text()),
  "memory_bytes": sum(int(l.split()[1]) for l in (memory / "memory.stat").open()
      if l.split()[0] in ("rss" if first else "anon", "shmem")),
  "ways_out": sum(l.split()[1] == "00000000" for l in open("/proc/net/route").readlines()[1:]),
}))
"""


def check_confinement(stack: Stack, proof: Proof) -> None:
    """What a replica may do."""
    seen = stack.python(stack.containers("cpu")[0], CONFINEMENT)
    proof("torch and pip are not in a replica", seen["superfluous"] == [])
    proof("its user is not root", seen["uid"] == 10001, f"uid {seen['uid']}")
    proof("it has no capabilities", seen["capabilities"] == 0)
    proof("nor can it gain any", seen["no_new_privileges"] == 1)
    proof("its root is read-only", seen["writable"] == [])
    proof("its /tmp is in memory, at most 16 MiB, and empty after a film",
          (seen["tmp_bytes"], seen["tmp_files"]) == (16 * 2**20, []))  # fmt: skip
    proof("its network has no way out", seen["ways_out"] == 0)
    proof("its memory is limited", seen["memory_limit"] == 4 * 2**30)
    proof("it dumps no core", seen["core_bytes"] == [0, 0])
    idle = seen["memory_bytes"]
    proof("the service and its two decoders take at most 600 MB, idle after a film",
          0 < idle <= 600_000_000, f"{idle / 1e6:.0f} MB")  # fmt: skip
