"""Trees: tuples, lists and dicts of arrays, taken apart and put together again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def flatten(tree: Any) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """The leaves of a tree of tuples, lists and dicts, and the function that builds such a tree from new leaves."""
    if isinstance(tree, dict):
        leaves, build = flatten(list(tree.values()))
        return leaves, lambda new: dict(zip(tree, build(new), strict=True))
    if isinstance(tree, (tuple, list)):
        parts = [flatten(one) for one in tree]
        return [leaf for leaves, _ in parts for leaf in leaves], lambda new: _rebuild(tree, parts, list(new))
    return [tree], lambda new: new[0]


def _rebuild(tree: Any, parts: Any, new: list[Any]) -> Any:
    built, start = [], 0
    for leaves, build in parts:
        built.append(build(new[start : start + len(leaves)]))
        start += len(leaves)
    return type(tree)(*built) if hasattr(tree, "_fields") else type(tree)(built)
