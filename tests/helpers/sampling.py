"""The part of a parametrised grid that the short run takes: diagonals of it, and every value of every axis."""

import zlib
from collections.abc import Hashable

import pytest


def places(item: pytest.Item) -> dict[str, int]:
    """Where the item is along each axis of its grid; parameters that are named together are one axis."""
    axes = [mark.args[0] for mark in item.iter_markers("parametrize")]
    names = [(axis if isinstance(axis, str) else ",".join(axis)).split(",")[0].strip() for axis in axes]
    return {name: item.callspec.indices[name] for name in names}


def values_of(item: pytest.Item) -> list[Hashable]:
    """(axis, place) of each parameter; with ``sampled(by=f)``, the list that ``f(**parameters)`` returns instead."""
    by = item.get_closest_marker("sampled").kwargs.get("by")
    return by(**item.callspec.params) if by else list(places(item).items())


def on_diagonal(item: pytest.Item, name: str) -> bool:
    """Is the sum of the item's places a multiple of ``every``, counted from ``first``?

    ``first`` comes from the name of the test, so tests over the same grid take different parts of it.
    """
    options = item.get_closest_marker("sampled").kwargs
    first, every = options.get("first", zlib.crc32(name.encode())), options.get("every", 1_000_000)
    return (sum(places(item).values()) - first) % every == 0


def left_out(name: str, grid: list[pytest.Item]) -> list[pytest.Item]:
    """The items of a grid that its sample does not need.

    ``sampled(every=n)`` takes the items on every n-th diagonal, then each item with a value that none before it has.
    """
    on = [on_diagonal(item, name) for item in grid]
    covered = {value for item, keep in zip(grid, on) if keep for value in values_of(item)}
    result = []
    for item, keep in zip(grid, on):
        values = values_of(item)
        if not keep and covered.issuperset(values):
            result.append(item)
        covered.update(values)
    return result
