"""Break long lines of Python as a person would: between pairs, arguments or summands, never inside of them.

::

    return {
        "dx": dx, "dh": dh_prev, ...
    }
    dh_prev = (
        dh * (1 - z) + drh * r
        + dA_z @ Wh_z.T
    )
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Container

WIDTH = 116
OPEN, CLOSE = "([{", ")]}"
#: Where a formula may be broken, best place first: before a summand, before a factor.
OPERATORS = (r" (?=[+-] )", r" (?=[*/@] )")


def identifier(wanted: str, taken: dict[str, None], reserved: Container[str] = ()) -> str:
    """``wanted`` as a free identifier, which is taken from now on: with _ if reserved, with a number if taken."""
    name = re.sub(r"\W+", "_", wanted).strip("_") or "v"
    name = f"v{name}" if name[0].isdigit() else name
    if keyword.iskeyword(name) or name in reserved:
        name += "_"
    free, k = name, 2
    while free in taken:
        free, k = f"{name}_{k}", k + 1
    taken[free] = None
    return free


def wrapped(line: str, width: int) -> list[str]:
    """A line or a comment as lines no longer than ``width``, if possible."""
    if line.startswith("# "):
        return [f"# {part}" for part in wrapped(line[2:], width - 2)]
    if len(line) <= width:
        return [line]
    before, inside, after = _parts(line)
    if not inside:
        return [line]
    return [before, *(f"    {part}" for part in filled(inside, width - 4)), after]


def _parts(line: str) -> tuple[str, list[str], str]:
    """The text before the pieces, the pieces, and the closing text."""
    name, equals, right = line.partition(" = ")
    if equals and right == "cache":
        return "(", split(name, r"(?<=,) "), ") = cache"
    left, formula = (f"{name} = ", right) if equals and not line.startswith(("def ", "return ")) else ("", line)
    for operator in OPERATORS if left else ():
        pieces = split(formula, operator)
        if len(pieces) > 1:
            return f"{left}(", pieces, ")"
    start, end = _last_bracket(formula)
    if start < 0:
        return "", [], ""
    pieces = split(formula[start + 1 : end], r"(?<=,) ")
    if len(pieces) == 1 and pieces[0].startswith("(") and _last_bracket(pieces[0]) == (0, len(pieces[0]) - 1):
        pieces, start, end = split(pieces[0][1:-1], r"(?<=,) "), start + 1, end - 1
    return left + formula[: start + 1], pieces, formula[end:]


def filled(pieces: list[str], width: int, size: Callable[[str], int] = len) -> list[str]:
    """Lines with as many pieces as fit."""
    lines: list[str] = []
    for piece in pieces:
        if lines and size(lines[-1]) + 1 + size(piece) <= width:
            lines[-1] += f" {piece}"
        else:
            lines.append(piece)
    return lines


def _depths(text: str) -> list[int]:
    """The number of brackets around each character."""
    depth, depths = 0, []
    for character in text:
        depth -= character in CLOSE
        depths.append(depth)
        depth += character in OPEN
    return depths


def split(text: str, where: str) -> list[str]:
    """The pieces between the matches outside of all brackets."""
    depths, pieces, start = _depths(text), [], 0
    for match in re.finditer(where, text):
        if depths[match.start()] == 0:
            pieces.append(text[start : match.start()])
            start = match.end()
    return [*pieces, text[start:]]


def _last_bracket(text: str) -> tuple[int, int]:
    """Where the last outermost bracket opens and closes; (-1, the end) if there is none."""
    depths = _depths(text)
    opened = [k for k, character in enumerate(text) if character in OPEN and depths[k] == 0]
    closed = [k for k, character in enumerate(text) if character in CLOSE and depths[k] == 0]
    return (opened[-1], closed[-1]) if opened else (-1, len(text))
