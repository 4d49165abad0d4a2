"""Elementwise operations: a line of calculus each. All broadcast; the engine sums over stretched axes."""

from __future__ import annotations

import math

import numpy as np

from ..engine.declaration import NEGATIVE, PRODUCT, SUM
from ..engine.op import case, op
from ..engine.shape import broadcast, equal
from ..errors import InvalidValue, ShapeError
from .compensated import arctan2_slope, arctan_slope, power_w, power_x, sigmoid_of_difference
from .precision import nan_where

_ONE = [case((3, 4)), case(()), case((0, 3))]
_TWO = [
    case((3, 4), (3, 4)),
    case((3, 4), (4,)),
    case((3, 1), (2, 1, 4)),
    case((), (2, 3)),
    case((0, 3), (3,)),
]


def _unary(function, doc, rule, domain=(-2.0, 2.0), **more):
    """Declare a NumPy function of a single array by its derivative."""
    name = more.pop("name", function.__name__)
    operation = op(broadcast, name=name, arguments="x", doc=doc, domain=domain, cases=_ONE, **more)(function)
    operation.vjp(x=rule)
    return operation


def _binary(function, doc, x, w, domain=(-2.0, 2.0), **more):
    """Declare a NumPy function of two arrays by its two derivatives."""
    name = more.pop("name", function.__name__)
    raises = case((2, 3), (4,), raises=f"{name}: x (2, 3) and w (4,) do not broadcast: axis -1 is 3 and 4")
    declare = op(broadcast, name=name, arguments="x w", doc=doc, domain=domain, cases=[*_TWO, raises], **more)
    operation = declare(function)
    operation.vjp(x=x, w=w)
    return operation


# -- arithmetic ----------------------------------------------------------------------------------------------------

add = _binary(np.add, "y = x + w", lambda dy: dy, lambda dy: dy, symbol="+", operator="add",
              form="sum", text=("{x:SUM} + {w:SUM}", SUM), stem="s", cost=1)  # fmt: skip
subtract = _binary(np.subtract, "y = x - w", lambda dy: dy, lambda dy: -dy, symbol="-", operator="sub",
                   form="sum", text=("{x:SUM} - {w:OVER}", SUM), stem="diff", cost=1)  # fmt: skip
multiply = _binary(
    np.multiply, "y = x ⊙ w", lambda dy, w: dy * w, lambda dy, x: dy * x, symbol="⊙", operator="mul",
    form="product", stem="prod", cost=1,
)  # fmt: skip
divide = _binary(
    np.divide, "y = x / w", lambda dy, w: dy / w, lambda dy, y, w: -dy * y / w, (0.5, 2.0), symbol="/",
    operator="truediv", name="divide", form="quotient", stem="ratio", cost=3,
)  # fmt: skip
negative = _unary(np.negative, "y = -x", lambda dy: -dy, symbol="-", operator="neg", form="negative", cost=1)
positive = _unary(
    np.positive, "y = x", lambda dy: dy, symbol="+", operator="pos", numpy=[np.positive, np.conjugate]
)
reciprocal = _unary(np.reciprocal, "y = 1/x,  dy/dx = -y²", lambda dy, y: -dy * y * y, (0.5, 2.0),
                    unicode=("1 / {x:NEGATIVE}", PRODUCT))  # fmt: skip
remainder = _binary(
    np.remainder, "y = x - w ⌊x/w⌋: the remainder with the sign of w", lambda dy, y: nan_where(y, dy),
    lambda dy, x, w: -dy * np.floor_divide(x, w), (0.6, 2.3), symbol="%", operator="mod",
)  # fmt: skip
fmod = _binary(
    np.fmod, "y = x - w trunc(x/w): the remainder with the sign of x", lambda dy, y: nan_where(y, dy),
    lambda dy, x, w, y: -dy * np.rint((x - y) / w), (0.6, 2.3),
)  # fmt: skip


