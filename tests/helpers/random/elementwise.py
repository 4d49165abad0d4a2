"""Random lines: elementwise operations, activations, dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np

from helpers.op_samples import INNER
from helpers.random.programs import Builder, Skip
from tinygrad_rnn.engine.numpy_protocol import FUNCTIONS, UFUNCS
from tinygrad_rnn.engine.op import OPS, Op
from tinygrad_rnn.engine.shape import broadcast

OPERATORS = {
    "add": "({} + {})", "subtract": "({} - {})", "multiply": "({} * {})", "divide": "({} / {})", "power": "({} ** {})",
    "remainder": "({} % {})", "negative": "(-{})", "positive": "(+{})", "abs": "abs({})",
}  # fmt: skip


def forms(spec: Op) -> list[str]:
    """The ways to call it: our function, NumPy's, the operator."""
    holes = ", ".join(["{}"] * len(spec.arguments))
    texts = [f"F.{spec.name}({holes})"]
    namesakes = [f for f, made in {**UFUNCS, **FUNCTIONS}.items() if made is spec.function and hasattr(f, "__name__")]
    texts += [f"np.{f.__name__}({holes})" for f in namesakes]
    return texts + ([OPERATORS[spec.name]] * 2 if spec.name in OPERATORS else [])


def _is(spec: Op, count: int) -> bool:
    elementwise = not spec.attributes and spec.shape is broadcast
    return elementwise and len(spec.arguments) == count and spec.name not in INNER


UNARY = [s for s in OPS.values() if _is(s, 1)]
BINARY = [s for s in OPS.values() if _is(s, 2)]


def unary(spec: Op) -> Any:
    def production(b: Builder) -> None:
        x = b.array(*spec.domain)
        form = b.choose(forms(spec))
        if form.startswith("np.") and isinstance(b.values[x], np.generic) and b.chance(0.5):
            form = forms(spec)[0]
        b.emit(form.format(x), subject=spec.name)

    return production


def operand(b: Builder, x: str, low: float, high: float) -> str:
    """The other operand: the same value, one that broadcasts with it, a number, integers, truth values or a list."""
    kind = b.choose(["array"] * 5 + ["itself", "number", "integer", "integers", "booleans", "list", "scalar"])
    shape = _partner_shape(b, np.shape(b.values[x]))
    if kind == "itself":
        return b.within(x, low, high)
    if kind == "number":
        return str(round(float(b.rng.uniform(low, high)), 3) + 0.0003)
    if kind == "integer":
        return str(int(b.choose([n for n in (-1, 1, 2, 3) if low <= n <= high])))
    if kind == "integers":
        return b.integers(shape, max(int(np.ceil(low)), 0), int(high) + 1)
    if kind == "booleans" and low < 0:
        return b.booleans(shape)
    if kind == "list" and 0 < len(shape) < 3 and 0 not in shape and np.ndim(b.values[x]):  # Python's own: [1.0] * y
        return str(b.numbers(shape, low, high).tolist())
    if kind == "scalar":
        bits = 64 if b.program.tight else b.choose([32, 64])
        return f"np.float{bits}({round(float(b.rng.uniform(low, high)), 3)})"

    def fits(a: Any) -> bool:
        try:
            return len(np.broadcast_shapes(np.shape(a), np.shape(b.values[x]))) <= 3
        except ValueError:
            return False

    names = b.floats(fits)
    return b.within(b.choose(names), low, high) if b.chance(0.7) else b.leaf(shape, low, high)


