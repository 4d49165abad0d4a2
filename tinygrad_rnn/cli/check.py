"""``tinygrad-rnn check``: check a backward pass derived by hand, or write and grade the exercise to derive one."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import Any

from ..cells.builtin import BUILT_IN
from ..cells.cell import Cell
from ..check.backward import check_backward
from ..check.layer import checked as check_layer
from ..check.layers.arguments import is_backward, parameters
from ..check.report import Report
from ..check.timeout import limited
from ..draw import draw
from ..errors import Uncheckable, UserFileError
from ..exercise.grading import graded
from ..exercise.template import MARK, template
from ..exercise.worksheet import Exercise
from .check_functions import check_functions
from .checkable import only_place
from .console import write_text
from .guess_cell import by_name, by_parameters, guess
from .make_layer import LayerMaker, is_layer, makes_layer
from .option_types import add_timeout, shape, sizes
from .signature import check_signature, signatures
from .target import cell_at, load_names

HELP = "check a backward pass derived by hand"
ABOUT = """\
Check a backward pass that was derived by hand. Every gradient is compared with autograd and with numbers. The report
names the line of the file that is wrong, with a change of it that was run. FILE.py alone is enough if one thing in it
can be checked; otherwise they are listed. FILE.py:NAME is one of

    def lstm_backward(x, h, c, *, Wx, Wh, b, dh, dc):        one step; dh, dc: the gradients by the new states
    def lstm_bptt(xs, h, c, *, Wx, Wh, b, dhs, dh, dc):      over time; dhs: by every output
    class TimeLSTM:                                          a layer (params, grads, forward, backward), or its maker
    def step_backward(dnext_h, cache):                       with def step_forward(x, prev_h, ...): out, cache
    def lossFun(inputs, targets, hprev, Wxh, ...):           returns the loss, then gradients
    class Model:                                             with a method that does so; Model.loss names the method
    class Op:                                                static forward(ctx, x) and backward(ctx, dy)

A function returns its gradients by name, in the order of the derivation. It may return those of local variables too:
{"do": ..., "dc'": ..., "dWx": ..., "dx": ...}. A layer is constructed with parameters of the cell (Wx, Wh, b), with
sizes (D, H, input_size, hidden_size) or without arguments. Its forward gets xs (N, T, D), or x, h and c, depending on
its arguments.

To learn it, --template CELL writes a file with the forward and a blank for each line of the backward. check grades it
line by line, each line as if the others were right, and --hint helps with the first line that is not right."""
EXAMPLES = """\
examples:
  tinygrad-rnn check examples/lstm_wrong.py:lstm_bptt
  tinygrad-rnn check mine.py:TimeGRU --sizes N=2,T=7,D=5,H=3
  tinygrad-rnn check mine.py:backward --cell mycells.py:mycell --json
  tinygrad-rnn check mine.py:Affine --inputs 3,5         a layer that is no cell: the shapes that forward takes
  tinygrad-rnn check mine.py:loss --inputs words=ids:4   a single argument whose shape is not guessed, of whole numbers
  tinygrad-rnn check --template lstm                     writes lstm_exercise.py
  tinygrad-rnn check lstm_exercise.py:lstm_backward --hint

