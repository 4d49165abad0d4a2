"""Random lines: products, losses, recurrent cells, and functions of functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from helpers.random import cells as cells_at_random
from helpers.random.programs import Builder, Skip


def matmul(b: Builder) -> None:
    """Every pair of ranks; batches that broadcast."""
    n, d, h = (int(b.choose([0, 1, 2, 3, 4, 9])) if b.chance(0.3) else int(b.choose([2, 3])) for _ in range(3))
    left, right = b.choose([(1, 1), (1, 2), (2, 1), (2, 2), (2, 2), (3, 2), (3, 1), (1, 3), (3, 3), (2, 3)])
    x = {1: (d,), 2: (n, d), 3: (b.choose([1, 2]), n, d)}[left]
    w = {1: (d,), 2: (d, h), 3: (b.choose([1, 2]), d, h)}[right]
    names = b.array(shape=x), b.array(shape=w)
    b.emit(b.choose(["({} @ {})", "F.matmul({}, {})", "np.matmul({}, {})"]).format(*names), subject="matmul")


def square(b: Builder) -> None:
    """A product with itself or its transpose."""
    x = b.array(ndim=(1, 2))
    b.emit(b.choose(["{0} @ {0}.T", "{0}.T @ {0}"]).format(x), subject="matmul")


def in_place_product(b: Builder) -> None:
    d = int(b.choose([1, 2, 3]))
    h = b.emit(f"np.sin({b.tensor(shape=(2, d))})", subject="sin")
    w = b.array(shape=(d, d))
    b.statement(f"{h} @= {w}", f"{h} = F.like({h} @ {w}, {h})", "x @= w")


def affine(b: Builder) -> None:
    d, h = int(b.choose([1, 2, 3])), int(b.choose([1, 2, 4]))
    x = b.array(shape=b.choose([(d,), (2, d), (2, 3, d), (0, d)]))
    b.emit(f"F.affine({x}, {b.array(shape=(d, h))}, {b.array(shape=(h,))})", subject="affine")


def dot(b: Builder) -> None:
    d = int(b.choose([1, 2, 3]))
    x, w = b.choose([((d,), (d,)), ((2, d), (d, 3)), ((2, d), (d,)), ((), (2, 3)), ((2, 2), ()), ((2, d), (2, d, 2)),
                     ((2, 2, d), (d, 2)), ((0, d), (d, 2))])  # fmt: skip
    x, w = b.tensor(shape=x), b.array(shape=w)
    b.emit(b.choose(["F.dot({}, {})", "np.dot({}, {})", "{}.dot({})"]).format(x, w), f"np.dot({x}, {w})", subject="dot")


def inner(b: Builder) -> None:
    d = int(b.choose([1, 2, 3]))
    x, w = b.choose([((d,), (d,)), ((2, d), (3, d)), ((), (2, 3)), ((2, d), (d,)), ((2, 2, d), (2, d))])
    b.emit(f"{b.choose(['F', 'np'])}.inner({b.array(shape=x)}, {b.array(shape=w)})", subject="inner")


def outer(b: Builder) -> None:
    b.emit(f"{b.choose(['F', 'np'])}.outer({b.array(ndim=(0, 1, 2))}, {b.array(ndim=(1,))})", subject="outer")


def kron(b: Builder) -> None:
    n = int(b.choose([1, 2]))
    b.emit(f"{b.choose(['F', 'np'])}.kron({b.array(ndim=(n,))}, {b.array(ndim=(n,))})", subject="kron")


def vdot(b: Builder) -> None:
    x = b.array(ndim=(1, 2))
    w = b.array(shape=np.shape(b.values[x]))
    b.emit(f"np.{b.choose(['vdot', 'vecdot'])}({x}, {w})", subject="np.vdot")


def matvec(b: Builder) -> None:
    x, w = b.array(shape=(2, 3)), b.array(shape=b.choose([(3,), (2, 3)]))
    if b.chance(0.5):
        b.emit(f"np.matvec({x}, {w})", subject="np.matvec")
    else:
        b.emit(f"np.vecmat({w}, {b.array(shape=(3, 2))})", subject="np.vecmat")


def tensordot(b: Builder) -> None:
    a, c = int(b.choose([1, 2, 3])), int(b.choose([0, 2, 3]))
    cases = [((a, c), (c, 2), "1"), ((2, a, c), (a, c, 2), "2"), ((a, 2), (3, a), "([0], [1])"), ((2,), (3,), "0"),
             ((2, a, 3), (a, 3, 2), "([1, 2], [0, 1])"), ((2, a, 3), (3, a), "([-1, 1], [0, -1])"), ((a,), (a,), "1"),
             ((a, 2), (3, a), "(0, 1)")]  # fmt: skip
    x, w, axes = b.choose(cases)
    x, w = b.array(shape=x), b.array(shape=w)
    b.emit(f"{b.choose(['F', 'np'])}.tensordot({x}, {w}, axes={axes})", subject="tensordot")


def einsum(b: Builder) -> None:
    """Random subscripts of one to three operands: labels summed or kept, repeated ones, ``...``, sizes of 1."""
    sizes = {c: int(b.choose([1, 2, 3])) for c in "ijkl"}
    terms, shapes = [], []
    for _ in range(int(b.choose([1, 2, 2, 3]))):
        labels = [str(c) for c in b.rng.permutation(list("ijkl"))[: int(b.rng.integers(0, 4))]]
        if labels and b.chance(0.12) and len(labels) < 3:
            labels.append(labels[0])
        shape = [1 if b.chance(0.06) else sizes[c] for c in labels]
        if b.chance(0.12):
            labels, shape = ["...", *labels], [2, *shape]
        terms.append("".join(labels))
        shapes.append(tuple(shape))
    letters = [c for c in "ijkl" if any(c in term for term in terms)]
    result = "".join(str(c) for c in b.rng.permutation(letters)[: int(b.rng.integers(0, 3))])
    arrow = f"->{'...' * any('...' in t for t in terms)}{result}" if b.chance(0.8) else ""
    names = [b.array(shape=shape) for shape in shapes]
    try:
        np.einsum(",".join(terms) + arrow, *(np.asarray(b.values[n]) for n in names))
    except ValueError:
        raise Skip from None
    form = b.choose(["F.einsum({!r}, {})", "np.einsum({!r}, {})"])
    b.emit(form.format(",".join(terms) + arrow, ", ".join(names)), subject="einsum")


# -- losses ----------------------------------------------------------------------------------------------------------


def mean_squared_error(b: Builder) -> None:
    x = b.array(fits=lambda a: a.size > 0)
    shape = np.shape(b.values[x])
    t = b.array(shape=b.choose([shape, shape[1:]])) if b.chance(0.8) or b.program.tight else b.integers(shape)
    if not b.program.tight and b.values[t].dtype.kind == "f" and b.values[t].dtype != b.values[x].dtype:
        raise Skip
    b.emit(f"F.mean_squared_error({x}, {t})", subject="mean_squared_error")


def binary_cross_entropy(b: Builder) -> None:
    x = b.array(fits=lambda a: a.size > 0)
    shape = np.shape(b.values[x])
    t = b.array(0.05, 0.95, shape=shape) if b.program.tight else b.integers(shape, 0, 2)
    b.emit(f"F.binary_cross_entropy({x}, {t})", subject="binary_cross_entropy")


def _labels(b: Builder, shape: Any, V: int) -> str:
    labels = b.rng.integers(-1 if b.chance(0.4) else 0, V, shape)
    return b.add(np.asarray(labels).astype(b.choose([np.int64, np.int32, np.int8])))


def softmax_cross_entropy(b: Builder) -> None:
    x = b.array(ndim=(1, 2, 3), fits=lambda a: a.size > 0)
    shape = np.shape(b.values[x])
    b.emit(f"F.softmax_cross_entropy({x}, {_labels(b, shape[:-1], shape[-1])})", subject="softmax_cross_entropy")


def affine_cross_entropy(b: Builder) -> None:
    d, V = int(b.choose([1, 2, 3])), int(b.choose([1, 2, 4]))
    rows = b.choose([(), (2,), (2, 2)])
    x, w, bias = b.array(shape=(*rows, d)), b.array(shape=(d, V)), b.array(shape=(V,))
    b.emit(f"F.affine_cross_entropy({x}, {w}, {bias}, {_labels(b, rows, V)})", subject="affine_cross_entropy")


# -- functions of functions --------------------------------------------------------------------------------------------

#: A function of NumPy, its first and its second derivative.
CURVES = {
    "np.sin({})": ("np.cos({})", "-np.sin({})"),
    "np.exp({} * 0.5)": ("np.exp({} * 0.5) * 0.5", "np.exp({} * 0.5) * 0.25"),
    "{} ** 3": ("{} ** 2 * 3", "{} * 6"),
    "np.tanh({})": ("(1 - np.tanh({0}) ** 2)", "(-2 * np.tanh({0}) * (1 - np.tanh({0}) ** 2))"),
}


def _curve(b: Builder) -> tuple[str, str, str]:
    f = b.choose(list(CURVES))
    return f, *CURVES[f]


def _input(b: Builder, ndim: Sequence[int]) -> str:
    """A Tensor: given arrays only, a transform gives arrays, which carry no gradient of what f closes over."""
    return b.tensor(np.shape(b.values[b.array(ndim=ndim)]))


def nested_grad(b: Builder) -> None:
    """A gradient in the middle of a program."""
    x = _input(b, (1, 2))
    w = b.array(shape=np.shape(b.values[x]))
    f, df, _ = _curve(b)
    inside = f"lambda z: np.sum({f.format('z')} * {w})"
    form = b.choose([f"tg.grad({inside})({x})", f"tg.value_and_grad({inside})({x})[1]",
                     f"tg.grad(lambda u, z: ({inside})(z), argnums=1)(1.5, {x})"])  # fmt: skip
    b.emit(form, f"F.like(({df.format(x)}) * {w}, {x})", subject="value_and_grad" if "value_and" in form else "grad")


def nested_vjp(b: Builder) -> None:
    x = _input(b, (0, 1, 2, 3))
    w = b.array(shape=np.shape(b.values[x]))
    f, df, _ = _curve(b)
    b.emit(f"tg.vjp(lambda z: {f.format('z')} * 1.5, {x})[1]({w})[0]",
           f"F.like(({df.format(x)}) * {w} * 1.5, {x})", subject="vjp")


def nested_jvp(b: Builder) -> None:
    x = _input(b, (0, 1, 2, 3))
    w = b.array(shape=np.shape(b.values[x]))
    f, df, _ = _curve(b)
    b.emit(f"tg.jvp(lambda z: {f.format('z')}, ({x},), ({w},))[1]", f"F.like(({df.format(x)}) * {w}, {x})",
           subject="jvp")


def nested_hvp(b: Builder) -> None:
    x = _input(b, (0, 1, 2, 3))
    w = b.array(shape=np.shape(b.values[x]))
    f, _, ddf = _curve(b)
    b.emit(f"tg.hvp(lambda z: np.sum({f.format('z')}), {x}, {w})", f"F.like(({ddf.format(x)}) * {w}, {x})",
           subject="hvp")


def nested_jacobian(b: Builder) -> None:
    x = _input(b, (1,))
    f, df, ddf = _curve(b)
    if b.chance(0.5):
        b.emit(f"tg.jacobian(lambda z: {f.format('z')})({x})", f"np.diag({df.format(x)})", subject="jacobian")
    else:
        text = f"tg.hessian(lambda z: np.sum({f.format('z')}))({x})"
        b.emit(text, f"np.diag({ddf.format(x)})", subject="hessian")


def checkpoint(b: Builder) -> None:
    """A function run again in the backward pass; one input may come twice, one may be closed over."""
    x = b.array()
    w = b.array(shape=np.shape(b.values[x])) if b.chance(0.8) else x
    other = b.array(shape=np.shape(b.values[x]))
    body = b.choose(["np.sin(p) * q", "np.exp(p * 0.3) + q * p", f"np.tanh(p * {other}) * q", "p * q * p"])
    b.emit(f"tg.checkpoint(lambda p, q: {body})({x}, {w})", f"(lambda p, q: {body})({x}, {w})", subject="checkpoint")


def scope(b: Builder) -> None:
    name = b.fresh()
    text = f"{name} = np.sin({b.array()}) * 2"
    b.statement(f"with tg.scope('part'): {text}", text, "scope")


PRODUCTIONS: dict[str, Any] = {
    "matmul": matmul, "x @ x.T": square, "x @= w": in_place_product,
    "affine": affine, "dot": dot, "inner": inner, "outer": outer, "kron": kron,
    "np.vdot": vdot, "tensordot": tensordot, "einsum": einsum,
    "mean_squared_error": mean_squared_error, "binary_cross_entropy": binary_cross_entropy,
    "softmax_cross_entropy": softmax_cross_entropy, "affine_cross_entropy": affine_cross_entropy,
    "grad": nested_grad, "value_and_grad": nested_grad, "vjp": nested_vjp, "jvp": nested_jvp, "hvp": nested_hvp,
    "jacobian": nested_jacobian, "hessian": nested_jacobian, "checkpoint": checkpoint, "scope": scope,
    "scan": cells_at_random.scan, "a built-in cell": cells_at_random.built,
}  # fmt: skip
if hasattr(np, "matvec"):  # from NumPy 2.2 on
    PRODUCTIONS["np.matvec"] = matvec
