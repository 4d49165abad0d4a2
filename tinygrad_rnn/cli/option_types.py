"""Types of the command-line options, and the option that several commands share.

A type turns the text of an option into a value; argparse prints the text of its `argparse.ArgumentTypeError`.
"""

from __future__ import annotations

import argparse
import math
from typing import NamedTuple


def whole_number(text: str, least: int = 0) -> int:
    """``text`` as an integer from ``least``."""
    if not (_is_digits(text) and int(text) >= least):
        raise argparse.ArgumentTypeError(f"is {text!r}, should be a whole number from {least}")
    return int(text)


def count(text: str) -> int:
    """``text`` as an integer from 1."""
    return whole_number(text, least=1)


def above_zero(text: str, kind: str = "a number") -> float:
    """``text`` as a finite number above 0; ``kind`` names it in the error."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"is {text!r}, should be {kind} above 0")
    return number


def seconds(text: str) -> float:
    """``text`` as a duration."""
    return above_zero(text, "a number of seconds")


def sizes(text: str) -> dict[str, int]:
    """``N=1,D=3`` as sizes by letter."""
    size_of = {}
    for part in filter(None, text.split(",")):
        letter, _, number = (piece.strip() for piece in part.partition("="))
        if not (letter.isidentifier() and _is_digits(number) and int(number) > 0):
            raise argparse.ArgumentTypeError(f"has {part!r}, should be such as N=1,D=3,H=5")
        size_of[letter] = int(number)
    return size_of


class InputShape(NamedTuple):
    """The shape of an input, with the name of its argument or "", and whether it holds whole numbers."""

    sizes: tuple[int, ...]
    name: str = ""
    whole: bool = False


def shape(text: str) -> InputShape:
    """``3,5`` as a shape, ``x=3,5`` as that of the argument x, ``ids:3,5`` as one of whole numbers."""
    name, _, rest = text.rpartition("=")
    kind, _, numbers = rest.rpartition(":")
    parts = numbers.split(",")
    whole_shape = all(_is_digits(part) and int(part) > 0 for part in parts)
    if not whole_shape or kind not in ("", "ids") or not (name.isidentifier() or text == rest):
        raise argparse.ArgumentTypeError(f"is {text!r}, should be a shape such as 3,5 or x=3,5, or ids:5 for whole "
                                         "numbers")  # fmt: skip
    return InputShape(tuple(map(int, parts)), name, bool(kind))


def time_steps(text: str) -> tuple[int, int]:
    """``A:B`` as the first time step and the one after the last."""
    first, _, end = text.partition(":")
    if not (_is_digits(first) and _is_digits(end) and int(first) < int(end)):
        raise argparse.ArgumentTypeError(f"is {text!r}, should be two steps such as 3:7")
    return int(first), int(end)


def add_timeout(parser: argparse.ArgumentParser, default: float = 600.0) -> None:
    """Add ``--timeout``, the limit on the time of a user's file."""
    parser.add_argument("--timeout", type=seconds, default=default, metavar="S",
                        help="end the process in which FILE.py runs after S seconds (%(default)g)")  # fmt: skip


def _is_digits(text: str) -> bool:
    """ASCII digits only: `str.isdigit` accepts ``²`` as well, which `int` does not."""
    return text.isascii() and text.isdigit()
