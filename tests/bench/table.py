"""From measured rows to text and to JSON, and the command line that every benchmark has."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from harness import Row, Verdict, measure, note, verdicts
from spec import Bench

MEMORY = ("peak (MB)", "needs (MB)")
PER_SECOND = {"ms": 1e3, "us": 1e6}
LIBRARIES = ("numpy", "torch", "jax", "autograd", "mygrad", "llvmlite")


def render(title: str, rows: Sequence[Row], judged: Sequence[Verdict], unit: str) -> str:
    """A table of contenders in Markdown, then one of the targets::

        | contender      |  median |     min | ratio | peak | needs |          |
        |:---------------|--------:|--------:|------:|-----:|------:|:---------|
        | book           |   25.10 |   23.00 |  1.00 |   61 |    21 |          |
        | torch, nn.LSTM |    6.02 |    5.55 |  0.24 |  310 |    24 | noisy    |

    ``peak`` is the largest resident memory of the contender's process in MB, with its libraries; ``needs`` the part of
    it that came with the first run. ``noisy`` behind a row says that its median is far above its minimum: the machine
    was busy, run it again.
    """
    heads = ["contender", f"median ({unit})", f"min ({unit})", f"ratio to {rows[0].name}", *MEMORY, ""]
    cells = [[row.name, *numbers(row, PER_SECOND[unit])] for row in rows]
    lines = [f"### {title}", "", *markdown(heads, cells, (0, len(heads) - 1))]
    if judged:
        targets = [[f"{v.target.top} / {v.target.bottom}", "-" if v.ratio is None else f"{v.ratio:.2f}",
                    f"≤ {v.target.at_most:.2f}", v.word] for v in judged]  # fmt: skip
        lines += ["", *markdown(["ratio of medians", "measured", "target", ""], targets, (0, 3))]
    return "\n".join(lines) + "\n"


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]], texts: Sequence[int] = (0,)) -> list[str]:
    """The lines of a table; the columns ``texts`` are text, the others numbers."""
    wide = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    rules = [":" + "-" * (n + 1) if k in texts else "-" * (n + 1) + ":" for k, n in enumerate(wide)]
    lines = [[f" {cell:<{n}} " if k in texts else f" {cell:>{n}} " for k, (cell, n) in enumerate(zip(row, wide))]
             for row in (heads, *rows)]  # fmt: skip
    return [f"|{'|'.join(cells)}|" for cells in (lines[0], rules, *lines[1:])]


def numbers(row: Row, per_second: float) -> list[str]:
    """Median, min, ratio and peak of one row, and a remark; or the reason why it has no numbers."""
    if row.status or not row.times:
        return ["-", "-", "-", "-", "-", row.status or "not measured"]
    ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
    times = [f"{row.median * per_second:.2f}", f"{min(row.times) * per_second:.2f}"]
    return [*times, ratio, f"{row.peak:.0f}", f"{row.needs:.0f}", "noisy" * row.noisy]


def record(bench: Bench, label: str, rows: Sequence[Row], judged: Sequence[Verdict]) -> dict[str, Any]:
    """The same table as plain data; times are in seconds, all of them."""
    return {
        "bench": bench.module,
        "title": bench.title,
        "size": label,
        "baseline": rows[0].name,
        "rows": [vars(row) | {"peak": round(row.peak, 1), "needs": round(row.needs, 1)} for row in rows],
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
    """``--quick --rounds R --json FILE --only NAME ... --size LABEL ...``; names match by a part of them."""
    parser = argparse.ArgumentParser(description="Ratios of medians; each contender in a process of its own.")
    parser.add_argument("--rounds", type=int, help="repetitions of each contender (7; 4 with --quick)")
    parser.add_argument("--quick", action="store_true", help="without the slow contenders and the single operations")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measured time there")
    parser.add_argument("--docs", action="store_true", help="write tables and plots into docs/speed.md, docs/pictures")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="contenders whose name contains one of these")
    parser.add_argument("--size", nargs="+", metavar="LABEL", help="sizes whose label contains one of these")
    return parser.parse_args(argv)


def chosen(names: Sequence[str], parts: Sequence[str] | None) -> list[str]:
    """The names that contain one of ``parts``; all of them if none are given."""
    return [name for name in names if parts is None or any(part in name for part in parts)]


def main(*benches: Bench, argv: Sequence[str] | None = None) -> None:
    """Run the benchmarks, print a table for each size.  A slow result is a printed ``missed``, never a failure."""
    options = arguments(sys.argv[1:] if argv is None else argv)
    rounds, records = options.rounds or (4 if options.quick else 7), []
    for bench in benches:
        if options.quick and not bench.quick:
            continue
        known = [name for name in bench.contenders if not options.quick or name not in bench.slow]
        for label in chosen(list(bench.sizes), options.size):
            title = f"{bench.title}, {label}"
            note(title)
            rows = measure(bench, bench.sizes[label], rounds, chosen(known, options.only))
            judged = verdicts(rows, bench.targets.get(label, ()))
            print(render(title, rows, judged, bench.unit), flush=True)
            records.append(record(bench, label, rows, judged))
            if options.json:  # after each table: a run that is ended early keeps what it has measured
                text = json.dumps({"machine": machine(), "tables": records}, indent=1)
                options.json.write_text(text + "\n", encoding="utf-8")
    if options.docs:
        import_module("report").write(records)
