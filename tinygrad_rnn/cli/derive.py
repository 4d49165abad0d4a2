"""``tinygrad-rnn derive``: print the backward pass of a built-in or user-defined cell, or of an operation."""

from __future__ import annotations

import argparse
import contextlib
import sys

from ..cells.builtin import BUILT_IN
from ..derive import FORMS, derive
from ..derive.operation import operation
from .console import write_text
from .option_types import add_timeout
from .target import cell_at

HELP = "derive the backward pass of a cell or an operation: NumPy, LaTeX, or in words"
ABOUT = """\
Derive the backward pass of a cell from its equations: as NumPy in the book's style, as LaTeX, or in explained steps.
CELL is one of the built-in cells, FILE.py:NAME for a cell of your own, or the name of an operation, such as tanh. The
derived code has been executed, and its gradients equal those of autograd."""
EXAMPLES = """\
examples:
  tinygrad-rnn derive lstm --loop -o lstm_by_hand.py     with backpropagation through time
  tinygrad-rnn derive gru --form latex
  tinygrad-rnn derive tanh                               an operation: dx = dy * (1 - y**2)
  tinygrad-rnn derive mycells.py:mycell --form steps"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("cell", metavar="CELL", help=f"{', '.join(BUILT_IN)}, FILE.py:NAME, or an operation")
    parser.add_argument("--form", choices=FORMS, default="numpy", help="what is printed (%(default)s)")
    parser.add_argument("--loop", action="store_true", help="print backpropagation through time too")
    parser.add_argument("-o", "--out", metavar="FILE", default="-", help="where it goes (default: the terminal)")
    add_timeout(parser)


def run(options: argparse.Namespace) -> int:
    """Derive and print; the exit code."""
    with contextlib.redirect_stdout(sys.stderr):  # what the user's code prints is no part of the derivation
        target = operation(options.cell) or cell_at(options.cell)
        text = f"{derive(target, form=options.form, loop=options.loop)}".rstrip() + "\n"
    write_text(options.out, text)
    return 0
