"""``tinygrad-rnn draw``: draw a built-in or user-defined cell."""

from __future__ import annotations

import argparse
import contextlib
import sys

from ..cells.builtin import BUILT_IN
from ..draw import LAYOUTS, SHAPES, draw
from ..draw.model import FOLDS, LEVELS
from ..draw.scene.aspect import RATIOS
from ..draw.scene.theme import THEMES
from .console import write_bytes
from .option_types import above_zero, add_timeout, sizes, time_steps
from .target import cell_at

HELP = "draw a cell, forward and backward"
ABOUT = """\
Draw the computation graph of a cell, one step or several side by side: forward, and with --backward also the gradients,
each with its norm. CELL is one of the built-in cells, or FILE.py:NAME for a cell of your own.

The ending of --out sets the format: .svg, .html (an interactive page), .dot, .mmd (Mermaid), .json and .txt; .png and
.pdf need a renderer: Graphviz, pip install 'tinygrad-rnn[draw]', or cairosvg."""
EXAMPLES = """\
examples:
  tinygrad-rnn draw lstm --backward -o lstm.svg
  tinygrad-rnn draw gru --backward --expand adjoint -o gru.png      the arithmetic of the backward pass
  tinygrad-rnn draw lstm --steps 20 --backward --last -o time.html  how far gradients reach; open it in a browser
  tinygrad-rnn draw mycells.py:mycell --sizes N=2,D=4,H=3 --format text"""
ENDINGS = {"text": "txt", "mermaid": "mmd"}  #: of files, by format, where the two differ


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add = parser.add_argument
    add("cell", metavar="CELL", help=f"{', '.join(BUILT_IN)}, or FILE.py:NAME")
    add("-o", "--out", metavar="FILE", help="where the picture goes (default: CELL.svg; - is the terminal)")
    add("--format", metavar="F", help="svg, png, pdf, html, dot, mermaid, json or text (default: as --out ends)")
    add("--backward", action="store_true", help="show the gradients too")
    add("--steps", type=int, default=1, metavar="T", help="time steps (%(default)s)")
    add("--level", choices=LEVELS, help="what one box is: an operation, a step, a layer (op; with --steps: cell)")
    add("--expand", choices=["adjoint"], help="show the arithmetic of the gradient rules; implies --backward")
    add("--fold", choices=FOLDS, default="auto",
        help="auto: the middle of more than 8 steps; full: one body (%(default)s)")  # fmt: skip
    add("--unfold", type=time_steps, metavar="A:B", help="keep the steps from A up to B")
    add("--truncate", type=int, metavar="K", help="detach the state after every K steps: truncated BPTT")
    add("--last", action="store_true", help="start the backward pass at the last output only")
    add("--affine", action="store_true", help="draw x @ Wx + h @ Wh + b as one box")
    add("--layout", choices=LAYOUTS, help="book: as books draw a gated cell; layered: in columns (book if it can)")
    add("--aspect", type=aspect, metavar="A", help=f"{', '.join(RATIOS)} or width/height (slide; with --steps: strip)")
    add("--shapes", choices=SHAPES, default="changes", help="the shapes of which values are written (%(default)s)")
    add("--values", action="store_true", help="write the values of small arrays")
    add("--scale", type=float, nargs=2, metavar=("LEAST", "MOST"), help="the range of norms that the colours cover")
    add("--theme", choices=list(THEMES), default="light", help="colours (%(default)s)")
    add("--title", help="text above the picture (default: the cell and its sizes)")
    add("--sizes", type=sizes, default={}, metavar="N=1,D=3,H=5", help="sizes of batch, input, state")
    add("--seed", type=int, default=0, metavar="S", help="seed of the random inputs (%(default)s)")
    add_timeout(parser)


def aspect(text: str) -> str | float:
    """The name of an aspect, or a number."""
    return text if text in RATIOS else above_zero(text, f"{', '.join(RATIOS)} or a number")


def run(options: argparse.Namespace) -> int:
    """Draw, write, and say where; the exit code."""
    with contextlib.redirect_stdout(sys.stderr):  # what the user's code prints is no part of the picture
        cell = cell_at(options.cell)
        picture = draw(
            cell, backward=options.backward or options.expand is not None, steps=options.steps, level=options.level,
            expand=options.expand, fold=options.fold, unfold=options.unfold, truncate=options.truncate,
            last=options.last, affine=options.affine, scale=tuple(options.scale) if options.scale else None,
            theme=options.theme, title=options.title, layout=options.layout, aspect=options.aspect,
            shapes=options.shapes, values=options.values, seed=options.seed, **options.sizes,
        )  # fmt: skip
    if options.out == "-" or (options.out is None and options.format == "text"):
        form = options.format or "text"
        show(picture.form(form), form)
    else:
        ending = options.format or "svg"
        path = options.out or f"{cell.name}.{ENDINGS.get(ending, ending)}"
        print(f"wrote {picture.save(path, format=options.format)}")
    return 0


def show(content: bytes, form: str) -> None:
    """Print a picture: text in the encoding of the terminal, any other form as the bytes of its file."""
    if form == "text":
        sys.stdout.write(content.decode())
    else:
        write_bytes(content)
