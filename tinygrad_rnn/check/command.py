"""``tinygrad-rnn check``: a backward derived by hand, checked from the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..cells import BUILT_IN
from ..userfile import UserFileError, load, own_lines, sizes
from .backward import check_backward
from .layer import check_layer
from .report import Report

ABOUT = """\
Check a backward pass that was derived by hand. FILE.py:NAME is a function

    def NAME(x, h, c, *, Wx, Wh, b, dh, dc):  ->  {"df": ..., "dWx": ..., "dx": ...}

for the built-in cell of --cell; with --layer, a layer with params, grads, forward and backward, or a class or function
that makes one when it is called with nothing. Every gradient is compared with autograd and with numbers; the first
wrong line is named, and the mistake where it is a known one."""
EXAMPLES = """\
examples:
  tinygrad-rnn check examples/lstm_wrong.py:lstm_backward --cell lstm
  tinygrad-rnn check mine.py:gru_backward --cell gru --sizes N=3,D=5,H=7 --json
  tinygrad-rnn check mine.py:MyLSTM --layer --inputs 3,5 3,7 3,7      shapes of what forward takes

exit codes: 0 right, 1 wrong, 2 could not be checked (said in one paragraph)"""


def options(parser: argparse.ArgumentParser) -> None:
    """Everything that can be asked for."""
    add = parser.add_argument
    add("place", metavar="FILE.py:NAME", help="the backward, or the layer")
    add("--cell", choices=list(BUILT_IN), default="lstm", help="the cell that it is the backward of (%(default)s)")
    add("--layer", action="store_true", help="NAME is a layer, or makes one")
    add("--inputs", type=shape, nargs="+", metavar="3,5", help="for --layer: the shapes of its inputs, random numbers")
    add("--sizes", type=sizes, default={}, metavar="N=3,D=5,H=7", help="sizes of batch, input, state")
    add("--seed", type=int, default=0, metavar="S", help="of the random inputs (%(default)s)")
    add("--json", action="store_true", help="print the report as JSON")


def shape(text: str) -> tuple[int, ...]:
    """``3,5`` as a shape."""
    if not all(part.isdigit() and int(part) > 0 for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"is {text!r}, should be a shape such as 3,5")
    return tuple(map(int, text.split(",")))


def run(asked: argparse.Namespace) -> int:
    """Check, print what was found; the exit code."""
    file = asked.place.rpartition(":")[0]
    try:
        found = load(asked.place)
        report = _checked(asked, found)
    except UserFileError as error:
        return _refused(str(error))
    except (Exception, SystemExit) as error:  # a file that exits has not been checked, whatever its code
        return _refused(f"{asked.place} could not be checked:\n{own_lines(error, file)}")
    print(report.to_json() if asked.json else report)
    return 2 if report.verdict == "unchecked" else 0 if report.ok else 1


def _checked(asked: argparse.Namespace, found: Any) -> Report:
    name = asked.place.rpartition(":")[2]
    if asked.layer:
        if not asked.inputs:
            raise UserFileError("--layer needs --inputs, the shapes that forward takes, such as --inputs 3,5 3,7")
        make: Callable[[], Any] = found if not hasattr(found, "params") and callable(found) else lambda: found
        rng = np.random.default_rng(asked.seed)
        return check_layer(make(), *(rng.standard_normal(one) for one in asked.inputs), seed=asked.seed)
    if not callable(found) or isinstance(found, type):
        kind = "class" if isinstance(found, type) else type(found).__name__
        raise UserFileError(f"{name} is a {kind}, should be a function that returns gradients (a layer needs --layer)")
    return check_backward(BUILT_IN[asked.cell], found, seed=asked.seed, sizes=asked.sizes)


def _refused(text: str) -> int:
    print(f"tinygrad-rnn check: {text}", file=sys.stderr)
    return 2