def _partner_shape(b: Builder, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that broadcasts with it: fewer axes, stretched ones, or one more."""
    fewer = int(b.rng.integers(0, len(shape) + 1)) if b.chance(0.3) else 0
    sizes = [1 if b.chance(0.25) else n for n in shape][fewer:]
    if len(sizes) < 3 and b.chance(0.1) and len(sizes) == len(shape):
        sizes = [2, *sizes]
    return tuple(sizes)


def binary(spec: Op) -> Any:
    def production(b: Builder) -> None:
        low, high = spec.domain
        x = b.array(low, high)
        w = operand(b, x, low, high)
        first, second = (w, x) if b.chance(0.4) else (x, w)
        if spec.name == "copysign" and not np.all(b.values.get(second, 1)):
            raise Skip  # which sign a zero has is nobody's affair
        form = b.choose(forms(spec))
        b.emit(form.format(first, second), subject=spec.name)

    return production


def hadamard(b: Builder) -> None:
    x = b.array()
    w = b.array(shape=np.shape(b.values[x])) if b.chance(0.8) else x
    b.emit(f"F.hadamard({x}, {w})", subject="hadamard")


def ufunc_outer(b: Builder) -> None:
    name = b.choose([spec.name for spec in BINARY if isinstance(getattr(np, spec.name, None), np.ufunc)])
    low, high = OPS[name].domain
    x, w = b.array(low, high, ndim=(0, 1)), b.array(low, high, ndim=(0, 1, 2))
    if name == "copysign" and not np.all(b.values[w]):
        raise Skip  # which sign a zero has is nobody's affair
    b.emit(f"np.{name}.outer({x}, {w})", subject=f"np.{name}.outer")


def leaky_relu(b: Builder) -> None:
    b.emit(f"F.leaky_relu({b.array()}{b.choose(['', ', slope=0.2', ', slope=-0.5'])})", subject="leaky_relu")


def elu(b: Builder) -> None:
    b.emit(f"F.elu({b.array()}{b.choose(['', ', alpha=0.5'])})", subject="elu")


def clip(b: Builder) -> None:
    x = b.array()
    b.emit(b.choose(["F.clip({}, min=-0.5, max=0.7)", "F.clip({}, min=0.1)", "F.clip({}, max=0.3)",
                     "np.clip({}, -0.4, 0.9)", "{}.clip(-0.4, 0.9)", "np.clip({}, None, 0.5)"]).format(x),
           subject="clip")  # fmt: skip


def clip_by_tensors(b: Builder) -> None:
    x = b.array(ndim=(1, 2))
    low, high = (b.leaf(np.shape(b.values[x])[-1:], *ends) for ends in ((-1, -0.2), (0.2, 1)))
    b.emit(f"np.clip({x}, {low}, {high})", subject="np.clip of Tensors")


def astype(b: Builder) -> None:
    x = b.array()
    kind = "float64" if b.program.tight else b.choose(["float64", "float32", "float16"])
    form = b.choose(["F.astype({}, dtype=np.{})", "{}.astype(np.{})", "np.astype({}, np.{})"]).format(x, kind)
    b.emit(form, f"F.astype({x}, np.{kind})", subject="astype")


def to_integers(b: Builder) -> None:
    """Through integers, where the gradient is 0."""
    x = b.array(-3, 3)
    y = b.emit(f"F.astype({x} * 3, dtype=np.int64)", f"F.astype({x} * 3, np.int64)", subject="astype")
    b.emit(f"{y} * {b.array(shape=np.shape(b.values[x]))}", subject="multiply")


def dropout(b: Builder) -> None:
    rate, seed = b.choose([0.0, 0.3, 0.5]), int(b.rng.integers(99))
    b.emit(f"F.dropout({b.array()}, rate={rate}, rng=np.random.default_rng({seed}))", subject="dropout")


def where(b: Builder) -> None:
    x = b.array()
    w = operand(b, x, -3, 3)
    other = b.values[w] if w in b.values else eval(w, {"np": np})
    shape = np.broadcast_shapes(np.shape(b.values[x]), np.shape(other))
    c = b.booleans(_partner_shape(b, shape)) if b.chance(0.6) else f"({x} > 0.1)"
    first, second = (x, w) if b.chance(0.5) else (w, x)
    if w.startswith("["):
        first, second = x, f"np.array({w})"
    b.emit(f"{b.choose(['F', 'np'])}.where({c}, {first}, {second})", subject="where")


def select(b: Builder) -> None:
    x = b.array()
    shape = np.shape(b.values[x])
    w = b.array(shape=shape)
    b.emit(f"{b.choose(['F', 'np'])}.select([{x} > 0.3, {w} > 0.1], [{x}, {w}], 0.5)", subject="select")


def copy(b: Builder) -> None:
    x = b.array()
    form = b.choose(["F.copy({})", "np.copy({})", "{}.copy()"])
    b.emit(form.format(x), subject="copy")


def detached(b: Builder) -> None:
    x, name = b.array(), b.fresh()
    b.emit(f"F.detach({x}, '{name}')", subject="detach")
    other = b.array(shape=np.shape(b.values[name]))
    b.emit(f"{name} * {other} + {x}", subject="multiply")


def unrecorded(b: Builder) -> None:
    x, name = b.array(), b.fresh()
    text = f"{name} = F.detach(np.sin({x}), '{name}')"
    b.statement(f"with tg.no_grad(): {text}", text, "no_grad")
    b.emit(f"{name} * {b.array(shape=np.shape(b.values[name]))}", subject="multiply")


#: NumPy's functions whose result has no gradient, as a factor in the middle of a program.
PLAIN = [
    "(np.argpartition({x},0).size>0)",
    "np.argmax({x})", "np.argmin({x})", "{x}.argmin()", "np.count_nonzero({x}>0.3)", "np.size({x})", "np.ndim({x})",
    "len(np.shape({x}))", "np.zeros_like({x})", "np.ones_like({x})", "np.full_like({x},0.5)",
    "np.empty_like({x}).size", "np.nonzero({x}>0.1)[0].size", "np.argwhere({x}>0.1).size",
    "np.flatnonzero({x}>0.1).size", "np.any({x}>0.2)", "np.all({x}>0.2)", "np.array_equal({x},{x})",
    "np.array_equiv({x},{x})", "np.allclose({x},{x})", "np.isclose({x},0.3)", '(np.result_type({x}).kind!="i")',
    "np.can_cast({x},object)", "np.may_share_memory({x},{x})", "np.shares_memory({x},{x})",
    "(len(np.array2string({x}))>0)", "(len(np.array_repr({x}))>0)", "(len(np.array_str({x}))>0)", "np.round({x})",
    "np.around({x},1)", "np.searchsorted([-1,0.1,1],{x})", "np.digitize({x},[-1,0.1,1])",
    "np.bincount([0,1,1]).max()", "(np.iscomplexobj({x})|np.isrealobj({x}))", "np.isnan({x})", "np.isinf({x})",
    "np.isfinite({x})", "np.signbit({x})", "np.logical_and({x}>0,{x}<1)", "np.logical_or({x}>0,{x}<-1)",
    "np.logical_not({x}>0.1)", "np.logical_xor({x}>0,{x}>1)", "np.floor_divide({x},0.3)", "({x}//0.3)",
    "(1.1//({x}+4.001))", "{x}.any()", "({x}>0.1).all()", "np.less({x},0.1)", "np.less_equal({x},0.1)",
    "np.greater({x},0.1)", "np.greater_equal({x},0.1)", "np.equal({x},0.1)", "np.not_equal({x},0.1)",
]  # fmt: skip


def plain_factor(b: Builder) -> None:
    x = b.array(ndim=(1, 2, 3), fits=lambda a: a.size > 0)
    b.emit(f"{x} * {b.choose(PLAIN).format(x=x)}", subject="what has no gradient")


SYMBOLS = ["<", "<=", ">", ">=", "==", "!="]


def compared(b: Builder) -> None:
    x = b.array()
    symbol = b.choose(SYMBOLS)
    b.emit(f"{x} * ({x} {symbol} {round(float(b.rng.uniform(-1, 1)), 3)})", subject="comparison")


PRODUCTIONS: dict[str, Any] = {
    **{spec.name: unary(spec) for spec in UNARY},
    **{spec.name: binary(spec) for spec in BINARY},
    "hadamard": hadamard, "np.add.outer": ufunc_outer, "leaky_relu": leaky_relu, "elu": elu, "clip": clip,
    "np.clip of Tensors": clip_by_tensors, "astype": astype, "astype of integers": to_integers, "dropout": dropout,
    "where": where, "copy": copy, "select": select,
    "detach": detached, "no_grad": unrecorded, "what has no gradient": plain_factor,
    "x > w": compared,
}  # fmt: skip
