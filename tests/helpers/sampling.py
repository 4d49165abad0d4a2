"""The part of a parametrised grid that the short run takes: diagonals of it, and every value of every axis."""

import zlib
from collections import defaultdict
from collections.abc import Hashable

import pytest


def axes_of(item: pytest.Item) -> list[list[str]]:
    """The parameters of each axis; those that are named together are one axis."""
    named = [mark.args[0] for mark in item.iter_markers("parametrize")]
    return [[name.strip() for name in (axis.split(",") if isinstance(axis, str) else axis)] for axis in named]


def places_in(grid: list[pytest.Item]) -> list[list[int]]:
    """The place of each item along each axis, in the order in which the values appear."""
    seen: dict[int, dict[Hashable, int]] = defaultdict(dict)
    result = []
    for item in grid:
        values = [tuple(id(item.callspec.params[name]) for name in axis) for axis in axes_of(item)]
        result.append([seen[axis].setdefault(value, len(seen[axis])) for axis, value in enumerate(values)])
    return result


def left_out(name: str, grid: list[pytest.Item]) -> list[pytest.Item]:
    """The items of a grid that its sample does not need.

    ``sampled(every=n)`` takes the items on every n-th diagonal (the sum of the places is a multiple of n, counted from
    ``first``), then each item with a value that none before it has. With ``by=f``, the values of an item are the list
    ``f(**parameters)`` instead of its places. By default ``first`` comes from the name of the test, so tests over the
    same grid take different parts of it. Of a grid without an item on these diagonals, the first item stays.
    """
    options = grid[0].get_closest_marker("sampled").kwargs
    every, first = options.get("every", 1_000_000), options.get("first", zlib.crc32(name.encode()))
    by, places = options.get("by"), places_in(grid)
    values = [by(**item.callspec.params) if by else list(enumerate(at)) for item, at in zip(grid, places)]
    on = [(sum(at) - first) % every == 0 for at in places]
    covered = {value for keep, of_item in zip(on, values) if keep for value in of_item}
    result = []
    for item, keep, of_item in zip(grid, on, values):
        if not keep and covered.issuperset(of_item):
            result.append(item)
        covered.update(of_item)
    return result[1:] if len(result) == len(grid) else result
