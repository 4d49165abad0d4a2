"""``tinygrad-rnn check``: a backward derived by hand, checked from the command line; and the exercise to derive one."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..cells.builtin import BUILT_IN
from ..cells.cell import Cell
from ..check.backward import check_backward
from ..check.layer import checked as checked_layer
from ..check.layers.guess_cell import by_name, by_parameters, guessed, is_backward, parameters
from ..check.report import Report
from ..errors import ExerciseError, Uncheckable, UserFileError
from ..exercise.grading import graded
from ..exercise.template import MARK, template
from ..exercise.worksheet import Exercise
from ..files import write_whole
from .make_layer import Builder, is_layer, makes
from .signature import fitting, signatures
from .target import add_timeout, cell_at, loaded, own_lines, sizes

ABOUT = """\
Check a backward pass that was derived by hand: every gradient is compared with autograd and with numbers; the first
wrong line is named, and the mistake where it is a known one. FILE.py:NAME is one of

    def lstm_backward(x, h, c, *, Wx, Wh, b, dh, dc):        one step; dh, dc: the gradients by the new states
    def lstm_bptt(xs, h, c, *, Wx, Wh, b, dhs, dh, dc):      over time; dhs: by every output
    class TimeLSTM:                                          a layer (params, grads, forward, backward), or its maker

A function returns its gradients by name, in the order of the derivation, those in between too if it likes:
{"do": ..., "dc'": ..., "dWx": ..., "dx": ...}. A layer is made with parameters of the cell (Wx, Wh, b), with sizes
(D, H, input_size, hidden_size) or with nothing, and is handed xs (N, T, D), or x, h and c, as its forward asks.

To learn it, --template CELL writes a file with the forward and a blank for each line of the backward. check grades it
line by line, each by itself, and --hint helps with the first that is not right."""
EXAMPLES = """\
examples:
  tinygrad-rnn check examples/lstm_wrong.py:lstm_bptt
  tinygrad-rnn check mine.py:TimeGRU --sizes N=2,T=7,D=5,H=3
  tinygrad-rnn check mine.py:backward --cell mycells.py:mycell --json
  tinygrad-rnn check mine.py:Affine --inputs 3,5         a layer that is no cell: the shapes that forward takes
  tinygrad-rnn check --template lstm                     writes lstm_exercise.py
  tinygrad-rnn check lstm_exercise.py:lstm_backward --hint

