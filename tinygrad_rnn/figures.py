"""Plots by matplotlib, in one style, written whole; equal plots give equal files."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import InvalidValue, MissingDependency
from .files import write_whole

STYLE: Any = {"svg.hashsalt": "tinygrad_rnn", "axes.spines.top": False, "axes.spines.right": False, "font.size": 9.0,
         "axes.titlesize": 10.0, "legend.fontsize": 8.0, "legend.frameon": False,
         "text.parse_math": False}  # fmt: skip


@contextmanager
def figure(width: float, height: float, path: str | os.PathLike[str] | None = None) -> Iterator[Any]:
    """``with figure(7, 4, path) as drawn:`` is a matplotlib Figure of that size in inches, which needs no display.

    At the end of the block it is written to ``path`` if given, as SVG, PNG or PDF by its suffix, without a date; as SVG
    without a suffix. Raises MissingDependency without matplotlib, and before anything is drawn InvalidValue for another
    suffix.
    """
    if path is not None and Path(path).suffix.lower() not in ("", ".svg", ".png", ".pdf"):
        raise InvalidValue(f"plot: the file is {os.fspath(path)}, should end in .svg, .png or .pdf")
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingDependency("plot: needs matplotlib: pip install 'tinygrad-rnn[train]'") from None
    with rc_context(STYLE):
        drawn = Figure(figsize=(width, height), layout="constrained")
        yield drawn
        _plain_ticks(drawn)
        if path is not None:
            _save(drawn, Path(path))


def _plain_ticks(drawn: Any) -> None:
    """Label logarithmic axes with plain numbers, 10 or 1e-09: the style reads no mathematics, so that $ is a letter."""
    from matplotlib.ticker import LogFormatter

    for axis in (axis for axes in drawn.axes for axis in (axes.xaxis, axes.yaxis) if axis.get_scale() == "log"):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(LogFormatter())  # labels where there are few powers of 10


def _save(drawn: Any, path: Path) -> None:
    """Write the figure in the format of the file's suffix; SVG without a suffix."""
    content, kind = io.BytesIO(), path.suffix.lower().removeprefix(".") or "svg"
    dated = {"svg": "Date", "pdf": "CreationDate"}.get(kind)
    drawn.savefig(content, format=kind, metadata={dated: None} if dated else {}, dpi=150)
    write_whole(path, content.getvalue())
