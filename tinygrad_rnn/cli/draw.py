"""``tinygrad-rnn draw``: a picture of a cell, built in or of the user's, from the command line."""

from __future__ import annotations

import argparse
import contextlib
import sys

from ..cells.builtin import BUILT_IN
from ..draw import draw
from ..draw.model import FOLDS, LEVELS
from ..draw.scene.theme import THEMES
from .console import write_bytes
from .target import add_timeout, cell_at, sizes

ABOUT = """\
Draw the computation graph of a cell: one step, or several side by side, forward, and with --backward the gradients
beside it, each with its norm. CELL is one of the built-in cells, or FILE.py:NAME for a cell of your own.

The ending of --out says what is written: .svg .png .pdf need Graphviz or pip install 'tinygrad-rnn[draw]'; .html (an
interactive page), .dot, .mmd (Mermaid), .json and .txt do not, but a page without Graphviz has no picture."""
EXAMPLES = """\
examples:
  tinygrad-rnn draw lstm --backward -o lstm.svg
  tinygrad-rnn draw gru --backward --expand adjoint -o gru.png      the arithmetic of the backward pass
  tinygrad-rnn draw lstm --steps 20 --backward --last -o time.html  how far gradients reach; open it in a browser
  tinygrad-rnn draw mycells.py:mycell --sizes N=2,D=4,H=3 --format text"""
FORMATS = {"text": "txt", "mermaid": "mmd"}


def options(parser: argparse.ArgumentParser) -> None:
    """Everything that can be asked for."""
    add = parser.add_argument
    add("cell", metavar="CELL", help=f"{', '.join(BUILT_IN)}, or FILE.py:NAME")
    add("-o", "--out", metavar="FILE", help="where the picture goes (default: CELL.svg; - is the terminal)")
    add("--format", metavar="F", help="svg, png, pdf, html, dot, mermaid, json or text (default: as --out ends)")
    add("--backward", action="store_true", help="show the gradients too")
    add("--steps", type=int, default=1, metavar="T", help="time steps (%(default)s)")
    add("--level", choices=LEVELS, help="what is one thing: an operation, a step, a layer (op; for --steps: cell)")
    add("--expand", choices=["adjoint"], help="show the arithmetic of the gradient rules; implies --backward")
    add(
        "--fold",
        choices=FOLDS,
        default="auto",
        help="auto: the middle of more than 8 steps; full: one body (%(default)s)",
    )
    add("--unfold", type=span, metavar="A:B", help="keep the steps from A up to B")
    add("--truncate", type=int, metavar="K", help="detach the state after every K steps: truncated BPTT")
    add("--last", action="store_true", help="let a gradient come in at the last output only")
    add("--affine", action="store_true", help="draw x @ Wx + h @ Wh + b as one box")
    add("--scale", type=float, nargs=2, metavar=("LEAST", "MOST"), help="the range of norms that colours run over")
    add("--theme", choices=list(THEMES), default="light", help="%(default)s")
    add("--title", help="above the picture (default: the cell and its sizes)")
    add("--sizes", type=sizes, default={}, metavar="N=1,D=3,H=5", help="sizes of batch, input, state")
    add("--seed", type=int, default=0, metavar="S", help="of the random inputs (%(default)s)")
    add_timeout(parser)


def span(text: str) -> tuple[int, int]:
    """``A:B`` as two numbers."""
    first, colon, last = text.partition(":")
    if not (colon and first.isdigit() and last.isdigit() and int(first) < int(last)):
        raise argparse.ArgumentTypeError(f"is {text!r}, should be two steps such as 3:7")
    return int(first), int(last)


def run(asked: argparse.Namespace) -> int:
    """Draw, write, and say where; the exit code."""
    with contextlib.redirect_stdout(sys.stderr):  # what the user's code prints is no part of the picture
        target = cell_at(asked.cell)
        picture = draw(
            target, backward=asked.backward or asked.expand is not None, steps=asked.steps, level=asked.level,
            expand=asked.expand, fold=asked.fold, unfold=asked.unfold, truncate=asked.truncate, last=asked.last,
            affine=asked.affine, scale=tuple(asked.scale) if asked.scale else None, theme=asked.theme,
            title=asked.title, seed=asked.seed, **asked.sizes,
        )  # fmt: skip
    out = asked.out
    if out is None and asked.format == "text":
        out = "-"
    if out == "-":
        return show(picture.form(asked.format or "text"), asked.format or "text")
    ending = asked.format or "svg"
    path = out or f"{target.name}.{FORMATS.get(ending, ending)}"
    print(f"wrote {picture.save(path, format=asked.format)}")
    return 0


def show(content: bytes, form: str) -> int:
    """Write to the terminal, text in its encoding, what is a file as the bytes of the file."""
    if form == "text":
        sys.stdout.write(content.decode())
    else:
        write_bytes(content)
    return 0
