"""``tinygrad-rnn plot RUN``: the curves of a run, or of several in one plot."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InvalidValue
from ..train.history import History, plot_histories
from ..train.saved import CURVES, METRICS, read_rows
from . import runs

HELP = "draw the curves of a run, or of several"
ABOUT = """\
Draw training and validation perplexity over the epochs, and the learning rate where it changes, from the metrics of a
run; also while it is running. A run draws its curves itself after each epoch: this draws them again, in another format
or another range. Of several runs, each has a colour: a thin line for the training, marks for the validation."""
EXAMPLES = """\
examples:
  tinygrad-rnn plot runs/lstm                             writes runs/lstm/curves.svg
  tinygrad-rnn plot runs/lstm --out curves.png --ylim 0:500
  tinygrad-rnn plot runs/lstm runs/gru --out both.svg     compares two runs"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add = parser.add_argument
    add("folders", metavar="RUN", nargs="+", help="folder of the run: the --out of train")
    add("--out", metavar="FILE", help="the file: .svg, .png or .pdf (default: RUN/curves.svg; of several, curves.svg)")
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
    folders = [Path(name) for name in options.folders]
    histories = [history(folder) for folder in folders]
    if len(folders) == 1:
        out = Path(options.out) if options.out else folders[0] / CURVES
        histories[0].plot(out, ylim=options.ylim)
        print(f"{out}: {histories[0]}")
        return 0
    out = Path(options.out or CURVES)
    plot_histories(dict(zip(labels(options.folders), histories, strict=True)), out, ylim=options.ylim)
    print(f"{out}: {len(folders)} runs")
    return 0


def history(folder: Path) -> History:
    """The history of the run in ``folder``. Raises InvalidValue if it has no row yet."""
    runs.read(folder)
    rows = read_rows(folder / METRICS)
    if not rows:
        raise InvalidValue(f"{folder / METRICS} has no rows yet: nothing is saved so far, should be drawn later")
    return History(rows)


def labels(names: Sequence[str]) -> list[str]:
    """The names of the folders: the last part of the paths, or the whole paths if two have the same last part.

    Raises InvalidValue for a run that is named twice.
    """
    paths = [os.path.realpath(name) for name in names]
    twice = [name for name, path in zip(names, paths) if paths.count(path) > 1]
    if twice:
        raise InvalidValue(f"the run {twice[0]} is named {len(twice)} times, should be named once")
    last = [os.path.basename(path) for path in paths]
    return last if len(dict.fromkeys(last)) == len(last) else paths