@op(equal, symbol="⊙", form="product", stem="prod", cost=1, cases=[
    case((3, 4), (3, 4)), case((), ()), case((0, 3), (0, 3)),
    case((2, 3), (3,), raises="hadamard: w is (3,), but must be (2, 3) as x is"),
])  # fmt: skip
def hadamard(x, w):
    """The elementwise product of two arrays of one shape.  y = x ⊙ w.  Nothing is stretched: ``*`` does that."""
    if np.shape(x) != np.shape(w):
        raise ShapeError(f"w is {np.shape(w)}, but must be {np.shape(x)} as x is")
    return np.multiply(x, w)


hadamard.vjp(x=lambda dy, w: dy * w, w=lambda dy, x: dy * x)


power = _binary(
    np.power, "y = xʷ,  dy/dx = w xʷ⁻¹,  dy/dw = y ln x", power_x, power_w, (0.5, 2.0), symbol="^", operator="pow",
    form="power",
)  # fmt: skip

# -- powers, exponentials, logarithms --------------------------------------------------------------------------------

square = _unary(np.square, "y = x²", lambda dy, x: dy * (2 * x), symbol="x²", form="square", cost=1)
sqrt = _unary(np.sqrt, "y = √x,  dy/dx = 1/2y", lambda dy, y: dy / (2 * y), (0.5, 2.0), symbol="√",
              unicode=("√{x:ATOM}", NEGATIVE), latex=r"\sqrt{{x}}", stem="root", cost=3)  # fmt: skip
cbrt = _unary(np.cbrt, "y = ∛x,  dy/dx = 1/3y²", lambda dy, y: dy / (3 * y * y), (0.5, 2.0), symbol="∛",
              unicode=("∛{x:ATOM}", NEGATIVE))  # fmt: skip
exp = _unary(np.exp, "y = eˣ,  dy/dx = y", lambda dy, y: dy * y, latex=r"\exp", activation=True)
exp2 = _unary(np.exp2, "y = 2ˣ,  dy/dx = y ln 2", lambda dy, y: dy * (y * math.log(2)))
expm1 = _unary(np.expm1, "y = eˣ - 1, exact near 0,  dy/dx = eˣ", lambda dy, x: dy * np.exp(x))
log = _unary(np.log, "y = ln x,  dy/dx = 1/x", lambda dy, x: dy / x, (0.5, 2.0), latex=r"\log")
log2 = _unary(np.log2, "y = log₂ x,  dy/dx = 1/(x ln 2)", lambda dy, x: dy / math.log(2) / x, (0.5, 2.0))
log10 = _unary(np.log10, "y = log₁₀ x,  dy/dx = 1/(x ln 10)", lambda dy, x: dy / math.log(10) / x, (0.5, 2.0))
log1p = _unary(np.log1p, "y = ln(1 + x), exact near 0,  dy/dx = 1/(1 + x)", lambda dy, x: dy / (1 + x), (-0.5, 2.0))
logaddexp = _binary(
    np.logaddexp, "y = ln(eˣ + eʷ),  dy/dx = σ(x - w)", lambda dy, x, w: dy * sigmoid_of_difference(x, w),
    lambda dy, x, w: dy * sigmoid_of_difference(w, x),
)  # fmt: skip
logaddexp2 = _binary(
    np.logaddexp2, "y = log₂(2ˣ + 2ʷ),  dy/dx = σ((x - w) ln 2)",
    lambda dy, x, w: dy * sigmoid_of_difference(x, w, base=2),
    lambda dy, x, w: dy * sigmoid_of_difference(w, x, base=2),
)  # fmt: skip

# -- trigonometric and hyperbolic ------------------------------------------------------------------------------------

