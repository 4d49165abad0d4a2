"""The child process of one contender: ``python worker.py MODULE CONTENDER SIZE``, then one JSON answer a line.

The first line says ``"ready"``, or ``{"absent": why}`` when a library is not there.  After that each line on stdin
is the name of a command in ``COMMANDS`` and gets one line back.  Anything else goes to stderr and is a crash.
"""

import contextlib
import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, TextIO

from spec import Bench, Job, fingerprint, library

TURN = 0.2  # seconds; a repetition is as many runs as fill this: the second processor of a virtual machine takes 0.05


class Timer:
    """Times a job in turns of about ``TURN`` seconds, so that a run of 1 ms is not lost in the cost of waking up."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.loops = 1
        self.ready = resident()

    def check(self) -> dict[str, tuple[float, float]]:
        """Fingerprints of the loss and of the gradients, by name."""
        return {name: fingerprint(array) for name, array in self.job.check().items()}

    def warm(self) -> int:
        """Run for two turns, of which the second gives the number of runs: the first ones may be far slower."""
        for _ in range(2):
            start, self.loops = perf_counter(), 0
            while self.loops < 1000 and (self.loops == 0 or perf_counter() - start < TURN):
                self.job.run()
                self.loops += 1
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # what the check took does not count
        return self.loops

    def time(self) -> float:
        """Seconds of one run (of one operation, where a run holds several): the mean over a turn.

        The garbage collector stays on: a tape that needs it pays for it.
        """
        if self.loops > 1:
            self.job.run()  # others had the caches; a run that fills a turn by itself does not notice
        start = perf_counter()
        for _ in range(self.loops):
            self.job.run()
        return (perf_counter() - start) / self.loops / self.job.per

    def peak(self) -> tuple[float, float]:
        """The largest resident memory of this process in its runs in MB, and how much more it is than before them."""
        return resident(), resident() - self.ready


def resident() -> float:
    """The largest resident memory of this process in MB: its libraries, the job, and what a run takes.

    On Linux it is the largest since it was last reset, elsewhere since the start.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


COMMANDS: dict[str, Callable[[Timer], Any]] = {
    "checksum": Timer.check, "warm": Timer.warm, "time": Timer.time, "peak": Timer.peak,
}  # fmt: skip


def start(module: str, name: str, size: str) -> Job | str:
    """Set the contender up, or say in words why it cannot take part."""
    bench: Bench = library(module).BENCH
    try:
        return bench.contenders[name](**json.loads(size))
    except ModuleNotFoundError as error:
        return f"not installed ({error.name})"


def serve(job: Job | str, lines: TextIO, out: TextIO) -> None:
    """Answer commands until stdin ends."""
    print(json.dumps({"absent": job} if isinstance(job, str) else "ready"), file=out, flush=True)
    if isinstance(job, str):
        return
    timer = Timer(job)
    for line in lines:
        print(json.dumps(COMMANDS[line.strip()](timer)), file=out, flush=True)


if __name__ == "__main__":
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints must not look like an answer
    serve(start(*sys.argv[1:]), sys.stdin, answers)
