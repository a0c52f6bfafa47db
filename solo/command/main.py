"""The command from its words to its exit code.

Exit codes: 0 where every film was segmented, 1 where some were refused or results cannot be
written, 2 where the command cannot be meant so, 130 after Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from solo.async_segmenter import StartError
from solo.command.arguments import PROGRAM, Arguments, UsageError, parse
from solo.command.document import DOCUMENT_NAME, write_document
from solo.command.films import find_films, shown
from solo.command.journal import JOURNAL_NAME, Journal, JournalError
from solo.command.run import Run
from solo.events import Events
from solo.formats.coco import coco_categories, coco_info
from solo.inference.engine import ModelError
from solo.result import ModelIdentity
from solo.sandbox.pool import Sandbox
from solo.segmenter import Segmenter

_INTERRUPTED = 130  # as shells count a process that Ctrl-C ended


class _Failures(Events):
    """Ends the run when decoders or the model cannot go on: nobody would answer any more."""

    reason: str | None = None

    def on_failure(self, reason: str) -> None:
        """See `Events`."""
        self.reason = reason
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def main(words: Sequence[str] | None = None, sandbox: Sandbox | None = Sandbox()) -> int:  # noqa: B008 (frozen)
    """Runs the command, in the main thread.

    Args:
        words: of the command line; None for this process's own.
        sandbox: decodes in processes of their own; None in this process.

    Returns:
        The exit code.

    Raises:
        SystemExit: for a command line that means nothing, and for `--help`.
    """
    if sys.stderr is None:  # as where a service manager closed it
        with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
            return main(words, sandbox)
    arguments = parse(words)
    failures = _Failures()
    # A shell has its background jobs pass over Ctrl-C; the failure above has to arrive.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return _run(arguments, sandbox, failures)
    except KeyboardInterrupt:
        code, sentence = _INTERRUPTED, "interrupted; the same command goes on from here"
        if failures.reason is not None:
            code, sentence = 1, failures.reason
    except (UsageError, ModelError, JournalError) as error:
        code, sentence = 2, str(error)
    except StartError as error:
        code, sentence = 1, str(error)
    except OSError as error:  # those of films are refusals
        reason = error.strerror or type(error).__name__
        code, sentence = 1, f"results cannot be written: {reason}"
    finally:
        signal.signal(signal.SIGINT, before)
    _tell(f"{PROGRAM}: {sentence}")
    return code


def _run(arguments: Arguments, sandbox: Sandbox | None, failures: Events) -> int:
    out = arguments.out
    if os.path.exists(out) and not os.path.isdir(out):
        raise UsageError(f"--out {shown(out)} is a file, and has to be a folder")
    if os.path.isdir(out) and os.path.realpath(out) in map(os.path.realpath, arguments.sources):
        raise UsageError(f"--out {shown(out)} is a folder of films, and has to be one of its own")
    found = find_films(arguments.sources, out)
    for folder in found.results:
        _tell(f"{shown(folder)} holds results of this command and is passed over")
    if not found.films and not found.faults:
        raise UsageError("there is no film in " + ", ".join(map(shown, arguments.sources)))
    with Segmenter(
        arguments.model, sandbox, arguments.cores, provider=arguments.provider, events=failures
    ) as segmenter:
        _make(out)
        identity = segmenter.identity
        with Journal(out / JOURNAL_NAME, _head(arguments, identity)) as journal:
            # In a file the bar would be a long line of its own history; there, refusals are alone.
            with tqdm(total=len(found.films), unit="image", disable=None, file=sys.stderr) as bar:
                run = Run(arguments, segmenter, journal, bar)
                run.segment(found)
            if "coco" in arguments.formats:
                categories = coco_categories(segmenter.manifest)
                write_document(out, coco_info(identity), categories, journal)
                out = out / DOCUMENT_NAME
    counts = run.counts | {"passed over that are no films": found.passed_over}
    told = (f"{n} {what}" for what, n in counts.items() if n or what in ("segmented", "refused"))
    _tell(f"{', '.join(told)}: {shown(out)}")
    return 1 if run.counts["refused"] else 0


def _head(arguments: Arguments, identity: ModelIdentity) -> dict[str, Any]:
    """What has to be the same for all that is in one folder."""
    more = {"frame": arguments.frame, "formats": list(arguments.formats)}
    return {
        "model": {"name": identity.name, "version": identity.version, "sha256": identity.sha256},
        "options": asdict(arguments.options) | more,
    }


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {shown(out)} cannot be made: {error.strerror}") from None


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr)  # noqa: T201