sin = _unary(np.sin, "y = sin x", lambda dy, x: dy * np.cos(x), latex=r"\sin")
cos = _unary(np.cos, "y = cos x", lambda dy, x: -dy * np.sin(x), latex=r"\cos")
tan = _unary(np.tan, "y = tan x,  dy/dx = 1 + y²", lambda dy, y: dy * (1 + y * y), (-1.2, 1.2))
arcsin = _unary(np.arcsin, "dy/dx = 1/√(1 - x²)", lambda dy, x: dy / np.sqrt((1 - x) * (1 + x)), (-0.9, 0.9))
arccos = _unary(np.arccos, "dy/dx = -1/√(1 - x²)", lambda dy, x: -dy / np.sqrt((1 - x) * (1 + x)), (-0.9, 0.9))
arctan = _unary(np.arctan, "dy/dx = 1/(1 + x²)", lambda dy, x: dy * arctan_slope(x))
arctan2 = _binary(
    np.arctan2, "the angle of the point (w, x)", lambda dy, x, w: dy * arctan2_slope(x, w),
    lambda dy, x, w: -dy * arctan2_slope(w, x), (0.5, 2.0),
)  # fmt: skip
_TANH = """Hyperbolic tangent.  y = tanh x,  dy/dx = 1 - y²

dy/dx is computed from y: it loses digits where y is close to ±1, and is 0 where y is rounded to ±1 (|x| > 9 in
float32, 19 in float64).
"""
sinh = _unary(np.sinh, "y = sinh x", lambda dy, x: dy * np.cosh(x))
cosh = _unary(np.cosh, "y = cosh x", lambda dy, x: dy * np.sinh(x))
tanh = _unary(np.tanh, _TANH, lambda dy, y: dy * ((1 - y) * (1 + y)), latex=r"\tanh", activation=True, limits=(-1, 1))
arcsinh = _unary(np.arcsinh, "dy/dx = 1/√(x² + 1)", lambda dy, x: dy / np.hypot(x, 1))
arccosh = _unary(np.arccosh, "dy/dx = 1/√(x² - 1)", lambda dy, x: dy / (np.sqrt(x - 1) * np.sqrt(x + 1)), (1.5, 3.0))
arctanh = _unary(np.arctanh, "dy/dx = 1/(1 - x²)", lambda dy, x: dy / ((1 - x) * (1 + x)), (-0.9, 0.9))


def _half_turns(x):
    """sin πx and cos πx, from the distances to the nearest integer and the nearest half, which are exact."""
    nearest = np.rint(x)
    sign, part = 1 - 2 * np.abs(np.remainder(nearest, 2)), x - nearest
    return sign * np.sin(math.pi * part), sign * np.sin(math.pi * (0.5 - np.abs(part)))


def _sinc(x):
    return np.where(x == 0, 1, _half_turns(x)[0] / np.where(x == 0, 1, math.pi * x))[()]


def _sinc_x(dy, x, y):
    """(cos πx - y)/x; near 0, where digits cancel, its series π Σ (-1)ⁿ 2n (πx)²ⁿ⁻¹/(2n + 1)!."""
    square, series = np.square(math.pi * x), 0.0
    for n in range(9, 0, -1):
        series = series * square + (-1) ** n * 2 * n / math.factorial(2 * n + 1)
    near = np.abs(x) < 0.3
    far = (_half_turns(x)[1] - y) / np.where(near, 1, x)
    return dy * np.where(near, series * (math.pi * math.pi * x), far)


sinc = _unary(_sinc, "y = sin πx/(πx), 1 at 0", _sinc_x, name="sinc", numpy=[np.sinc])
hypot = _binary(
    np.hypot, "y = √(x² + w²),  dy/dx = x/y (0 at 0)", lambda dy, x, y: dy * (x / np.where(y == 0, np.inf, y)),
    lambda dy, w, y: dy * (w / np.where(y == 0, np.inf, y)), (0.5, 2.0),
)
deg2rad = _unary(np.deg2rad, "y = π x / 180", lambda dy: dy * (math.pi / 180), numpy=[np.deg2rad, np.radians])
rad2deg = _unary(np.rad2deg, "y = 180 x / π", lambda dy: dy * (180 / math.pi), numpy=[np.rad2deg, np.degrees])

# -- pieces: kinks and steps -----------------------------------------------------------------------------------------


def _flat(dy, y):
    """0, but NaN where y is NaN."""
    return nan_where(y, dy * 0)


