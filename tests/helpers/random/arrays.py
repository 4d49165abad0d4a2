"""Random lines: reductions and shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from helpers.random.programs import Builder, Skip


def axes(b: Builder, ndim: int, several: bool = True) -> str:
    """An axis as Python text: None, one of either sign, or a tuple."""
    kinds = ["None"] + ["one"] * 2 * (ndim > 0) + ["tuple"] * (several and ndim > 1)
    kind = b.choose(kinds)
    if kind == "tuple":
        picked = b.rng.permutation(ndim)[: int(b.rng.integers(1, ndim + 1))]
        return str(tuple(int(a) - ndim * b.chance(0.4) for a in picked))
    return str(b.axis(ndim)) if kind == "one" else "None"


def count_of(a: Any, axis: Any) -> int:
    picked = range(np.ndim(a)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return int(np.prod([np.shape(a)[k] for k in picked]))


def reduction(name: str, several: bool = True, empty: bool = True, ddof: bool = False, least: int = 0) -> Any:
    """sum and its like: any axis, keepdims; as function, NumPy's function, or method."""

    def production(b: Builder) -> None:
        x = b.array(fits=lambda a: empty or a.size > 0)
        a = b.values[x]
        axis = axes(b, np.ndim(a), several)
        n = count_of(a, eval(axis))
        if n < least or (not empty and n == 0):
            raise Skip
        options = [f"axis={axis}"] if axis != "None" or b.chance(0.5) else []
        options += ["keepdims=True"] if b.chance(0.3) else []
        options += ["ddof=1"] if ddof and n > 1 and b.chance(0.3) else []
        form = b.choose(FORMS[name])
        b.emit(form.format("".join(f", {o}" for o in options), x=x, m=", ".join(options)), subject=name)

    return production


#: How to write a reduction: ours, NumPy's under each of its names, the method.
FORMS = {
    **{n: [f"F.{n}({{x}}{{}})", f"np.{n}({{x}}{{}})", f"{{x}}.{n}({{m}})"]
       for n in ["sum", "mean", "prod", "max", "min", "var", "std"]},
    "logsumexp": ["F.logsumexp({x}{})"],
    "ptp": ["np.ptp({x}{})"],
}
FORMS["max"].append("np.amax({x}{})")
FORMS["min"].append("np.amin({x}{})")


REDUCED = ["add", "multiply", "maximum", "minimum", "logaddexp"]


def ufunc_reduce(b: Builder) -> None:
    x = b.array(ndim=(1, 2, 3), fits=lambda a: a.size > 0)
    name = b.choose(REDUCED)
    axis = str(b.axis(np.ndim(b.values[x]))) if b.chance(0.6) else "0" if name == "logaddexp" else "None"
    b.emit(f"np.{name}.reduce({x}, axis={axis})", subject=f"np.{name}.reduce")


def norm(b: Builder) -> None:
    x = b.array(ndim=(1, 2), fits=lambda a: a.size > 0)
    ndim = np.ndim(b.values[x])
    options = ["", ", keepdims=True", f", axis={b.axis(ndim)}", f", ord=1, axis={b.axis(ndim)}",
               f", ord=np.inf, axis={b.axis(ndim)}", f", ord=2, axis={b.axis(ndim)}"]  # fmt: skip
    options += [", axis=(0, 1)", ", ord='fro'"] if ndim == 2 else []
    b.emit(f"{b.choose(['F.norm', 'np.linalg.norm'])}({x}{b.choose(options)})", subject="norm")


def along(name: str, *texts: str) -> Any:
    """Functions along one axis, of an array with at least one."""

    def production(b: Builder) -> None:
        x = b.array(ndim=(1, 2, 3), fits=lambda a: a.size > 0)
        axis = b.axis(np.ndim(b.values[x]))
        b.emit(b.choose(texts).format(x, axis=axis), subject=name)

    return production


def shaped(name: str, *texts: str, ndim: Any = (0, 1, 2, 3), least: int = 0) -> Any:
    """Functions that need a rank and nothing else."""

    def production(b: Builder) -> None:
        x = b.array(ndim=ndim, fits=lambda a: least == 0 or min(np.shape(a), default=9) >= least)
        b.emit(b.choose(texts).format(x, k=int(b.rng.integers(-2, 3))), subject=name)

    return production


