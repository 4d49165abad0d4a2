"""Sizes in letters: the words of a shape, such as ``D+H`` or ``2*H``, and the letters solved from shapes in numbers.

A word is a sum of letters and whole numbers. `infer` finds the letter that a word leaves open: 7 for D+H with D = 3
gives H = 4.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import InvalidValue, ShapeError

_TERM = re.compile(r"(?:(?P<count>[0-9]+)\*)?(?P<letter>[^\W\d]\w*)|(?P<number>[0-9]+)")


@dataclass(frozen=True)
class Size:
    """A word as Σ counts[letter] * letter + number."""

    counts: Mapping[str, int]
    number: int = 0


@functools.cache
def parsed(word: str) -> Size:
    """A word as a `Size`. Raises InvalidValue for a word that is no sum of letters and whole numbers from 1."""
    counts: dict[str, int] = {}
    total = 0
    for term in word.split("+"):
        match = _TERM.fullmatch(term)
        if match is None or 0 in (int(match["count"] or 1), int(match["number"] or 1)):
            raise InvalidValue(f"size {word!r} is no sum, should be such as D, 1, D+H or 2*H")
        if match["letter"]:
            counts[match["letter"]] = counts.get(match["letter"], 0) + int(match["count"] or 1)
        total += int(match["number"] or 0)
    return Size(counts, total)


def words_of(text: str, where: str) -> tuple[str, ...]:
    """The words of a shape, without the spaces in sums: ``"D + H H"`` -> ("D+H", "H"). Raises InvalidValue."""
    words = tuple(re.sub(r"\s*([+*])\s*", r"\1", text).split())
    try:
        letters_in(words)
    except InvalidValue as error:
        raise InvalidValue(f"{where}: {error}") from None
    return words


def letters_in(words: Iterable[str]) -> list[str]:
    """The letters of words, each once, in their order."""
    return list(dict.fromkeys(letter for word in words for letter in parsed(word).counts))


def length(word: str, sizes: Mapping[str, int]) -> int:
    """The number that a word stands for, with a size for each of its letters."""
    size = parsed(word)
    return size.number + sum(count * sizes[letter] for letter, count in size.counts.items())


def infer(word: str, number: int, sizes: dict[str, int]) -> str:
    """Add the letter of ``word`` that ``sizes`` lacks, so that the word stands for ``number``; returns the letter.

    Returns "" and adds nothing where no letter is open, several are, or no whole number from 0 fits.
    """
    size = parsed(word)
    unknown = [letter for letter in size.counts if letter not in sizes]
    if len(unknown) != 1:
        return ""
    count = size.counts[unknown[0]]
    rest = number - length(word, {**sizes, unknown[0]: 0})
    if rest < 0 or rest % count:
        return ""
    sizes[unknown[0]] = rest // count
    return unknown[0]


@dataclass
class Axis:
    """An axis of an array: its word and its length; ``name``, ``shape`` and ``form`` of the array are for messages."""

    word: str
    length: int
    name: str
    shape: tuple[int, ...]
    form: str


def solve(where: str, axes: Sequence[Axis], known: Mapping[str, int] | None = None) -> dict[str, int]:
    """The size of each letter of the ``axes``, besides those ``known``; letters that they leave open are left out.

    Raises ShapeError, which begins with ``where``, for axes that contradict each other.
    """
    sizes, owners = dict(known or {}), dict[str, Axis]()
    waiting = sorted(axes, key=lambda axis: axis.word not in parsed(axis.word).counts)  # letters first, then sums
    while waiting:
        open_axes = []
        for axis in waiting:
            letter = infer(axis.word, axis.length, sizes)
            if letter:
                owners[letter] = axis
            elif all(letter in sizes for letter in parsed(axis.word).counts):
                if length(axis.word, sizes) != axis.length:
                    raise ShapeError(f"{where}: {_contradiction(axis, sizes, owners)}")
            else:
                open_axes.append(axis)
        if len(open_axes) == len(waiting):
            break
        waiting = open_axes
    for axis in waiting:
        if len([letter for letter in parsed(axis.word).counts if letter not in sizes]) == 1:
            raise ShapeError(f"{where}: {_contradiction(axis, sizes, owners)}")
    return sizes


def _contradiction(axis: Axis, sizes: Mapping[str, int], owners: Mapping[str, Axis]) -> str:
    if axis.word in owners:
        first = owners[axis.word]
        return (f"{axis.word} is {sizes[axis.word]} in {first.name} {first.shape} but {axis.length} in "
                f"{axis.name} {axis.shape}")  # fmt: skip
    letters = [letter for letter in parsed(axis.word).counts if letter in sizes]
    known = " with " + ", ".join(f"{letter} = {sizes[letter]}" for letter in letters) if letters else ""
    return f"{axis.name} is {axis.shape}, should be {axis.form}{known}"