_BARS = {"unicode": "|{x}|", "latex": r"\left|{x}\right|"}
abs = _unary(np.abs, "y = |x|,  dy/dx = sign x (0 at 0)", lambda dy, x: dy * np.sign(x), name="abs", symbol="|x|",
             operator="abs", **_BARS)  # fmt: skip
fabs = _unary(np.fabs, "y = |x|", lambda dy, x: dy * np.sign(x), **_BARS)
sign = _unary(np.sign, "-1, 0 or 1; flat, so dy/dx = 0", _flat)
floor = _unary(np.floor, "⌊x⌋; flat, so dy/dx = 0", _flat, unicode="⌊{x}⌋")
ceil = _unary(np.ceil, "⌈x⌉; flat, so dy/dx = 0", _flat, unicode="⌈{x}⌉")
trunc = _unary(np.trunc, "towards 0; flat, so dy/dx = 0", _flat)
rint = _unary(np.rint, "the nearest integer; flat, so dy/dx = 0", _flat)


def _won(dy, y, wins, ties):
    """The part of ``dy`` for an input: all where it wins, half where there is a tie. A subgradient."""
    return nan_where(y, dy * (wins + ties * 0.5).astype(dy.dtype))


maximum = _binary(
    np.maximum, "The larger; at a tie half of dy goes to each.", lambda dy, x, w, y: _won(dy, y, x > w, x == w),
    lambda dy, x, w, y: _won(dy, y, w > x, x == w), symbol="max", latex=r"\max",
)  # fmt: skip
minimum = _binary(
    np.minimum, "The smaller; at a tie half of dy goes to each.", lambda dy, x, w, y: _won(dy, y, x < w, x == w),
    lambda dy, x, w, y: _won(dy, y, w < x, x == w), symbol="min", latex=r"\min",
)  # fmt: skip
fmax = _binary(
    np.fmax, "The larger; NaN counts as missing.", lambda dy, x, w, y: _won(dy, y, (x > w) | (w != w), x == w),
    lambda dy, x, w, y: _won(dy, y, (w > x) | (x != x), x == w), latex=r"\max",
)  # fmt: skip
fmin = _binary(
    np.fmin, "The smaller; NaN counts as missing.", lambda dy, x, w, y: _won(dy, y, (x < w) | (w != w), x == w),
    lambda dy, x, w, y: _won(dy, y, (w < x) | (x != x), x == w), latex=r"\min",
)  # fmt: skip
copysign = _binary(
    np.copysign, "|x| with the sign of w", lambda dy, x, w: dy * np.sign(x) * np.copysign(np.sign(np.abs(x)), w),
    _flat,
)  # fmt: skip


@op(broadcast, code="np.clip({x}, {min}, {max})", latex=r"\operatorname{clip}_{[{min}, {max}]}", cases=[
    case((3, 4), min=-0.5, max=0.5), case((5,), min=0.1), case((), max=0.0),
    case((3,), raises="clip: needs min or max; x is (3,)"),
])  # fmt: skip
def clip(x, *, min=None, max=None):
    """y = x held between ``min`` and ``max`` (constants, or None for no bound); dy/dx = 1 up to the bounds, else 0."""
    if min is None and max is None:
        raise InvalidValue("needs min or max")
    return np.clip(x, min, max)


clip.vjp(x=lambda dy, x, y: nan_where(y, dy * (x == y)))


@op(broadcast, form="choice", cases=[
    case(np.array([[True, False, True]]), (2, 3), (2, 1)), case(np.array(True), (), ()),
    case(np.array([True, False, True]), (3,), (2,),
         raises="where: x (3,) and w (2,) do not broadcast: axis -1 is 3 and 2"),
])  # fmt: skip
def where(c, x, w):
    """x where c holds, else w. The side that is not taken gets a gradient of 0, never NaN times 0 from here."""
    return np.where(c, x, w)


where.vjp(x=lambda dy, c: np.where(c, dy, 0), w=lambda dy, c: np.where(c, 0, dy))
