"""Pytrees: flatten tuples, lists and dicts of arrays, match them by key, and rebuild them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import InvalidType


def flatten(tree: Any) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """The leaves of a pytree, and the function that builds the same structure from new leaves."""
    if isinstance(tree, dict):
        leaves, build = flatten(list(tree.values()))
        return leaves, lambda new: _renewed(tree, build(new))
    if isinstance(tree, (tuple, list)):
        parts = [flatten(part) for part in tree]
        return [leaf for leaves, _ in parts for leaf in leaves], lambda new: _rebuild(tree, parts, list(new))
    return [tree], lambda new: new[0]


def _renewed(tree: dict[Any, Any], values: Sequence[Any]) -> dict[Any, Any]:
    """A dict of the same type, with the same keys in the same order."""
    new = copy.copy(tree)
    new.update(zip(tree, values, strict=True))
    return new


def _rebuild(tree: Any, parts: Any, new: list[Any]) -> Any:
    built, start = [], 0
    for leaves, build in parts:
        built.append(build(new[start : start + len(leaves)]))
        start += len(leaves)
    return type(tree)(*built) if hasattr(tree, "_fields") else type(tree)(built)


def matched(like: Any, tree: Any, where: str, reason: str) -> list[tuple[str, Any]]:
    """The leaves of ``tree`` in the order of those of ``like``, each after its name: dicts match by key.

    If the structures differ, a TypeError begins with ``where``, such as "vjp: dy", then the path to the part
    (``dy['h'][0]``), and ends with ``reason``, such as "as the output is". None matches only None.
    """
    if isinstance(like, dict):
        _same_keys(like, tree, where, reason)
        pairs = [(part, tree[key], f"{where}[{key!r}]") for key, part in like.items()]
    elif isinstance(like, (tuple, list)):
        _same_length(like, tree, where, reason)
        pairs = [(part, other, f"{where}[{k}]") for k, (part, other) in enumerate(zip(like, tree, strict=True))]
    elif isinstance(tree, (dict, tuple, list)) or (tree is None) != (like is None):
        raise InvalidType(f"{where} is {_kind(tree)}, should be {'None' if like is None else 'one array'} {reason}")
    else:
        return [(where, tree)]
    return [leaf for part, other, name in pairs for leaf in matched(part, other, name, reason)]


def _same_keys(like: dict[Any, Any], tree: Any, where: str, reason: str) -> None:
    if not isinstance(tree, Mapping):
        raise InvalidType(f"{where} is {_kind(tree)}, should be {_kind(like)} {reason}")
    missing = ", ".join(repr(key) for key in like if key not in tree)
    extra = ", ".join(repr(key) for key in tree if key not in like)
    if missing or extra:
        wrong = " and ".join([f"lacks {missing}"] * bool(missing) + [f"has {extra}"] * bool(extra))
        raise InvalidType(f"{where} {wrong}, should be {_kind(like)} {reason}")


def _same_length(like: Any, tree: Any, where: str, reason: str) -> None:
    fields = getattr(tree, "_fields", None)  # a namedtuple matches a tuple, but not one with other field names
    renamed = fields is not None and fields != getattr(like, "_fields", fields)
    if not isinstance(tree, (tuple, list)) or len(tree) != len(like) or renamed:
        raise InvalidType(f"{where} is {_kind(tree)}, should be {_kind(like)} {reason}")


def _kind(tree: Any) -> str:
    """The description of a pytree in messages."""
    if isinstance(tree, Mapping):
        return f"a dict with {', '.join(map(repr, tree))}" if tree else "an empty dict"
    if hasattr(tree, "_fields"):
        return f"a {type(tree).__name__} of {', '.join(tree._fields)}"
    if isinstance(tree, (tuple, list)):
        return f"a {type(tree).__name__} of {len(tree)}"
    return "None" if tree is None else "one array"