exit codes: 0 right, 1 wrong or not finished, 2 could not be checked (said in one paragraph; with --json also as
{"ok": false, "verdict": "unchecked", "error": ...})"""

SOONER = 0.9  # of the time limit: so that the line is told before the process is ended


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add = parser.add_argument
    add("place", nargs="?", metavar="FILE.py[:NAME]", help="the backward, layer, pair, loss, operation or exercise")
    add("--cell", metavar="CELL", help=f"the cell that it belongs to: {', '.join(BUILT_IN)}, or FILE.py:NAME for a "
        "cell of your own (default: recognised by NAME or by its parameters)")  # fmt: skip
    add("--sizes", type=sizes, default={}, metavar="N=3,T=5", help="sizes by letter (default: N=3,T=5,D=7,H=11)")
    add("--seed", type=int, metavar="S", help="seed of the random inputs (default: 0), and of a layer "
        "that draws random numbers")
    add("--dtype", choices=["float64", "float32"], default="float64",
        help="of the inputs and parameters; in float32, rounding is no mistake (%(default)s)")  # fmt: skip
    add("--json", action="store_true", help="print the report as JSON")
    add("--patch", metavar="FILE", help="write the change as a unified diff that `git apply` takes; - is the terminal")
    add("--draw", metavar="FILE.svg", help="draw the cell and mark the wrong edge of the backward pass "
                                           "(.svg .png .html ...)")  # fmt: skip
    add("--inputs", type=shape, nargs="+", metavar="3,5", help="shapes of the inputs, of a layer that is no cell or of "
        "a function: of all in order, or x=3,5 for an argument; ids:5 or x=ids:5 for whole numbers; the others are "
        "guessed")  # fmt: skip
    add("--layer", action="store_true", help="NAME is a function that makes a layer")
    add("--template", metavar="CELL", help="write an exercise: the backward of CELL with its lines left blank")
    add("-o", "--out", metavar="FILE", help="where the exercise goes (default: CELL_exercise.py; - is the terminal)")
    add("--force", action="store_true", help="overwrite an exercise, with the lines that were filled in")
    add("--hint", nargs="?", const="1", action="append", default=[], metavar="K",
        help="a hint for the first line of an exercise that is not right; 1, 2, 3: more of it")  # fmt: skip
    add_timeout(parser, 60.0)


def run(options: argparse.Namespace) -> int:
    """Check and print the report, or write an exercise; the exit code."""
    level = hint_level(options)
    if options.template:
        write_exercise(options)
        return 0
    if not options.place:
        raise UserFileError("no file is named, should be FILE.py:NAME, or --template CELL for an exercise")
    limit = limited(options.place, SOONER * options.timeout)
    with contextlib.redirect_stdout(sys.stderr), limit:  # what the user's code prints is no part of the report
        report, cell = check_place(options, level)
    if report.verdict == "unchecked" and not options.json:
        raise Uncheckable(f"{options.place} could not be checked:\n{report}")
    print(report.to_json() if options.json else report)
    if options.patch:
        write_patch(report, options.patch)
    if options.draw:
        draw_wrong(report, cell, options.draw)
    return 2 if report.verdict == "unchecked" else 0 if report.ok else 1


def write_patch(report: Any, file: str) -> None:
    """Write the changes of all mistakes as a unified diff, if there are any."""
    diff = "".join(line.diff for line in getattr(report, "lines", []))
    if diff:
        with contextlib.redirect_stdout(sys.stderr) if file != "-" else contextlib.nullcontext():
            write_text(file, diff)
    else:
        print(f"{file} was not written: there is no patch", file=sys.stderr)


def hint_level(options: argparse.Namespace) -> int:
    """How much of a hint; ``--hint FILE.py:NAME`` reads the place as the level, which is put right here."""
    levels = [str(hint) for hint in options.hint]
    for k, hint in enumerate(levels):
        if not options.place and ":" in hint:
            options.place, levels[k] = hint, "1"
        elif hint not in ("1", "2", "3"):
            raise UserFileError(f"--hint is {hint}, should be 1, 2 or 3")
    return min(sum(map(int, levels)), 3)


def draw_wrong(report: Any, cell: Cell | None, file: str) -> None:
    """Draw the cell with the wrong edges of its backward pass marked, and print which they are."""
    if cell is None:
        raise UserFileError("--draw is for the cell of a backward or a layer, and none is known here; --cell should "
                            "name it")  # fmt: skip
    edges = getattr(report, "guilty", [])
    draw(cell, mark=edges).save(file)
    marked = ", ".join(f"from {reader or 'all that reads it'} to {value}" for value, reader in edges)
    print(f"wrote {file}" + (f", marked: {marked}" if edges else ""), file=sys.stderr)


def write_exercise(options: argparse.Namespace) -> None:
    """Write the exercise on the cell that --template names."""
    with contextlib.redirect_stdout(sys.stderr):
        cell = cell_at(options.template)
        out = options.out or f"{Exercise(cell).name}_exercise.py"
        file, colon, name = options.template.rpartition(":")
        place = f"{Path(os.path.relpath(file, Path(out).parent)).as_posix()}:{name}" if colon else name
        text = template(cell, place, out)
    if out != "-" and Path(out).exists() and not options.force:
        raise UserFileError(f"{out} exists already, and nothing was written; --force overwrites it")
    write_text(out, text)


def check_place(options: argparse.Namespace, level: int) -> tuple[Any, Cell | None]:
    """The report on the exercise, the layer or the backward that was named, and the cell that it belongs to."""
    names = load_names(options.place)
    options.place = options.place if ":" in options.place else only_place(options.place, names)
    file, _, name = options.place.rpartition(":")
    target, cell = names[name.partition(".")[0]], cell_at(options.cell) if options.cell else None
    place = names.get(MARK)
    if isinstance(place, str):
        cell = cell_at(place if place in BUILT_IN else str(Path(file).parent / place))
        return graded(options.place, target, cell, options.seed or 0, options.sizes, level), None
    if level:
        raise UserFileError(f"--hint is for an exercise, and {file} is none; --template CELL writes one")
    report = check_functions(options, names, target)
    return (report, None) if report is not None else check_target(options, target, cell)


def check_target(options: argparse.Namespace, target: Any, cell: Cell | None) -> tuple[Report, Cell | None]:
    """The report on a layer, what makes a layer, or a backward of a cell."""
    name = options.place.rpartition(":")[2]
    if options.layer or options.inputs or is_layer(target):
        return check_as_layer(options, target, cell)
    if isinstance(target, type) or not callable(target):
        kind = "class" if isinstance(target, type) else type(target).__name__
        raise UserFileError(f"{name} is a {kind}, should be a function that returns gradients, or a layer: params, "
                            "grads, forward and backward")  # fmt: skip
    if is_backward(target):
        return check_as_backward(options, target, cell)
    if not makes_layer(target):
        step, over_time = signatures(name, cell or by_name(name) or BUILT_IN["lstm"])
        raise UserFileError(f"{name}({', '.join(parameters(target))}) takes no gradient, and makes no layer of sizes "
                            f"or parameters; a backward is such as\n  {step}\n  {over_time}")  # fmt: skip
    return check_as_layer(options, target, cell)


def check_as_backward(options: argparse.Namespace, backward: Any, cell: Cell | None) -> tuple[Report, Cell]:
    """Check a function that returns gradients."""
    name, note = options.place.rpartition(":")[2], ""
    if cell is None:
        cell, note = guess(name, by_parameters(list(parameters(backward))), "the names of its parameters")
    check_signature(backward, name, cell)
    report = check_backward(cell, backward, seed=options.seed or 0, sizes=options.sizes, dtype=options.dtype)
    report.notes += [note] if note else []
    return report, cell


def check_as_layer(options: argparse.Namespace, target: Any, cell: Cell | None) -> tuple[Report, Cell | None]:
    """Check a layer, or what makes one. A seed is handed on only if it was given: it says that the layer draws."""
    name = options.place.rpartition(":")[2]
    maker = LayerMaker(name, cell, options.seed or 0, options.sizes, options.dtype, options.inputs)
    layer = maker.layer(target)
    inputs = maker.inputs(layer)
    report = check_layer(layer, inputs, maker.cell, options.seed, dtype=options.dtype, guess=maker.note)
    report.notes += maker.notes
    return report, maker.cell
