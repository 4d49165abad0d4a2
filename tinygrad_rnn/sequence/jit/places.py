"""Where the elements of a value lie: in which array, at which step, and at which indices.

A view (a slice, a transposition) has no memory; its place is one in the array that it is a view of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

#: The index along an axis of an array: ``offset + step * index``, with the index of axis ``axis`` of the value.
#: ``axis`` is None where the offset is all.
Axis = tuple[int, int, "int | None"]


@dataclass(frozen=True)
class Place:
    """``array[step, ...]``; ``step`` is the text of the index of time, "" for an array without time."""

    array: str
    step: str
    shape: tuple[int, ...]  # of the array, without time
    axes: tuple[Axis, ...]

    def index(self, indices: Sequence[str]) -> str:
        """The text of an element of the value."""
        texts = [self.step] * bool(self.step)
        for offset, step, axis in self.axes:
            if axis is None or indices[axis] == "0":
                texts.append(str(offset))
            else:
                text = indices[axis] if step == 1 else f"{step} * {indices[axis]}"
                texts.append(text + f" + {offset}" * bool(offset))
        return f"{self.array}[{', '.join(texts) or '()'}]"

    def strides(self) -> dict[int, int]:
        """The distance of neighbours along each axis of the value, in numbers."""
        result, size = dict[int, int](), 1
        for (_, step, axis), length in zip(self.axes[::-1], self.shape[::-1]):
            if axis is not None:
                result[axis] = step * size
            size *= length
        return result

    def start(self) -> str:
        """The text of the place of the first element, in numbers from the beginning of the array."""
        start, size = 0, 1
        for (offset, _, _), length in zip(self.axes[::-1], self.shape[::-1]):
            start, size = start + offset * size, size * length
        return f"({self.step}) * {size} + {start}" if self.step else str(start)


def whole(array: str, step: str, shape: tuple[int, ...]) -> Place:
    """The place of a value that is all of an array, or all of one of its steps."""
    return Place(array, step, shape, tuple((0, 1, axis) for axis in range(len(shape))))


def part(place: Place, start: int, along: int) -> Place:
    """The place of a value that begins at ``start`` of the axis ``along``."""
    return replace(place, axes=tuple((offset + start * step * (axis == along), step, axis)
                                     for offset, step, axis in place.axes))  # fmt: skip


def viewed(op: str, attrs: Mapping[str, Any], place: Place, shape: tuple[int, ...]) -> Place | None:
    """The place of a view of the value at ``place``, which has ``shape``; None if its indices are not of this form."""
    rank = len(shape)
    if op in ("detach", "copy"):
        return place
    if op in ("getitem", "expand_dims", "squeeze"):
        return _through(place, _entries(_index(op, attrs, shape), shape))
    order = list(range(rank))
    if op == "transpose":
        order = list(attrs.get("axes") or order[::-1])
    elif op == "swapaxes":
        a, b = attrs["axis1"] % rank, attrs["axis2"] % rank
        order[a], order[b] = order[b], order[a]
    else:
        return None
    return _through(place, [(0, 1, order.index(axis)) for axis in range(rank)])


def _index(op: str, attrs: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    """The index of a slice; that which adds or removes axes of length 1."""
    if op == "getitem":
        return attrs["index"]
    axis = attrs.get("axis")
    axes = axis if isinstance(axis, tuple) else () if axis is None else (axis,)
    rank = len(shape) + len(axes) * (op == "expand_dims")
    places = [k % rank for k in axes] if axis is not None else [k for k, n in enumerate(shape) if n == 1]
    return tuple((None if op == "expand_dims" else 0) if k in places else slice(None) for k in range(rank))


def _entries(index: Any, shape: tuple[int, ...]) -> list[Axis]:
    """For each axis of a value, where a basic index takes it from."""
    entries = list(index) if isinstance(index, tuple) else [index]
    taken = sum(entry is not None and entry is not Ellipsis for entry in entries)
    rest = [slice(None)] * (len(shape) - taken)
    k = next((k for k, entry in enumerate(entries) if entry is Ellipsis), len(entries))
    result: list[Axis] = []
    axis = 0
    for entry in [*entries[:k], *rest, *entries[k + 1 :]]:
        length = shape[len(result)] if len(result) < len(shape) else 1
        if isinstance(entry, slice):
            start, _, step = entry.indices(length)
            result.append((start, step, axis))
        elif entry is not None:
            result.append((int(entry) % length, 1, None))
        axis += entry is None or isinstance(entry, slice)
    return result


def _through(place: Place, entries: Sequence[Axis]) -> Place:
    """``place`` with the axes of its value replaced by ``entries``."""
    axes: list[Axis] = []
    for offset, step, axis in place.axes:
        if axis is None:
            axes.append((offset, step, None))
        else:
            start, stride, new = entries[axis]
            axes.append((offset + start * step, step * stride, new))
    return replace(place, axes=tuple(axes))
