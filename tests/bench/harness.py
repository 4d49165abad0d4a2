"""Measure contenders in processes of their own that take turns: A B C, A B C, ...

In one process the thread pools of two libraries fight, and one after the other a drift of the machine's clock lands on
one contender only.  So every contender lives in a worker (``worker.py``), all of them stay alive, idle on a read of
stdin, and each round asks every one for a single repetition.  What counts is the ratio of medians within one run.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spec import Bench, Target

HERE = Path(__file__).resolve().parent
PAUSE = 0.05  # seconds between turns: idle thread pools spin for some 20 ms before they sleep
NOISY = 1.5  # median / min above which a row is the machine's business more than the contender's
RTOL = 1e-3  # of float32 results that were summed in another order

Checksum = Mapping[str, Sequence[float]]


class Crash(Exception):
    """A worker ended without an answer; the text is its stderr."""


@dataclass
class Row:
    """One contender in one table.  ``status`` is empty if all is well, else it stands in place of the numbers."""

    name: str
    status: str = ""
    times: list[float] = field(default_factory=list)
    ratio: float | None = None
    peak: float = 0.0  # MB, the largest resident memory of its process
    needs: float = 0.0  # MB of it that came after the job was set up: what its runs take

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.times)

    @property
    def noisy(self) -> bool:
        """Something else was running: measure again."""
        return bool(self.times) and self.median > NOISY * min(self.times)


@dataclass(frozen=True)
class Verdict:
    """A target and what was measured; ``ratio`` is None where one of the two contenders has no time."""

    target: Target
    ratio: float | None
    noisy: bool = False

    @property
    def word(self) -> str:
        """``reached``, ``missed`` (with a reservation if noisy) or ``not measured``."""
        if self.ratio is None:
            return "not measured"
        return ("reached" if self.ratio <= self.target.at_most else "missed") + ", but noisy" * self.noisy


class Worker:
    """The parent's end of one child process."""

    def __init__(self, process: subprocess.Popen[str], errors: Any) -> None:
        self.process = process
        self.errors = errors

    def read(self) -> Any:
        """The next answer; raises ``Crash`` when the process has ended instead."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            raise Crash(self.errors.read())
        return json.loads(line)

    def ask(self, command: str) -> Any:
        """Send one command, wait for its answer."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: read() says why
        return self.read()


@contextmanager
def worker(module: str, name: str, size: Mapping[str, Any]) -> Iterator[Worker]:
    """Start the process of one contender; end it on the way out.  A checkout runs without being installed."""
    paths = [str(HERE.parents[1]), str(HERE.parents[1] / "src"), os.environ.get("PYTHONPATH", "")]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, str(HERE / "worker.py"), module, name, json.dumps(size)]
    pipe = subprocess.PIPE
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, text=True, env=env)
        try:
            yield Worker(process, errors)
        finally:
            process.kill()
            process.communicate()


def differences(ours: Checksum, base: Checksum, rtol: float = RTOL) -> list[str]:
    """Names whose norm or projection differs from the baseline's by more than ``rtol`` of the norm (NaN differs)."""
    wrong = [name for name in ours if name not in base]
    for name, (norm, projection) in base.items():
        close = name in ours and all(
            abs(a - b) <= rtol * norm for a, b in zip(ours[name], (norm, projection), strict=True))
        if not close:
            wrong.append(name)
    return wrong


def note(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def enter(row: Row, runner: Worker, base: Checksum | None) -> Checksum | None:
    """Set a worker up, compare its work with the baseline's, warm it; ``row.status`` says what went wrong."""
    ready = runner.read()
    if ready != "ready":
        row.status = ready["absent"]
        return None
    mine: Checksum = runner.ask("checksum")
    wrong = differences(mine, mine if base is None else base)  # a NaN differs from itself, so it is refused here too
    if wrong:
        row.status = f"different work: {', '.join(wrong)}"
        return None
    runner.ask("warm")
    return mine


@contextmanager
def reported(row: Row) -> Iterator[None]:
    """A crash becomes the row's status, and its stderr is shown."""
    try:
        yield
    except Crash as crash:
        text = str(crash).strip()
        note(f"--- {row.name} crashed ---\n{text}\n---")
        row.status = f"crashed: {(text.splitlines() or ['no message'])[-1]}"


def race(runners: Sequence[tuple[Row, Worker]], rounds: int, pause: float = PAUSE) -> None:
    """``rounds`` times: one repetition of each, in turn."""
    for turn in range(rounds):
        note(f"  round {turn + 1} of {rounds}")
        for row, runner in runners:
            if not row.status:
                with reported(row):
                    row.times.append(runner.ask("time"))
                time.sleep(pause)


def measure(bench: Bench, size: Mapping[str, Any], rounds: int, names: Sequence[str] | None = None) -> list[Row]:
    """One table: the baseline first, then ``names`` (all contenders unless given), each with its ratio of medians."""
    others = [name for name in bench.contenders if name != bench.baseline and (names is None or name in names)]
    rows = [Row(name) for name in (bench.baseline, *others)]
    base: Checksum | None = None
    runners = []
    with ExitStack() as stack:
        started = [stack.enter_context(worker(bench.module, row.name, size)) for row in rows]  # together
        for row, runner in zip(rows, started, strict=True):
            note(f"  {row.name}")
            with reported(row):
                mine = enter(row, runner, base)
                base = mine if base is None else base
            if base is None:
                row.status = row.status or "no baseline"
                break  # nothing to compare the others with
            runners.append((row, runner))
        race(runners, rounds)
        for row, runner in runners:
            if not row.status:
                with reported(row):
                    row.peak, row.needs = runner.ask("peak")
    for row in rows:
        row.ratio = ratio(row, rows[0])
    return rows


def ratio(top: Row, bottom: Row) -> float | None:
    """Ratio of medians; None unless both ran, and to the end, and did the same work."""
    comparable = all(row.times and not row.status for row in (top, bottom))
    return top.median / bottom.median if comparable else None


def verdicts(rows: Sequence[Row], targets: Sequence[Target]) -> list[Verdict]:
    """What became of each target of this table."""
    by_name = {row.name: row for row in rows}
    absent = Row("", status="absent")
    pairs = [(t, by_name.get(t.top, absent), by_name.get(t.bottom, absent)) for t in targets]
    return [Verdict(t, ratio(top, bottom), top.noisy or bottom.noisy) for t, top, bottom in pairs]
