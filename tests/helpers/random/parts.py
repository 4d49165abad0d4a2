"""Random lines: joins, parts, indices and assignments."""

from __future__ import annotations

from typing import Any

import numpy as np

from helpers.random.programs import Builder

# -- joining and parting -----------------------------------------------------------------------------------------------


def joiner(name: str, axis: str = "", ndim: Any = (1, 2), same: bool = False) -> Any:
    """Two or three arrays that agree but along the axis, one of them often twice."""

    def production(b: Builder) -> None:
        x = b.array(ndim=ndim)
        shape, where = np.shape(b.values[x]), None
        if axis:
            n = len(shape) + (name == "stack")
            where = b.axis(n) if b.chance(0.9) or name == "stack" or n == 0 else None
        others = [x] if b.chance(0.4) else []
        others += [
            b.array(shape=shape if same or where is None else _longer(b, shape, where))
            for _ in range(int(b.rng.integers(1, 3)))
        ]
        xs = ", ".join(b.rng.permutation([x, *others]))
        option = f", axis={where}" if axis else ""
        form = b.choose([f"F.{name}([{{}}]{{}})", f"F.{name}({{}}{{}})", f"np.{name}([{{}}]{{}})"])
        b.emit(form.format(xs, option), subject=name)

    return production


def _longer(b: Builder, shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """The same shape with another size along the axis."""
    sizes = list(shape)
    sizes[axis] = int(b.choose([0, 1, 2, 3]))
    return tuple(sizes)


def append(b: Builder) -> None:
    x = b.array(ndim=(1, 2))
    axis = b.axis(np.ndim(b.values[x])) if b.chance(0.6) else None
    w = b.array() if axis is None else b.array(shape=_longer(b, np.shape(b.values[x]), axis))
    b.emit(f"{b.choose(['F', 'np'])}.append({x}, {w}, axis={axis})", subject="append")


def block(b: Builder) -> None:
    x = b.tensor(shape=(2, int(b.choose([1, 2, 3]))))
    w = b.array(shape=np.shape(b.values[x]))
    form = b.choose(["np.block([[{0}, {1}], [{1}, {0}]])", "np.block([{0}[0], 2.0, {1}[1]])"])
    b.emit(form.format(x, w), subject="block")


def joined_by_one(b: Builder) -> None:
    """A joiner of one array."""
    x = b.array(ndim=(1, 2))
    name = b.choose(["concatenate", "stack", "vstack", "hstack", "dstack", "column_stack"])
    b.emit(f"{b.choose(['F', 'np'])}.{name}([{x}])", subject=f"{name} of one")


def parting(name: str, form: str, ndim: Any = (1, 2), axis: int | None = None) -> Any:
    """An array in parts; some of them are used again."""

    def production(b: Builder) -> None:
        x = b.array(ndim=ndim, fits=lambda a: a.size > 0)
        n = np.ndim(b.values[x])
        where = b.axis(n) if axis is None else 0 if axis == 1 and n == 1 else axis
        size = np.shape(b.values[x])[where]
        equal = [k for k in range(1, size + 1) if size % k == 0]
        sections: Any = b.choose(equal) if name != "array_split" else int(b.rng.integers(1, 4))
        sections = b.choose([sections, [1], [1, max(1, size - 1)]])
        if name == "array_split" and b.chance(0.3):
            sections = [2, 1]
        k = int(b.rng.integers(0, len(np.array_split(b.values[x], sections, where))))
        text = form.format(x, sections, axis=where)
        b.emit(f"{b.choose(['F', 'np'])}.{name}({text})[{k}]", subject=name)

    return production


# -- indices ---------------------------------------------------------------------------------------------------------


def index(b: Builder, shape: tuple[int, ...], repeats: bool = True) -> str:
    """An index of an array of that shape as Python text, of any kind that NumPy knows."""
    kinds = ["basic"] * 3 + ["array", "mask", "list", "mixed", "pair", "grid"] * (len(shape) > 0 and 0 not in shape)
    kind = b.choose(kinds)
    n = shape[0] if shape else 0
    if kind == "mask":
        return f"np.array({(b.rng.random(shape[: int(b.rng.integers(1, len(shape) + 1))]) < 0.6).tolist()})"
    if kind in ("array", "list"):
        size: Any = int(b.rng.integers(1, 5)) if kind == "list" or b.chance(0.7) else (2, 2)
        places = _places(b, n, size, repeats).tolist()
        dtypes = ["int64", "int32", "int8", "uint8"][: 4 - (np.min(places, initial=0) < 0)]
        return str(places) if kind == "list" else f"np.array({places}, np.{b.choose(dtypes)})"
    if kind == "mixed":
        parts = [_basic(b, m) for m in shape]
        k = int(b.rng.integers(len(shape)))
        parts[k] = f"np.array({_places(b, shape[k], 3, repeats).tolist()})"
        return f"({', '.join(parts)},)"
    if kind in ("pair", "grid") and len(shape) > 1:
        one, two = _places(b, shape[0], 3, repeats), _places(b, shape[1], 3, repeats)
        if kind == "pair":
            one, two = one[: len(two)], two[: len(one)]
        text = one[:, None].tolist() if kind == "grid" else one.tolist()
        return f"(np.array({text}), np.array({two.tolist()}))"
    parts = [_basic(b, m) for m in shape[: int(b.rng.integers(0, len(shape) + 1))]]
    if b.chance(0.25):
        parts.insert(int(b.rng.integers(0, len(parts) + 1)), "None")
    if b.chance(0.25):
        parts = ["...", *[_basic(b, m) for m in shape[len(shape) - len(parts) :][: len(parts)]]]
    return f"({', '.join(parts)},)" if parts else "()"


def _places(b: Builder, n: int, size: Any, repeats: bool) -> Any:
    """Places from -n to n - 1; repeated ones if they may be."""
    if not repeats:
        size = min(n, size if isinstance(size, int) else int(np.prod(size)))
        return b.rng.permutation(n)[:size]
    places = b.rng.integers(-n, n, size)
    return places if b.chance(0.5) else np.abs(places) % n


def _basic(b: Builder, n: int) -> str:
    """An integer, or a slice with ends and steps of either sign."""
    if n and b.chance(0.35):
        return str(int(b.rng.integers(-n, n)))
    ends = [str(int(b.rng.integers(-n - 1, n + 2))) if b.chance(0.5) else "" for _ in range(2)]
    step = b.choose(["", "", "", "-1", "2", "-2"])
    return f"slice({ends[0] or None}, {ends[1] or None}, {step or None})"


def getitem(b: Builder) -> None:
    x = b.array()
    at = index(b, np.shape(b.values[x]))
    if at == "()" or at.startswith("["):
        b.emit(f"{x}[{at}]", subject="getitem")
    else:
        b.emit(b.choose([f"{x}[{at}]", f"F.getitem({x}, index={at})"]), subject="getitem")


def by_order(b: Builder) -> None:
    x = b.array(ndim=(1,), fits=lambda a: a.size > 0)
    b.emit(f"{x}[{b.choose(['np.argsort({})', '{}.argsort()', '({} > 0.2)']).format(x)}]", subject="getitem")


def target(b: Builder) -> tuple[str, str, str, Any]:
    """A shape, an index into it, and a value that fits there."""
    shape = b.shape(int(b.choose([1, 2, 2])))
    at = index(b, shape, repeats=False)
    part = np.zeros(shape)[eval(at)]
    choices = [np.shape(part), np.shape(part), (), np.shape(part)[1:]]
    v = b.array(shape=b.choose(choices)) if b.chance(0.9) else "0.25"
    return shape, at, v, part


def scatter(b: Builder) -> None:
    shape = b.shape(int(b.choose([1, 2])))
    at = index(b, shape)
    part = np.zeros(shape)[eval(at)]
    v = b.array(shape=np.shape(part))
    b.emit(f"F.scatter({v}, index={_arrays(at)}, shape={shape})", subject="scatter")


def _arrays(at: str) -> str:
    """The index with a list as an array: our functions take no list where NumPy has one meaning for it."""
    return f"np.array({at})" if at.startswith("[") else at


def assign(b: Builder) -> None:
    shape, at, v, _ = target(b)
    x = b.array(shape=shape)
    b.emit(f"F.assign({v}, {x}, index={_arrays(at)})", subject="assign")


def setitem(b: Builder) -> None:
    """``h[i] = v`` on a fresh Tensor, on a copy, or on a value that was read before."""
    shape, at, v, _ = target(b)
    kind = b.choose(["zeros", "copy", "made"])
    if kind == "zeros" and v.startswith("v"):
        dtype = b.values[v].dtype
        h = b.emit(f"F.zeros({shape}, dtype=np.{dtype}, like={v})", subject="zeros")
    elif kind == "copy":
        h = b.emit(f"F.copy({b.tensor(shape=shape)})", subject="copy")
    else:
        h = b.emit(f"np.sin({b.tensor(shape=shape)})", subject="sin")
        before = b.emit(f"{h} * 0.5 + 1", subject="multiply")
        b.statement(f"{h}[{at}] = {v}", f"{h} = F.assigned({h}, {at}, {v})", "x[...] = v")
        b.emit(f"{before} * {h}", subject="multiply")
        return
    for _ in range(int(b.choose([1, 1, 2]))):
        b.statement(f"{h}[{at}] = {v}", f"{h} = F.assigned({h}, {at}, {v})", "x[...] = v")
    b.emit(f"{h} * 1.5", subject="multiply")


IN_PLACE = ["+", "-", "*", "/", "**", "%"]


def in_place(b: Builder) -> None:
    """``h += w`` and its like on a computed value, with readers before and after."""
    h = b.emit(f"np.tanh({b.tensor()}) + 2", subject="tanh")
    shape = np.shape(b.values[h])
    before = b.emit(f"np.exp({h} * 0.3)", subject="exp") if b.chance(0.6) else ""
    symbol = b.choose(IN_PLACE)
    w = b.array(0.6, 2, shape=shape) if b.chance(0.6) else b.choose(["1.25", "2.5"])
    w = h if b.chance(0.15) and symbol in "+*" else w
    b.statement(f"{h} {symbol}= {w}", f"{h} = F.like({h} {symbol} {w}, {h})", f"x {symbol}= w")
    b.emit(f"{h} * {before or h}", subject="multiply")


def embedding(b: Builder) -> None:
    W = b.array(ndim=(1, 2), fits=lambda a: a.shape[0] > 0)
    ids = b.integers(b.shape(most=2), 0, len(b.values[W]))
    b.emit(f"F.embedding({W}, {ids})", f"{W}[{ids}]", subject="embedding")


def take(b: Builder) -> None:
    x = b.array(fits=lambda a: a.size > 0)
    n = np.ndim(b.values[x])
    axis = b.axis(n) if n and b.chance(0.7) else None
    size = np.size(b.values[x]) if axis is None else np.shape(b.values[x])[axis]
    picked = _places(b, size, b.choose([3, (2, 2), ()]), True).tolist()
    form = b.choose(["F.take({}, {}, axis={})", "np.take({}, {}, axis={})", "{}.take({}, axis={})"])
    b.emit(form.format(x, f"np.array({picked})", axis), subject="take")


def take_along_axis(b: Builder) -> None:
    x = b.array(ndim=(1, 2, 3), fits=lambda a: a.size > 0)
    shape = list(np.shape(b.values[x]))
    axis = b.axis(len(shape))
    size = shape[axis]
    shape[axis] = int(b.choose([1, 2, 3]))
    picked = b.rng.integers(-size, size, shape).tolist()
    b.emit(f"{b.choose(['F', 'np'])}.take_along_axis({x}, np.array({picked}), axis={axis})", subject="take_along_axis")


def iterate(b: Builder) -> None:
    x = b.array(ndim=(1, 2), fits=lambda a: len(a) > 0)
    b.emit(f"sum([row * 0.5 for row in {x}])", subject="iteration")


PRODUCTIONS: dict[str, Any] = {
    "concatenate": joiner("concatenate", "axis"), "stack": joiner("stack", "axis", (0, 1, 2), same=True),
    "vstack": joiner("vstack", same=True), "hstack": joiner("hstack", ndim=(0, 1, 2), same=True),
    "dstack": joiner("dstack", same=True), "column_stack": joiner("column_stack", same=True), "append": append,
    "a joiner of one": joined_by_one, "np.block": block,
    "split": parting("split", "{}, {}, axis={axis}"), "array_split": parting("array_split", "{}, {}, axis={axis}"),
    "hsplit": parting("hsplit", "{}, {}", axis=1), "vsplit": parting("vsplit", "{}, {}", ndim=(2,), axis=0),
    "getitem": getitem, "getitem by order": by_order, "scatter": scatter, "assign": assign, "x[...] = v": setitem,
    "x += w": in_place, "embedding": embedding, "take": take, "take_along_axis": take_along_axis,
    "iteration": iterate,
}  # fmt: skip
