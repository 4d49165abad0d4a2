"""Shape rules: what an operation accepts, in words, and the shape it gives.

A rule is a function ``rule(shapes, attrs) -> shape``: ``shapes`` maps the operation's argument names to shapes, in
order. It raises `ShapeError` in those names. Rules run only after NumPy has raised an error (and in the tests), so a
correct program does not pay for good messages.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ShapeError

Shape = tuple[int, ...]
ShapeRule = Callable[[Mapping[str, Shape], Mapping[str, Any]], Shape]


def text(shape: Shape) -> str:
    """A shape as errors print it, with plain integers."""
    return str(tuple(int(n) for n in shape))


def words(spec: str) -> ShapeRule:
    """The rule ``"... n d, d h -> ... n h"``: equal letters are equal sizes, ``...`` broadcasts.

    ``|`` separates alternatives; the first whose ranks fit counts.
    """
    forms = [_parse(form) for form in spec.split("|")]

    def rule(shapes: Mapping[str, Shape], attrs: Mapping[str, Any]) -> Shape:
        ranks = [len(shape) for shape in shapes.values()]
        for terms, result in forms:
            if all(_fits(term, rank) for term, rank in zip(terms, ranks, strict=True)):
                return _match(terms, result, shapes)
        raise ShapeError(_rank_text(forms[0][0], shapes))

    rule.__doc__ = f"`{spec}`"
    return rule


def _parse(form: str) -> tuple[list[list[str]], list[str]]:
    terms, _, result = form.partition("->")
    return [term.split() for term in terms.split(",")], result.split()


def _fits(term: list[str], rank: int) -> bool:
    return rank >= len(term) - 1 if "..." in term else rank == len(term)


def _rank_text(terms: list[list[str]], shapes: Mapping[str, Shape]) -> str:
    pairs = zip(shapes.items(), terms, strict=True)
    return ", ".join(f"{name} is {text(shape)} and should be ({' '.join(term)})" for (name, shape), term in pairs)


def _match(terms: list[list[str]], result: list[str], shapes: Mapping[str, Shape]) -> Shape:
    sizes: dict[str, tuple[int, str]] = {}
    batches: dict[str, Shape] = {}
    for term, (name, shape) in zip(terms, shapes.items(), strict=True):
        letters = [word for word in term if word != "..."]
        if "..." in term:
            batches[name] = shape[: len(shape) - len(letters)]
        for word, size in zip(letters, shape[len(shape) - len(letters) :], strict=True):
            seen, where = sizes.setdefault(word, (size, name))
            if seen != size:
                first, second = text(shapes[where]), text(shape)
                raise ShapeError(f"{word} is {seen} in {where} {first} but {size} in {name} {second}")
    batch = broadcast(batches, {}) if batches else ()
    return batch + tuple(sizes[word][0] for word in result if word != "...")


def broadcast(shapes: Mapping[str, Shape], attrs: Mapping[str, Any]) -> Shape:
    """NumPy's broadcasting: aligned at the right, a 1 stretches."""
    rank = max(len(shape) for shape in shapes.values())
    result: list[int] = []
    for axis in range(-rank, 0):
        size, owner = 1, ""
        for name, shape in shapes.items():
            here = shape[axis] if -axis <= len(shape) else 1
            if here != 1 and size not in (1, here):
                first, second = text(shapes[owner]), text(shape)
                sizes = f"axis {axis} is {size} and {here}"
                raise ShapeError(f"{owner} {first} and {name} {second} do not broadcast: {sizes}")
            if here != 1:
                size, owner = here, name
        result.append(size)
    return tuple(result)


def equal(shapes: Mapping[str, Shape], attrs: Mapping[str, Any]) -> Shape:
    """All arguments have one shape; nothing is stretched."""
    (first, shape), *others = shapes.items()
    for name, other in others:
        if other != shape:
            raise ShapeError(f"{name} is {text(other)}, but must be {text(shape)} as {first} is")
    return shape


def axes(axis: Any, rank: int, name: str, shape: Shape) -> tuple[int, ...]:
    """``axis`` (None, a number, or several) as sorted non-negative integers; an axis out of range is an error."""
    if axis is None:
        return tuple(range(rank))
    numbers = []
    for number in axis if isinstance(axis, (tuple, list)) else (axis,):
        number = operator.index(number)
        if not -rank <= number < rank:
            raise ShapeError(f"axis {number} is out of range for {name} {text(shape)}")
        numbers.append(number % rank)
    if len(dict.fromkeys(numbers)) != len(numbers):
        raise ShapeError(f"axis {axis} names one axis of {name} {text(shape)} twice")
    return tuple(sorted(numbers))


def reduced(shapes: Mapping[str, Shape], attrs: Mapping[str, Any]) -> Shape:
    """The axes in ``axis`` go, or stay as 1 with ``keepdims``."""
    (name, shape), *_ = shapes.items()
    gone = axes(attrs.get("axis"), len(shape), name, shape)
    if attrs.get("keepdims"):
        return tuple(1 if k in gone else n for k, n in enumerate(shape))
    return tuple(n for k, n in enumerate(shape) if k not in gone)


def along(shapes: Mapping[str, Shape], attrs: Mapping[str, Any]) -> Shape:
    """The shape of the first argument, which has the axes in ``axis``."""
    (name, shape), *_ = shapes.items()
    axes(attrs.get("axis"), len(shape), name, shape)
    return shape


def joined(shapes: Mapping[str, Shape], attrs: Mapping[str, Any]) -> Shape:
    """Arrays end to end along ``axis``: every other axis agrees."""
    (first, shape), *others = shapes.items()
    (axis,) = axes(attrs["axis"], len(shape), first, shape)
    total = shape[axis]
    for name, other in others:
        if len(other) != len(shape) or any(n != m for k, (n, m) in enumerate(zip(shape, other)) if k != axis):
            raise ShapeError(f"{name} {text(other)} and {first} {text(shape)} may differ only along axis {axis}")
        total += other[axis]
    return (*shape[:axis], total, *shape[axis + 1 :])


def stacked(shapes: Mapping[str, Shape], attrs: Mapping[str, Any]) -> Shape:
    """Equal shapes side by side along a new ``axis``."""
    shape = equal(shapes, attrs)
    (axis,) = axes(attrs["axis"], len(shape) + 1, *next(iter(shapes.items())))
    return (*shape[:axis], len(shapes), *shape[axis:])
