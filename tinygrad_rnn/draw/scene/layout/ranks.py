"""How far to the right each box stands: its rank, by the longest way to it.

What hangs on no box of the first column, such as a parameter, stands just before its first use::

    x ---> a ---> b ---> c        ranks 0 1 2 3
                  W -----'        W: 2
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from ....errors import InvalidValue
from .columns import Box, Link


def ranks(boxes: Sequence[Box], links: Sequence[Link]) -> dict[str, int]:
    """The rank of every box: links lead to a higher one. What hangs on no box of the first column is pulled right."""
    by_key = {box.key: box for box in boxes}
    sources: dict[str, list[str]] = {box.key: [] for box in boxes}
    targets: dict[str, list[str]] = {box.key: [] for box in boxes}
    for link in links:
        sources[link.target].append(link.source)
        targets[link.source].append(link.target)
    order = _order(sources, targets)
    found: dict[str, int] = {}
    for key in order:
        found[key] = max((found[source] + 1 for source in sources[key]), default=0)
    last, loose = max(found.values()), dict.fromkeys(order, False)
    for key in order:
        loose[key] = by_key[key].rank is None and all(loose[source] for source in sources[key])
        if by_key[key].rank == -1:
            found[key] = last
    for key in reversed(order):
        if loose[key] and targets[key]:
            found[key] = min(found[target] for target in targets[key]) - 1
    return found


def _order(sources: dict[str, list[str]], targets: dict[str, list[str]]) -> list[str]:
    """The boxes, each after all that lead to it."""
    waiting = {key: len(before) for key, before in sources.items()}
    order = [key for key, count in waiting.items() if count == 0]
    for key in order:  # it grows while it is read
        for target in targets[key]:
            waiting[target] -= 1
            if waiting[target] == 0:
                order.append(target)
    if len(order) < len(sources):
        _complain(sources, {key: count for key, count in waiting.items() if count})
    return order


def _complain(sources: dict[str, list[str]], left: dict[str, int]) -> None:
    """What is left has a link from what is left: walk back along those until a box comes again."""
    key, seen = next(iter(left)), dict[str, bool]()
    while key not in seen:
        seen[key] = True
        target, key = key, next(source for source in sources[key] if source in left)
    raise InvalidValue(f"layout: the link {key} -> {target} goes round in a circle")


def check(boxes: Sequence[Box], links: Sequence[Link]) -> None:
    """An error in plain words if boxes and links can't be laid out."""
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
    for one in sized:
        if not (0 <= one.width < inf and 0 <= one.height < inf):
            raise InvalidValue(f"layout: {one} has a size that is not a length")
