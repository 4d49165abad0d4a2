"""From measured rows to text and to JSON, and the command line that every benchmark has."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from harness import Row, Verdict, measure, note, verdicts
from spec import Bench

PER_SECOND = {"ms": 1e3, "us": 1e6}
LIBRARIES = ("numpy", "torch", "autograd", "mygrad", "numba")


def render(title: str, rows: Sequence[Row], judged: Sequence[Verdict], unit: str) -> str:
    """A table of contenders, then a line for each target::

        contender            median       min    ratio    peak
        book                  25.10     23.00     1.00      61
        torch, nn.LSTM         6.02      5.55     0.24     310

        ours, eager / book       0.83   target <= 0.95   reached

    ``peak`` is the largest resident memory of the contender's process in MB, with its libraries. ``noisy`` behind a row
    says that its median is far above its minimum: the machine was busy, run it again.
    """
    wide = max(len(row.name) for row in rows) + 2
    head = f"{'contender':{wide}}{'median':>10}{'min':>10}{'ratio':>9}{'peak':>8}"
    lines = [title, f"{head}   ({unit}, MB; ratio to {rows[0].name})"]
    lines += [f"{row.name:{wide}}{numbers(row, PER_SECOND[unit])}" for row in rows]
    pairs = [f"{v.target.top} / {v.target.bottom}" for v in judged]
    wide = max([0, *map(len, pairs)]) + 2
    lines += [""] * bool(judged)
    for pair, v in zip(pairs, judged, strict=True):
        got = "-" if v.ratio is None else f"{v.ratio:.2f}"
        lines.append(f"{pair:{wide}}{got:>9}   target <= {v.target.at_most:.2f}   {v.word}")
    return "\n".join(lines) + "\n"


def numbers(row: Row, per_second: float) -> str:
    """Median, min and ratio of one row, or the reason why it has none."""
    if row.status or not row.times:
        return f"   {row.status or 'not measured'}"
    ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
    times = f"{row.median * per_second:10.2f}{min(row.times) * per_second:10.2f}"
    return f"{times}{ratio:>9}{row.peak:8.0f}" + "   noisy" * row.noisy


def record(bench: Bench, label: str, rows: Sequence[Row], judged: Sequence[Verdict]) -> dict[str, Any]:
    """The same table as plain data; times are in seconds, all of them."""
    return {
        "bench": bench.module,
        "size": label,
        "baseline": rows[0].name,
        "rows": [vars(row) | {"peak": round(row.peak, 1)} for row in rows],
        "targets": [v.target._asdict() | {"ratio": v.ratio, "verdict": v.word} for v in judged],
    }


def machine() -> dict[str, Any]:
    """What the numbers depend on besides the code."""
    here = {"python": platform.python_version(), "cpus": os.cpu_count()}
    return here | {name: installed(name) for name in LIBRARIES}


def installed(library: str) -> str | None:
    """Its version, or None."""
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """``--rounds R --json FILE --only NAME ... --size LABEL ...``; names and labels match as parts of a name."""
    parser = argparse.ArgumentParser(description="Ratios of medians; each contender in a process of its own.")
    parser.add_argument("--rounds", type=int, default=7, help="repetitions of each contender (7)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measured time there")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="contenders whose name contains one of these")
    parser.add_argument("--size", nargs="+", metavar="LABEL", help="sizes whose label contains one of these")
    return parser.parse_args(argv)


def chosen(names: Sequence[str], parts: Sequence[str] | None) -> list[str]:
    """The names that contain one of ``parts``; all of them if none are given."""
    return [name for name in names if parts is None or any(part in name for part in parts)]


def main(*benches: Bench, argv: Sequence[str] | None = None) -> None:
    """Run the benchmarks, print a table for each size.  A slow result is a printed ``missed``, never a failure."""
    options = arguments(sys.argv[1:] if argv is None else argv)
    records = []
    for bench in benches:
        for label in chosen(list(bench.sizes), options.size):
            title = f"{bench.title}, {label}"
            note(title)
            rows = measure(bench, bench.sizes[label], options.rounds, chosen(list(bench.contenders), options.only))
            judged = verdicts(rows, bench.targets.get(label, ()))
            print(render(title, rows, judged, bench.unit), flush=True)
            records.append(record(bench, label, rows, judged))
    if options.json:
        text = json.dumps({"machine": machine(), "tables": records}, indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")
