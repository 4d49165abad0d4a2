"""Runs that kill themselves at an operation on a file, and the ways in which the files of a run are damaged."""

import builtins
import os
import random
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_rnn import files
from tinygrad_rnn.cli import main
from tinygrad_rnn.train import load_model, save_model

# -- kills -------------------------------------------------------------------------------------------------------------

OPERATIONS = ("chmod", "fsync", "replace", "unlink")  # of os; and the module's open
HOW = ("before", "after", "torn")  # torn: half of what was written has reached the disk


def dying(call: Callable, k: int, how: str, count: list[int]) -> Callable:
    """``call``, but the process kills itself before or after the ``k``-th operation that ``count`` counts."""

    def operation(*args: Any, **more: Any) -> Any:
        count[0] += 1
        if count[0] != k:
            return call(*args, **more)
        if how == "after":
            call(*args, **more)
        elif how == "torn" and call.__name__ == "fsync":
            os.ftruncate(args[0], os.fstat(args[0]).st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("it should be dead")

    return operation


def run_apart(command: list[str], k: int = 0, how: str = "before") -> tuple[int, int]:
    """Run a command in a fork of this process, killed at its ``k``-th operation: the exit code, or minus the signal;
    and how many operations there were."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # there are threads, but none of ours
        child = os.fork()
    if child == 0:
        try:
            count = [0]
            sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
            for name in OPERATIONS:
                setattr(os, name, dying(getattr(os, name), k, how, count))
            files.open = dying(builtins.open, k, how, count)  # type: ignore[attr-defined]
            code = main.main(command)
            os.write(writing, bytes(count))
            os._exit(code)
        finally:
            os._exit(99)
    os.close(writing)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    counted = os.read(reading, 1)
    os.close(reading)
    return code, counted[0] if counted else 0


# -- damage ------------------------------------------------------------------------------------------------------------

SAFE, LOG = ("last.safetensors", "best.safetensors"), "metrics.jsonl"


def rewritten(path: Path, change: Callable[[dict, dict], Any]) -> None:
    """A file with a right checksum, but other content: ``change(arrays, about)`` changes both in place."""
    arrays, about = load_model(path)
    change(arrays, about)
    save_model(path, arrays, about)


def values(rng: random.Random) -> Any:
    """Some JSON."""
    return rng.choice([None, True, -1, 0, 1, 10**30, 2.5, -0.5, float("nan"), float("inf"), "", "2", [], [1.0], [None],
                       {}, {"epoch": 1}])  # fmt: skip


def damages(folder: Path, other: Path, rng: random.Random, flips: int) -> Iterator[tuple[str, str, Callable]]:
    """The damaged file, what is done to it in words, and what does it. ``other`` is a run with another seed."""
    for name in (*SAFE, LOG):
        path, size = folder / name, (folder / name).stat().st_size
        yield name, "removed", path.unlink
        yield name, "emptied", lambda path=path: path.write_bytes(b"")
        yield name, "a folder", lambda path=path: (path.unlink(), path.mkdir())
        yield name, "a pipe", lambda path=path: (path.unlink(), os.mkfifo(path))
        yield name, "/dev/zero", lambda path=path: (path.unlink(), path.symlink_to("/dev/zero"))
        yield name, "of another run", lambda path=path: shutil.copy(other / path.name, path)
        yield name, "noise", lambda path=path, size=size: path.write_bytes(rng.randbytes(size))
        for end in sorted(rng.sample(range(size - 1), min(flips, size - 1))):
            yield name, f"cut at {end}", lambda path=path, end=end: path.write_bytes(path.read_bytes()[:end])
        for place in sorted(rng.sample(range(size), min(2 * flips, size))):
            yield name, f"byte {place}", lambda path=path, place=place: flip(path, place, 1 << rng.randrange(8))
    for name in SAFE:
        yield from wrong_content(folder / name, rng)
    swapped = folder / SAFE[0], folder / SAFE[1]
    yield SAFE[0], "the best", lambda: shutil.copy(swapped[1], swapped[0])
    yield SAFE[1], "the last", lambda: shutil.copy(swapped[0], swapped[1])
    lines = (folder / LOG).read_text().splitlines()
    for kind, left in {"without its first line": lines[1:], "twice the first": [lines[0], *lines],
                       "turned round": lines[::-1], "a blank line first": ["", *lines]}.items():  # fmt: skip
        yield LOG, kind, lambda left=left: (folder / LOG).write_text("".join(f"{line}\n" for line in left))


def flip(path: Path, place: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= bit
    path.write_bytes(data)


def wrong_content(path: Path, rng: random.Random) -> Iterator[tuple[str, str, Callable]]:
    """Files whose checksum is right, and whose content is not that of this run."""
    arrays, about = load_model(path)

    def yielded(kind: str, change: Callable[[dict, dict], Any]) -> tuple[str, str, Callable]:
        return path.name, kind, lambda: rewritten(path, change)

    for key in FORGED[path.name]:
        yield yielded(f"without {key}", lambda _, about, key=key: about.pop(key))
        for value in [value for value in (values(rng) for _ in range(4)) if value != about[key]]:
            yield yielded(f"{key} = {value!r}", lambda _, about, key=key, value=value: about.update({key: value}))
    yield yielded("a newer version", lambda _, about: about.update(version=about["version"] + 1))
    if path.name == SAFE[0]:
        for name, array in arrays.items():
            yield yielded(f"no {name}", lambda arrays, _, name=name: arrays.pop(name))
            yield yielded(f"long {name}", lambda arrays, _, name=name, a=array: arrays.update({name: np.stack([a, a])}))
            yield yielded(f"wide {name}", lambda arrays, _, name=name, a=array: arrays.update({name: a.astype("d")}))
        yield yielded("more state", lambda arrays, _: arrays.update({"state/7": np.zeros(3)}))
        yield yielded("more weights", lambda arrays, _: arrays.update({"extra": np.zeros(3)}))


#: the entries of the metadata that are checked
FORGED = {
    "last.safetensors": ("version", "file", "settings", "cell", "vocabulary", "text", "position", "rows", "metrics",
                         "optimizer", "schedule", "rngs"),
    "best.safetensors": ("version", "file", "settings", "cell", "vocabulary", "text", "epoch", "valid"),
}  # fmt: skip
