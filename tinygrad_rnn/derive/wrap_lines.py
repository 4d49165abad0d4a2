"""Line breaks in printed functions and in rows of LaTeX."""

from __future__ import annotations

import re

from ..formula.line_breaks import WIDTH, filled, split, wrapped

WIDE = 80  # of a row of LaTeX, in visible characters


def function(head: str, body: list[str]) -> str:
    """A function with its long lines wrapped."""
    lines = [line for text in body for line in wrapped(text, WIDTH - 4)]
    return "\n".join([*wrapped(head, WIDTH), *(f"    {line}" for line in lines)]) + "\n"


def broken_row(row: str) -> list[str]:
    """A row; if it is too wide, several rows, broken before summands."""
    left, _, right = row.partition(" &= ")
    if seen(row) <= WIDE or not right:
        return [row]
    first, *rest = filled(split(right, r" (?=[+-] )"), WIDE - seen(left), seen)
    return [f"{left} &= {first}", *(rf"&\qquad {{}} {continuation}" for continuation in rest)]


def seen(text: str) -> int:
    """The number of visible characters, approximately."""
    hidden = r"\\(mathrm|mathit|mathsf|operatorname|left|right|middle|,|;)|[{}_^\s]"
    return len(re.sub(r"\\[a-zA-Z]+", "a", re.sub(hidden, "", text)))
