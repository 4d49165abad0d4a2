"""The textbook form of a formula: ``1·x`` is x, ``x ⊙ x`` is x², signs stand in front, casts and copies are gone.

::

    simplified(Expr("multiply", (Leaf("y"), Leaf("y"))))       # the tree of y²

SIMPLER lists the rules for each operation; a rule returns a simpler part or None. The operands are simplified already,
so a rule looks one or two levels down and never further.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .expression import (
    Constant,
    Expr,
    Leaf,
    Part,
    form,
    is_a,
    key,
    leads,
    number,
    operand,
    postorder,
    transposes,
    uniform,
)  # fmt: skip
from .numpy_functions import FUNCTIONS


def simplified(expr: Part) -> Part:
    """The tree in textbook form.

    The value is the same unless something is 0/0 or 0 times infinity: guards against these are left out.
    """
    make = Maker()
    done: dict[int, Part] = {}
    for part in postorder(expr):
        if isinstance(part, Expr):
            args = [done[id(arg)] for arg in part.args]
            done[id(part)] = make(part.op, *args, shape=part.shape, attrs=part.attrs)
        else:
            done[id(part)] = make.shared(part)
    return done[id(expr)]


class Maker:
    """Creates parts in their simplest form; equal parts are the same object, so that ``is`` compares whole trees."""

    def __init__(self) -> None:
        self.pool: dict[Any, Part] = {}

    def __call__(self, op: str, *args: Part, shape: tuple[int, ...], attrs: Mapping[str, Any] | None = None) -> Part:
        expr = Expr(op, tuple(map(self.shared, args)), attrs or {}, shape)
        for rule in SIMPLER.get(op, ()):
            better = rule(self, expr, *expr.args)
            if better is not None:
                return self.shared(better)
        return self.shared(expr)

    def shared(self, part: Part) -> Part:
        """The object that represents all parts equal to this."""
        return self.pool.setdefault(key(part), part)


# -- rules -------------------------------------------------------------------------------------------------------------


def _operand(make: Maker, expr: Expr, a: Part, *rest: Part) -> Part | None:
    """A copy, a cast to floats."""
    return a if np.dtype(expr.attrs.get("dtype", float)).kind == "f" else None


def _ones(make: Maker, expr: Expr, a: Part, b: Part) -> Part | None:
    """1·x = x, x·1 = x, x·(1/w) = x/w."""
    if is_a(b, "divide") and number(operand(b)) == 1:
        return make("divide", a, operand(b, 1), shape=expr.shape)
    return b if number(a) == 1 and b.shape == expr.shape else _right_one(make, expr, a, b)


def _right_one(make: Maker, expr: Expr, a: Part, b: Part) -> Part | None:
    """x·1, x/1, x¹."""
    return a if number(b) == 1 and a.shape == expr.shape else None


def _signs(make: Maker, expr: Expr, a: Part, b: Part) -> Part | None:
    """(−a)·b = −(a·b), and so on."""
    for k, factor in enumerate((a, b)):
        value = number(factor)
        if is_a(factor, "negative") or (value is not None and value < 0):
            positive = operand(factor) if isinstance(factor, Expr) else Constant(-value)
            both = (positive, b) if k == 0 else (a, positive)
            return make("negative", make(expr.op, *both, shape=expr.shape), shape=expr.shape)
    return None


def _squares(make: Maker, expr: Expr, a: Part, b: Part) -> Part | None:
    """x ⊙ x = x², (p ⊙ x) ⊙ x = p ⊙ x², (1 − x) ⊙ (1 + x) = 1 − x²."""
    if isinstance(a, Constant):
        return None
    if a is b:
        return make("square", a, shape=expr.shape)
    if form(a) == "product" and operand(a, 1) is b:
        return make("multiply", operand(a), make("square", b, shape=b.shape), shape=expr.shape)
    apart = is_a(a, "subtract") and is_a(b, "add") and operand(a, 1) is operand(b, 1)
    if apart and number(operand(a)) == number(operand(b)) == 1:
        return make("subtract", operand(a), make("square", operand(a, 1), shape=a.shape), shape=expr.shape)
    return None


def _number_first(make: Maker, expr: Expr, a: Part, b: Part) -> Part | None:
    """x·2 = 2·x, but not of dy, with which a rule begins."""
    first = number(b) is not None and number(a) is None and not leads(a)
    return make("multiply", b, a, shape=expr.shape) if first else None


def _fraction(make: Maker, expr: Expr, a: Part, b: Part) -> Part | None:
    """(x·2) / 12 = x / 6."""
    below, above = number(b), number(operand(a, 1)) if form(a) == "product" else None
    if above is None or below is None or not above or below % above:
        return None
    return make("divide", operand(a), Constant(below // above), shape=expr.shape)


def _sum(make: Maker, expr: Expr, a: Part, b: Part) -> Part | None:
    """a + (−b) = a − b."""
    if is_a(b, "negative"):
        return make("subtract", a, operand(b), shape=expr.shape)
    return make("subtract", b, operand(a), shape=expr.shape) if is_a(a, "negative") else None


def _difference(make: Maker, expr: Expr, a: Part, b: Part) -> Part | None:
    """a − (−b) = a + b."""
    return make("add", a, operand(b), shape=expr.shape) if is_a(b, "negative") else None


def _twice(make: Maker, expr: Expr, a: Part) -> Part | None:
    """−(−x) = x."""
    return operand(a) if is_a(a, "negative") else None


def _power(make: Maker, expr: Expr, a: Part, b: Part) -> Part | None:
    """x^2 = x²."""
    return make("square", a, shape=expr.shape) if number(b) == 2 else None


def _transposed(make: Maker, expr: Expr, a: Part) -> Part | None:
    """(xᵀ)ᵀ = x, and (a @ bᵀ)ᵀ = b @ aᵀ, whichever of the two was transposed."""
    if not transposes(expr):
        return a if len(expr.shape) < 2 else None
    if transposes(a):
        return operand(a)
    factors = a.args[::-1] if is_a(a, "matmul") and isinstance(a, Expr) else ()
    if not any(transposes(factor) and len(factor.shape) >= 2 for factor in factors):
        return None
    left, right = (operand(factor) if transposes(factor) else _flipped(make, factor) for factor in factors)
    return make("matmul", left, right, shape=expr.shape)


def _flipped(make: Maker, part: Part) -> Part:
    shape = (*part.shape[:-2], part.shape[-1], part.shape[-2])
    return make.shared(Expr("swapaxes", (part,), {"axis1": -1, "axis2": -2}, shape))


def _row_sums(make: Maker, expr: Expr, a: Part, b: Part) -> Part | None:
    """aᵀ @ 1 = Σ over the rows of a."""
    if len(b.shape) != 1 or uniform(b) != 1:
        return None
    if transposes(a):
        return make("sum", operand(a), shape=expr.shape, attrs={"axis": len(a.shape) - 2})
    return make("sum", a, shape=expr.shape, attrs={"axis": len(a.shape) - 1})


def _reshaped(make: Maker, expr: Expr, a: Part) -> Part | None:
    """To the same shape; twice; or after a sum, to what ``keepdims`` gives."""
    if a.shape == expr.shape:
        return a
    if is_a(a, "reshape"):
        return make("reshape", operand(a), shape=expr.shape, attrs=expr.attrs)
    if isinstance(a, Expr) and a.op == "sum" and not a.attrs.get("keepdims"):
        before, axis = a.args[0].shape, a.attrs.get("axis")
        gone = range(len(before)) if axis is None else [k % len(before) for k in np.atleast_1d(axis)]
        if expr.shape == tuple(1 if k in gone else n for k, n in enumerate(before)):
            return make("sum", a.args[0], shape=expr.shape, attrs={**a.attrs, "keepdims": True})
    return None


def _sign_out(make: Maker, expr: Expr, a: Part) -> Part | None:
    """Σ −x = −Σ x."""
    if not is_a(a, "negative"):
        return None
    return make("negative", make(expr.op, operand(a), shape=expr.shape, attrs=expr.attrs), shape=expr.shape)


def _stretched(make: Maker, expr: Expr, a: Part, b: Part) -> Part | None:
    """Drop a stretch to the shape of the other operand: the operation broadcasts by itself."""
    for k, (part, other) in enumerate(((a, b), (b, a))):
        if is_a(part, "broadcast_to") and other.shape == expr.shape:
            args = (operand(part), b) if k == 0 else (a, operand(part))
            return make(expr.op, *args, shape=expr.shape, attrs=expr.attrs)
    return None


def _same_shape(make: Maker, expr: Expr, a: Part) -> Part | None:
    return a if a.shape == expr.shape else None


def _chosen(make: Maker, expr: Expr, c: Part, a: Part, b: Part) -> Part | None:
    """A choice between a and 0 is a ⊙ [c]; between a and s·a, a ⊙ (1 or s); a guard against 0 or NaN is dropped."""
    if number(b) != number(b) and a.shape == expr.shape:  # NaN
        return a
    condition = make("asarray", c, shape=c.shape) if isinstance(c, Leaf) else c
    if number(b) == 0 and a.shape == expr.shape:
        return make("multiply", a, condition, shape=expr.shape)
    if number(a) == 0 and b.shape == expr.shape:
        return make("multiply", b, make("logical_not", c, shape=c.shape), shape=expr.shape)
    if is_a(c, "equal") and operand(c) is b and number(operand(c, 1)) == 0 and number(a) == np.inf:
        return b
    if form(b) == "product" and a in (factors := [operand(b), operand(b, 1)]) and a.shape == expr.shape:
        other = factors[1 - factors.index(a)]
        return make("multiply", a, make("where", c, Constant(1), other, shape=expr.shape), shape=expr.shape)
    return None


#: A function of the maker, an expression and its operands; it returns a simpler part or None.
Rule = Callable[..., "Part | None"]
SIMPLER: Mapping[str, Sequence[Rule]] = {
    "add": [_sum, _stretched],
    "astype": [_operand],
    "broadcast_to": [_same_shape, _sign_out],
    "copy": [_operand],
    "divide": [_right_one, _signs, _fraction, _stretched],
    "hadamard": [_signs, _squares],
    "matmul": [_signs, _row_sums],
    "multiply": [_ones, _signs, _squares, _number_first, _stretched],
    "negative": [_twice],
    "positive": [_operand],
    "power": [_right_one, _power],
    "reshape": [_reshaped, _sign_out],
    "subtract": [_difference, _stretched],
    "sum": [_sign_out],
    **dict.fromkeys(("swapaxes", "transpose"), (_transposed,)),
    "where": [_chosen],
    **{name: [_stretched] for name, traits in FUNCTIONS.items() if traits.form == "comparison"},
}
