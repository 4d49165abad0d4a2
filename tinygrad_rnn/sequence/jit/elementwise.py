"""exp, tanh and sigmoid without a branch and without a call, so that LLVM vectorises a loop over them.

With n = round(x / ln 2) and r = x - n ln 2, which is within ±ln 2 / 2::

    eˣ = 2ⁿ (1 + r + r² P(r))

P is a polynomial fitted by least squares on 80 Chebyshev points. ln 2 is the sum of two floats, of which the first has
so few bits that n ln 2 is exact (Cody and Waite 1980).

Errors, over all finite numbers: float32 at most 2 ulp, float64 at most 4 ulp. NaN stays NaN; infinities have their
limits; results below the smallest normal number are rounded as subnormal numbers; tanh keeps the sign of zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from llvmlite import ir

from .numbers import KINDS, Number, intrinsic, where


@dataclass(frozen=True)
class Table:
    """The constants of one float type; beyond ``low`` and ``high`` eˣ is 0 and inf."""

    mantissa: int  # its bits
    bias: int  # of the exponent
    ln2_first: float
    ln2_rest: float
    low: float
    high: float
    P: tuple[float, ...]  # highest power first

    @property
    def shift(self) -> float:
        """The number s for which s + n, rounded to a float, has the integer n + bias in its last bits."""
        return 1.5 * 2.0**self.mantissa + self.bias

    @property
    def saturated(self) -> float:
        """Beyond, tanh is 1."""
        return math.log(2) * (31 if self.mantissa == 52 else 15)


TABLES = {
    "float32": Table(
        23, 127, 0.693359375, -2.12194440054690583e-4, -104.0, 89.0,
        (0.0001990971485802947, 0.001394650424079097, 0.008333280402358574, 0.0416662623274035, 0.1666666679044504,
         0.5000000081049932),
    ),
    "float64": Table(
        52, 1023, 0.693145751953125, 1.42860682030941723212e-6, -746.0, 710.0,
        (2.0924548230424705e-09, 2.51125147400622e-08, 2.7557241384558594e-07, 2.755723335804189e-06,
         2.4801587363991028e-05, 0.00019841269898062216, 0.0013888888888863562, 0.00833333333331626,
         0.04166666666666671, 0.16666666666666685, 0.5),
    ),
}  # fmt: skip


def exp(x: Number) -> Number:
    """eˣ"""
    table = TABLES[x.kind]
    s = table.shift
    x = where(x < table.low, table.low, x)
    x = where(x > table.high, table.high, x)
    n, r, q = _reduced(x)
    y = 1 + r
    y = y + (1 - y + r + q)  # with what 1 + r lost
    first = n * 0.5 + s - s
    return y * power_of_two(first + s) * power_of_two(n - first + s)


def sigmoid(x: Number) -> Number:
    """With e = exp(-|x|): e - e (e / (1 + e)) if x < 0, else 1 - e / (1 + e)."""
    e = exp(-abs(x))
    limit = where(x < 0, e, 1)
    return limit - limit * (e / (1 + e))


def tanh(x: Number) -> Number:
    """With E = exp(2|x|) - 1: E/2 - E/2 (E / (2 + E)) if E < 2, else 1 - 2 / (2 + E)."""
    table, y = TABLES[x.kind], abs(x)
    n, r, q = _reduced(2 * where(y > table.saturated, table.saturated, y))
    scale = power_of_two(n + table.shift)
    E = scale * (r + q) + (scale - 1)
    small = E < 2
    limit = where(small, 0.5 * E, 1)
    y = limit - limit * (where(small, E, 2) / (2 + E))
    return intrinsic("llvm.copysign", y, x)


def _reduced(x: Number) -> tuple[Number, Number, Number]:
    """n, r, eʳ - 1 - r."""
    table = TABLES[x.kind]
    s = table.shift
    n = x * (1 / math.log(2)) + s - s
    exact = x - n * table.ln2_first
    r = exact - n * table.ln2_rest
    lost = exact - r - n * table.ln2_rest
    P = x.like(table.P[0])
    for coefficient in table.P[1:]:
        P = P * r + coefficient
    return n, r, r * r * P + lost


def power_of_two(shifted: Number) -> Number:
    """2ⁿ from the float s + n, where s is the table's shift: the last bits, n + bias, become the exponent."""
    builder, kind = shifted.builder, ir.IntType(shifted.bits)
    integer = builder.bitcast(shifted.value, kind)
    raised = builder.shl(integer, ir.Constant(kind, TABLES[shifted.kind].mantissa))
    return Number(builder, builder.bitcast(raised, KINDS[shifted.kind]), shifted.kind)
