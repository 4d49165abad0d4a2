"""The file to fill in: the forward of a cell, and ``...`` for each line of the backward."""

from __future__ import annotations

from pathlib import Path

from ..cells.cell import Cell
from .worksheet import Exercise

#: The variable of the file that names its cell.
MARK = "EXERCISE_OF"
TEXT = '''\
"""Exercise: the backward pass of one step of {title}.

Write a line in the place of each `...`, then run

    tinygrad-rnn check {file}:{name}_backward

It tells which lines are right, which are wrong and why, and which are left. With --hint it also says something about
the first line that is not right; with --hint 2 and --hint 3 more of it, at last the line itself.

A gradient is a d and the name of what it is by: {example} is the gradient of the loss by {value}, of its shape.
{incoming} come{s} in, by the new {states}; {past} go{es} out, by the old {states}.
{total}
Begin anywhere: a line is graded as if those above it were right. Lines of your own in between are welcome.
"""

import numpy as np
{imports}
{mark} = "{place}"


def {name}_backward({signature}, {given}):
    # forward: given, change nothing here
    {forward}

    # backward: from the last line up to the first
    {blanks}

    return {{
        {returned},
    }}
'''


def template(cell: Cell, place: str, file: str) -> str:
    """The text of the file; ``place`` names the cell, as seen from the folder of ``file``."""
    exercise = Exercise(cell)
    helpers = ", ".join(exercise.helpers)
    incoming = [f"d{state}" for state in cell.states]
    asked = list(exercise.blanks)
    wide = max(map(len, asked))
    blanks = [f"{f'{name} = ...':{wide + 6}}  # {words}" for name, words in exercise.blanks.items()]
    pairs = [f'"{exercise.keys[name]}": {name}' for name in asked if name in exercise.keys]
    values = [name[1:] for name in asked if name[1:] in exercise.new]
    total = [f"d{name} is the whole gradient by {name}: what comes in for it, and what comes another way.\n"
             for name in values]  # fmt: skip
    single = len(cell.states) == 1
    return TEXT.format(
        title=cell.name, file=Path(file).name, name=exercise.name, example=asked[0], value=asked[0][1:],
        states=" and ".join(cell.states), incoming=" and ".join(incoming), total="".join(total),
        past=" and ".join(f"d{state}_prev" for state in cell.states), s="s" * single, es="es" * single,
        imports=f"\nfrom tinygrad_rnn import {helpers}\n" if helpers else "", mark=MARK, place=place,
        signature=exercise.signature(), given=", ".join(incoming), forward="\n    ".join(exercise.forward),
        blanks="\n    ".join(blanks), returned=_rows(pairs),
    )  # fmt: skip


def _rows(pairs: list[str]) -> str:
    """Six to a row."""
    return ",\n        ".join(", ".join(pairs[k : k + 6]) for k in range(0, len(pairs), 6))