def reshape(b: Builder) -> None:
    x = b.array()
    shape, size = np.shape(b.values[x]), np.size(b.values[x])
    targets = [(size,), (1, size), (size, 1), shape[::-1]] + [(2, size // 2)] * (size % 2 == 0) + [()] * (size == 1)
    targets += [(-1,), (1, -1)] if size else []
    target = b.choose(targets)
    form = b.choose(["F.reshape({}, shape={})", "np.reshape({}, {})", "{}.reshape({})"])
    b.emit(form.format(x, target), f"np.reshape({x}, {target})", subject="reshape")


def expand_dims(b: Builder) -> None:
    x = b.array(ndim=(0, 1, 2))
    axis = b.choose([0, -1, (0, -1)]) if np.ndim(b.values[x]) < 2 else b.choose([0, 1, -1])
    b.emit(f"{b.choose(['F', 'np'])}.expand_dims({x}, axis={axis})", subject="expand_dims")


def squeeze(b: Builder) -> None:
    x = b.array()
    ones = [k for k, n in enumerate(np.shape(b.values[x])) if n == 1]
    options = ["", *(f", axis={k}" for k in ones), *([f", axis={tuple(ones)}"] if ones else [])]
    form = b.choose(["F.squeeze({}{})", "np.squeeze({}{})"])
    b.emit(form.format(x, b.choose(options)), subject="squeeze")


def transpose(b: Builder) -> None:
    x = b.array()
    order = [int(a) for a in b.rng.permutation(np.ndim(b.values[x]))]
    order = tuple(a - len(order) * b.chance(0.3) for a in order)
    forms = ["F.transpose({x}, axes={o})", "np.transpose({x}, {o})", "{x}.transpose({o})", "{x}.T", "F.transpose({x})"]
    b.emit(b.choose(forms).format(x=x, o=order), subject="transpose")


def swapped(b: Builder, name: str) -> None:
    x = b.array(ndim=(2, 3))
    n = np.ndim(b.values[x])
    i, j = b.axis(n), b.axis(n)
    forms = {
        "swapaxes": ["F.swapaxes({}, axis1={}, axis2={})", "np.swapaxes({}, {}, {})", "{}.swapaxes({}, {})"],
        "moveaxis": ["F.moveaxis({}, source={}, destination={})", "np.moveaxis({}, {}, {})"],
    }
    b.emit(b.choose(forms[name]).format(x, i, j), subject=name)


def mT(b: Builder) -> None:
    x = b.array(ndim=(2, 3))
    b.emit(b.choose(["np.matrix_transpose({})", "{}.mT", "np.linalg.matrix_transpose({})"]).format(x), subject="mT")


def broadcast_to(b: Builder) -> None:
    x = b.array(ndim=(0, 1, 2))
    shape = tuple(int(b.choose([2, 3])) if n == 1 else n for n in np.shape(b.values[x]))
    shape = (2, *shape) if b.chance(0.4) else shape
    b.emit(f"{b.choose(['F', 'np'])}.broadcast_to({x}, shape={shape})", subject="broadcast_to")


def broadcast_arrays(b: Builder) -> None:
    """Of Tensors alone: each result is what its own argument is, and `Builder.reached` goes by whole lines."""
    x = b.tensor(np.shape(b.values[b.array(ndim=(1, 2))]))
    w = b.leaf(np.shape(b.values[x])[-1:], tracked=True)
    first, second = b.fresh(), f"v{len(b.values) + 1}"
    text = f"{first}, {second} = np.broadcast_arrays({x}, {w})"
    b.statement(text, text, "np.broadcast_arrays")
    b.emit(f"{first} * {second}", subject="multiply")


def roll(b: Builder) -> None:
    x = b.array(ndim=(1, 2, 3))
    n, shift = np.ndim(b.values[x]), int(b.rng.integers(-4, 5))
    options = [f"shift={shift}", f"shift={shift}, axis={b.axis(n)}"]
    options += [f"shift=({shift}, 1), axis=(0, 1)", "shift=1, axis=(0, 0)"] if n > 1 else []
    b.emit(f"{b.choose(['F', 'np'])}.roll({x}, {b.choose(options)})", subject="roll")


def pad(b: Builder) -> None:
    x = b.array(ndim=(1, 2))
    n = np.ndim(b.values[x])
    width = b.choose(["1", "(1, 2)", "((0, 1),)" if n == 1 else "((1, 0), (0, 2))", "((2, 1),)"])
    more = b.choose(["", ", constant_values=0.5"])
    b.emit(f"{b.choose(['F', 'np'])}.pad({x}, pad_width={width}{more})", subject="pad")


def flip(b: Builder) -> None:
    x = b.array()
    options = ["", *(f", axis={axes(b, np.ndim(b.values[x]))}" for _ in range(2))]
    b.emit(f"{b.choose(['F', 'np'])}.flip({x}{b.choose(options)})", subject="flip")


def rot90(b: Builder) -> None:
    x = b.array(ndim=(2, 3))
    places = b.choose([", axes=(0, 1)", ", axes=(1, 0)", "", ", axes=(-1, 0)"])
    b.emit(f"{b.choose(['F', 'np'])}.rot90({x}, k={int(b.rng.integers(-3, 6))}{places})", subject="rot90")


def repeat(b: Builder) -> None:
    x = b.array(ndim=(0, 1, 2))
    n = np.ndim(b.values[x])
    axis = b.axis(n) if n and b.chance(0.6) else None
    size = np.size(b.values[x]) if axis is None else np.shape(b.values[x])[axis]
    counts = int(b.rng.integers(0, 3)) if b.chance(0.6) else [int(k) for k in b.rng.integers(0, 3, size)]
    b.emit(f"{b.choose(['F', 'np'])}.repeat({x}, {counts}, axis={axis})", subject="repeat")


def tile(b: Builder) -> None:
    x = b.array(ndim=(0, 1, 2))
    b.emit(f"{b.choose(['F', 'np'])}.tile({x}, {b.choose(['2', '(2,)', '(1, 2)', '(2, 1, 2)', '(2, 1)', '1', '0'])})",
           subject="tile")  # fmt: skip


def diff(b: Builder) -> None:
    x = b.array(ndim=(1, 2))
    axis = b.axis(np.ndim(b.values[x]))
    n = int(b.rng.integers(0, 3))
    if np.shape(b.values[x])[axis] <= n:
        raise Skip
    b.emit(f"{b.choose(['F', 'np'])}.diff({x}, n={n}, axis={axis})", subject="diff")


def diagonal(b: Builder, name: str = "diagonal") -> None:
    x = b.array(ndim=(2, 3))
    places = f"axis1={b.choose([0, -2])}, axis2={b.choose([1, -1])}"
    if np.ndim(b.values[x]) == 3:
        places = b.choose(["axis1=0, axis2=2", "axis1=-1, axis2=0", "axis1=1, axis2=2", "axis1=2, axis2=1"])
    form = b.choose([f"F.{name}({{}}, {{}}, {{}})", f"np.{name}({{}}, {{}}, {{}})", f"{{}}.{name}({{}}, {{}})"])
    b.emit(form.format(x, f"offset={int(b.rng.integers(-2, 3))}", places), subject=name)


PRODUCTIONS: dict[str, Any] = {
    **{n: reduction(n) for n in ("sum", "prod")},
    "mean": reduction("mean", least=1),
    **{n: reduction(n, least=2, ddof=True) for n in ("var", "std")},
    **{n: reduction(n, empty=False) for n in ("max", "min", "logsumexp")},
    "np.ptp": reduction("ptp", empty=False),
    "np.add.reduce": ufunc_reduce,
    "norm": norm,
    "cumsum": along("cumsum", "F.cumsum({}, axis={axis})", "np.cumsum({}, axis={axis})", "{}.cumsum(axis={axis})",
                    "F.cumsum({})", "np.add.accumulate({}, axis={axis})"),
    "sort": along("sort", "F.sort({}, axis={axis})", "np.sort({}, axis={axis})", "np.sort({}, axis=None)"),
    "softmax": along("softmax", "F.softmax({}, axis={axis})", "F.softmax({})"),
    "log_softmax": along("log_softmax", "F.log_softmax({}, axis={axis})", "F.log_softmax({})"),
    "diff": diff,
    "reshape": reshape, "expand_dims": expand_dims, "squeeze": squeeze, "transpose": transpose,
    "swapaxes": lambda b: swapped(b, "swapaxes"),
    "moveaxis": lambda b: swapped(b, "moveaxis"), "np.matrix_transpose": mT, "broadcast_to": broadcast_to,
    "np.broadcast_arrays": broadcast_arrays, "roll": roll, "pad": pad, "flip": flip, "rot90": rot90, "repeat": repeat,
    "tile": tile,
    "ravel": shaped("ravel", "F.ravel({})", "np.ravel({})", "{}.ravel()", "{}.flatten()"),
    **{n: shaped(n, f"F.{n}({{}})", f"np.{n}({{}})") for n in ("atleast_1d", "atleast_2d", "atleast_3d")},
    "fliplr": shaped("fliplr", "F.fliplr({})", "np.fliplr({})", ndim=(2, 3)),
    "flipud": shaped("flipud", "F.flipud({})", "np.flipud({})", ndim=(1, 2, 3)),
    "tril": shaped("tril", "F.tril({}, k={k})", "np.tril({}, k={k})", ndim=(2, 3)),
    "triu": shaped("triu", "F.triu({}, k={k})", "np.triu({}, k={k})", ndim=(2, 3)),
    "diag": shaped("diag", "F.diag({}, k={k})", "np.diag({}, k={k})", ndim=(1, 2)),
    "diagonal": diagonal, "trace": lambda b: diagonal(b, "trace"),
}  # fmt: skip