exit codes: 0 right, 1 wrong or not finished, 2 could not be checked (said in one paragraph; with --json also as
{"ok": false, "verdict": "unchecked", "error": ...})"""


def options(parser: argparse.ArgumentParser) -> None:
    """Everything that can be asked for."""
    add = parser.add_argument
    add("place", nargs="?", metavar="FILE.py:NAME", help="the backward, the layer, or the exercise")
    add("--cell", metavar="CELL", help=f"what it belongs to: {', '.join(BUILT_IN)}, or FILE.py:NAME for a cell of your "
                                       "own (default: what NAME or its parameters tell)")  # fmt: skip
    add("--sizes", type=sizes, default={}, metavar="N=3,T=5", help="sizes by letter (default: N=3,T=5,D=7,H=11)")
    add("--seed", type=int, metavar="S", help="of the random inputs (default: 0)")
    add("--dtype", choices=["float64", "float32"], default="float64",
        help="of the inputs and parameters; in float32, rounding is no mistake (%(default)s)")  # fmt: skip
    add("--json", action="store_true", help="print the report as JSON")
    add("--draw", metavar="FILE.svg", help="draw the cell, the wrong way back marked (.svg .png .html ...)")
    add("--inputs", type=shape, nargs="+", metavar="3,5", help="the shapes of a layer's inputs, where it does not tell")
    add("--layer", action="store_true", help="NAME makes a layer, where it does not tell")
    add("--template", metavar="CELL", help="write an exercise: the backward of CELL with its lines left blank")
    add("-o", "--out", metavar="FILE", help="where the exercise goes (default: CELL_exercise.py; - is the terminal)")
    add("--force", action="store_true", help="write it over a file that is there, and what was filled in is lost")
    add("--hint", nargs="?", const="1", action="append", default=[], metavar="K",
        help="a hint for the first line of an exercise that is not right; 1, 2, 3: more of it")  # fmt: skip
    add_timeout(parser)


def shape(text: str) -> tuple[int, ...]:
    """``3,5`` as a shape."""
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"is {text!r}, should be a shape such as 3,5")
    return tuple(map(int, text.split(",")))


def run(asked: argparse.Namespace, picture: Callable[[Cell, Any, str], None]) -> int:
    """Check, print what was found; the exit code. ``picture(cell, ways, file)`` draws a cell with ways back marked."""
    try:
        asked.level = level(asked)
        if asked.template:
            return write(asked)
        if not asked.place:
            raise UserFileError("nothing to check is named, should be FILE.py:NAME, or --template CELL for an exercise")
        with contextlib.redirect_stdout(sys.stderr):  # what the user's code prints is no part of the report
            report = checked(asked, loaded(asked.place))
    except (UserFileError, ExerciseError, Uncheckable) as error:
        return refused(asked, str(error))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a file that exits has not been checked, whatever its code
        file = (asked.place or "").rpartition(":")[0]
        return refused(asked, f"{asked.place or asked.template} could not be checked:\n{own_lines(error, file)}")
    if report.verdict == "unchecked" and not asked.json:
        return refused(asked, f"{asked.place} could not be checked:\n{report}")
    print(report.to_json() if asked.json else report)
    if asked.draw:
        drawn(asked, report, picture)
    return 2 if report.verdict == "unchecked" else 0 if report.ok else 1


def drawn(asked: argparse.Namespace, report: Any, picture: Callable[[Cell, Any, str], None]) -> None:
    """The picture of the cell, if there is one, and a line that says what is marked."""
    cell, ways = getattr(asked, "of", None), getattr(report, "guilty", [])
    if cell is None:
        raise UserFileError("--draw is for a cell, and this is checked as none; --cell names it")
    picture(cell, ways, asked.draw)
    marked = ", ".join(f"from {reader or 'all that reads it'} to {value}" for value, reader in ways)
    print(f"wrote {asked.draw}" + (f", marked: {marked}" if ways else ""), file=sys.stderr)


def level(asked: argparse.Namespace) -> int:
    """How much of a hint; ``--hint FILE.py:NAME`` takes the place for a number, which is put right here."""
    found = [str(one) for one in asked.hint]
    for k, one in enumerate(found):
        if not asked.place and ":" in one:
            asked.place, found[k] = one, "1"
        elif one not in ("1", "2", "3"):
            raise UserFileError(f"--hint is {one}, should be 1, 2 or 3")
    return min(sum(map(int, found)), 3)


def refused(asked: argparse.Namespace, text: str) -> int:
    """Say why nothing was checked."""
    if asked.json:
        print(json.dumps({"ok": False, "verdict": "unchecked", "error": text}, ensure_ascii=False))
    print(f"tinygrad-rnn check: {text}", file=sys.stderr)
    return 2


def write(asked: argparse.Namespace) -> int:
    """Write an exercise."""
    with contextlib.redirect_stdout(sys.stderr):
        cell = cell_at(asked.template)
        out = asked.out or f"{Exercise(cell).name}_exercise.py"
        file, colon, name = asked.template.rpartition(":")
        place = f"{Path(os.path.relpath(file, Path(out).parent)).as_posix()}:{name}" if colon else name
        text = template(cell, place, out)
    if out == "-":
        sys.stdout.write(text)
        return 0
    if Path(out).exists() and not asked.force:
        raise UserFileError(f"{out} is there already, and nothing was written; --force would lose what is in it")
    write_whole(out, text)
    print(f"wrote {out}")
    return 0


def checked(asked: argparse.Namespace, space: dict[str, Any]) -> Any:
    """The report on what was named: an exercise, a layer, or a backward."""
    file, _, name = asked.place.rpartition(":")
    found, cell = space[name], cell_at(asked.cell) if asked.cell else None
    if isinstance(space.get(MARK), str):
        place = space[MARK]
        return graded(asked, found, cell_at(place if place in BUILT_IN else str(Path(file).parent / place)))
    if asked.level:
        raise UserFileError(f"{file} is no exercise, which --hint is for; --template CELL writes one")
    if asked.layer or asked.inputs or is_layer(found):
        return layer(asked, found, cell)
    if isinstance(found, type) or not callable(found):
        kind = "class" if isinstance(found, type) else type(found).__name__
        raise UserFileError(f"{name} is a {kind}, should be a function that returns gradients, or a layer: params, "
                            "grads, forward and backward")  # fmt: skip
    if is_backward(found):
        return backward(asked, found, cell)
    if not makes(found):
        step, over_time = signatures(name, cell or by_name(name) or BUILT_IN["lstm"])
        raise UserFileError(f"{name}({', '.join(parameters(found))}) takes no gradient, and makes no layer of sizes or "
                            f"parameters; a backward is such as\n  {step}\n  {over_time}")  # fmt: skip
    return layer(asked, found, cell)


def backward(asked: argparse.Namespace, found: Any, cell: Cell | None) -> Report:
    """A function that returns gradients."""
    name, note = asked.place.rpartition(":")[2], ""
    if cell is None:
        cell, note = guessed(name, by_parameters(list(parameters(found))), "the names of its parameters")
    fitting(found, name, cell)
    asked.of = cell
    report = check_backward(cell, found, sizes=asked.sizes, **seed(asked), **dtype(asked))
    report.notes += [note] if note else []
    return report


def layer(asked: argparse.Namespace, found: Any, cell: Cell | None) -> Report:
    """A layer, or what makes one."""
    name = asked.place.rpartition(":")[2]
    build = Builder(name, cell, asked.seed or 0, asked.sizes, np.dtype(asked.dtype), asked.inputs)
    made = build.layer(found)
    asked.of = build.cell
    given = build.inputs(made)
    report = checked_layer(made, given, build.cell, **seed(asked), **dtype(asked), guess=bool(build.note))
    report.notes += [build.note] if build.note else []
    return report


def seed(asked: argparse.Namespace) -> dict[str, Any]:
    """Nothing that was not asked for: to a layer, a seed says that it draws random numbers."""
    return {} if asked.seed is None else {"seed": asked.seed}


def dtype(asked: argparse.Namespace) -> dict[str, Any]:
    """float64 is what is checked anyway."""
    return {} if asked.dtype == "float64" else {"dtype": asked.dtype}
