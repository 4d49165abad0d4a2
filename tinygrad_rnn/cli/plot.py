"""``tinygrad-rnn plot RUN``: the curves of a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InvalidValue
from ..train.history import History
from ..train.saved import CURVES, METRICS, read_rows
from . import runs

HELP = "draw the curves of a run"
ABOUT = """\
Draw training and validation perplexity over the epochs, and the learning rate where it changes, from the metrics of a
run; also while it is running. A run draws its curves itself after each epoch: this draws them again, in another format
or another range."""
EXAMPLES = """\
examples:
  tinygrad-rnn plot runs/lstm                             writes runs/lstm/curves.svg
  tinygrad-rnn plot runs/lstm --out curves.png --ylim 0:500"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add = parser.add_argument
    add("folder", metavar="RUN", help="folder of the run: the --out of train")
    add("--out", metavar="FILE", help="the file: .svg, .png or .pdf (default: RUN/curves.svg)")
    add("--ylim", type=limits, metavar="A:B", help="range of the perplexity")


def limits(text: str) -> tuple[float, float]:
    """``A:B`` as two numbers."""
    low, _, high = text.partition(":")
    try:
        pair = float(low), float(high)
    except ValueError:
        pair = 1.0, 0.0
    if not pair[0] < pair[1]:
        raise argparse.ArgumentTypeError(f"is {text!r}, should be two numbers such as 0:500")
    return pair


def run(options: Any) -> int:
    """Draw; the exit code."""
    folder = Path(options.folder)
    runs.read(folder)
    history = History(read_rows(folder / METRICS))
    if not history.rows:
        raise InvalidValue(f"{folder / METRICS} has no rows yet: nothing is saved so far, should be drawn later")
    out = Path(options.out) if options.out else folder / CURVES
    history.plot(out, ylim=options.ylim)
    print(f"{out}: {history}")
    return 0
