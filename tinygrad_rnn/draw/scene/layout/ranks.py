"""The rank of each box, its column from left to right: the length of the longest path to it.

A box that no box of the first column leads to, such as a parameter, stands just before its first use::

    x ---> a ---> b ---> c        ranks 0 1 2 3
                  W -----'        W: 2
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from ....errors import InvalidValue
from .columns import Box, Link


def ranks(boxes: Sequence[Box], links: Sequence[Link]) -> dict[str, int]:
    """The rank of every box. A link leads to a higher rank. A box with no path from the first column is moved right."""
    by_key = {box.key: box for box in boxes}
    sources: dict[str, list[str]] = {box.key: [] for box in boxes}
    targets: dict[str, list[str]] = {box.key: [] for box in boxes}
    for link in links:
        sources[link.target].append(link.source)
        targets[link.source].append(link.target)
    order = _order(sources, targets)
    rank_of: dict[str, int] = {}
    for key in order:
        rank_of[key] = max((rank_of[source] + 1 for source in sources[key]), default=0)
    last, loose = max(rank_of.values()), dict.fromkeys(order, False)
    for key in order:
        loose[key] = by_key[key].rank is None and all(loose[source] for source in sources[key])
        if by_key[key].rank == -1:
            rank_of[key] = last
    for key in reversed(order):
        if loose[key] and targets[key]:
            rank_of[key] = min(rank_of[target] for target in targets[key]) - 1
    return rank_of


def _order(sources: dict[str, list[str]], targets: dict[str, list[str]]) -> list[str]:
    """The boxes in topological order. Raises InvalidValue for a cycle."""
    waiting = {key: len(before) for key, before in sources.items()}
    order = [key for key, count in waiting.items() if count == 0]
    for key in order:  # the list grows while it is read
        for target in targets[key]:
            waiting[target] -= 1
            if waiting[target] == 0:
                order.append(target)
    if len(order) < len(sources):
        _complain(sources, {key: count for key, count in waiting.items() if count})
    return order


def _complain(sources: dict[str, list[str]], left: dict[str, int]) -> None:
    """Raise for a cycle: walk back along links between the remaining boxes until a box comes again."""
    key, seen = next(iter(left)), dict[str, bool]()
    while key not in seen:
        seen[key] = True
        target, key = key, next(source for source in sources[key] if source in left)
    raise InvalidValue(f"layout: the link {key} -> {target} closes a cycle")


def check(boxes: Sequence[Box], links: Sequence[Link]) -> None:
    """Raise InvalidValue if boxes and links cannot be laid out."""
    by_key: dict[str, Box] = {}
    _check_sizes([*boxes, *links])
    for box in boxes:
        if box.key in by_key:
            raise InvalidValue(f"layout: there are two boxes {box.key}")
        if box.rank not in (None, 0, -1):
            raise InvalidValue(f"layout: box {box.key} has rank {box.rank}, should be 0, -1 or None")
        by_key[box.key] = box
    for link in links:
        name = f"layout: the link {link.source} -> {link.target}"
        for key in (link.source, link.target):
            if key not in by_key:
                raise InvalidValue(f"{name} has no box {key}")
        if link.port and link.port not in by_key[link.source].ports:
            raise InvalidValue(f"{name} leaves by port {link.port}, which {link.source} does not have")
        if by_key[link.target].rank == 0:
            raise InvalidValue(f"{name} leads back into the first column")
        if by_key[link.source].rank == -1:
            raise InvalidValue(f"{name} leads out of the last column")


def _check_sizes(sized: Sequence[Box | Link]) -> None:
    for item in sized:
        if not (0 <= item.width < inf and 0 <= item.height < inf):
            raise InvalidValue(f"layout: {item} has a size that is not a length")
