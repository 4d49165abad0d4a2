"""Cells as users write them, for the tests of derive."""

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import Param, abs, cell, exp, relu, sigmoid, split, tanh


@cell
def gatewise(x, h, c, *, Wx=Param("D H", "fgio"), Wh=Param("H H", "fgio"), b=Param("H", "fgio")):
    """The LSTM, gate by gate."""
    f = sigmoid(x @ Wx.f + h @ Wh.f + b.f)
    g = tanh(x @ Wx.g + h @ Wh.g + b.g)
    i = sigmoid(x @ Wx.i + h @ Wh.i + b.i)
    o = sigmoid(x @ Wx.o + h @ Wh.o + b.o)
    c = f * c + i * g
    h = o * tanh(c)
    return h, c


@cell
def kinks(x, h, *, Wx=Param("D H"), Wh=Param("H H")):
    """where, abs, relu, clip, maximum: every kind of kink."""
    a = x @ Wx + h @ Wh
    s = np.where(a > 0.1, a, 0.5 * a)
    m = np.maximum(relu(s), 0.3 * h) - np.minimum(a, h)
    h = np.clip(abs(s) + m, -1.5, 1.5)
    return h


@cell
def reused(x, h, *, W=Param("D H"), U=Param("H H")):
    """One subexpression in several places, unnamed."""
    s = x @ W + h @ U
    h = tanh(s * s) * exp(-(s * s)) + h / (1 + s * s)
    return h


@cell
def names(np, sum, *, lambda_=Param("D H"), cache=Param("H H"), H=Param("H"), def_=Param("H")):
    """Names that the printed code has other uses for."""
    step = np @ lambda_ + sum @ cache + H
    xs = sigmoid(step) * def_
    dsum = tanh(xs)
    sum = dsum + xs
    return sum


@cell
def whole(x, h, c, *, W=Param("D H", "ab"), b=Param("H", "ab"), s=Param("H")):
    """A block that is used whole and in parts, one that is not used, and a state that stays."""
    a, _ = split(x @ W + b, 2)
    h = tanh(a) * s + h * W.a.sum() + b.b
    return h, c


@cell
def numbers(x, h, *, W=Param("D H")):
    """A number that could be taken for a size."""
    h = tanh(x @ W * 31 + h / 29) + h.mean(axis=0) + 23
    return h


@cell
def powers(x, h, *, W=Param("D H"), b=Param("H")):
    """Divisions and powers, where parentheses matter."""
    a = x @ W + b
    h = (a - (h - a)) / ((1 + a**2) * (2 + h**2)) - (-a) ** 3 * (h / (1 + a * a) / 2) - -(a * h)
    return h


@cell
def part(x, h, *, W=Param("D H"), k=2):
    """A slice that leaves something out."""
    a = x @ W
    h = tanh(h) * a[:, :1] + a
    return h


@cell
def same(x, h, c, *, W=Param("D H")):
    """One value for two states."""
    h = tanh(x @ W + h * c)
    return h, h


@cell
def units(x, h, *, W=Param("D H"), U=Param("H H"), b=Param("H")):
    """Operations that NumPy has no function for."""
    a = tg.ops.affine(x, W, b) + tg.ops.silu(h @ U)
    h = tg.ops.softplus(a) + tg.ops.leaky_relu(a - h, slope=0.2) * tg.ops.hard_sigmoid(h)
    return h


@cell
def functions(x, h, *, W=Param("D H"), b=Param("H"), s=Param("H")):
    """Functions that NumPy lacks, and a choice by a parameter."""
    a = x @ W + b
    g = tg.ops.gelu(a) + tg.ops.elu(h, alpha=0.5)
    p = tg.ops.softmax(a * s) * tg.ops.log_softmax(h) - tg.ops.logsumexp(g, axis=-1, keepdims=True)
    h = np.where(s > 0, g, p) / (1 + np.linalg.norm(h, axis=-1, keepdims=True)) + tg.ops.erf(g)
    return h


@cell
def places(x, h, *, W=Param("D H")):
    """Indices by steps and numbers, new axes, a written part, and a sum with a convention."""
    a = np.einsum("nd,dh->nh", x, W)
    a[:, :1] = 2 * h[:, :1]
    h = a * h[:, ::-1] + a[0] + (a * a)[:, None].sum(axis=1)
    return h


def normed(a, gain):
    """A helper with names of its own."""
    m = a.mean(axis=-1, keepdims=True)
    a = a - m
    s = np.sqrt((a * a).mean(axis=-1, keepdims=True) + 1e-6)
    y = a / s
    return gain * y


@cell
def helped(x, h, *, Wx=Param("D H"), Wh=Param("H H"), g=Param("H")):
    """A helper function that is called twice."""
    h = tanh(normed(x @ Wx, g) + normed(h @ Wh, g))
    return h


@cell
def wide(x, h, c, *, W_of_the_input=Param("D H", "ab"), W_of_the_state=Param("H H", "ab"),
         bias_of_both=Param("H", "ab"), gain_of_the_cell=Param("H"), bias_of_the_cell=Param("H")):  # fmt: skip
    """Names and lines that are long."""
    gate_a = sigmoid(x @ W_of_the_input.a + h @ W_of_the_state.a + bias_of_both.a + gain_of_the_cell * c + 0.1 * h * h)
    gate_b = tanh(x @ W_of_the_input.b + h @ W_of_the_state.b + bias_of_both.b + bias_of_the_cell * c + 0.1 * h * h * c)
    c = gate_a * c + (1 - gate_a) * gate_b * gain_of_the_cell - bias_of_the_cell * gate_b * c * gate_a
    h = gate_a * tanh(c) * gain_of_the_cell + gate_b * tanh(c) * bias_of_the_cell - gate_a * gate_b * c
    return h, c


CELLS = [functions, places, helped, wide, units, gatewise, kinks, reused, names, whole, numbers, powers, part, same]
WRAPPED = [
    tg.zoneout(tg.lstm, h=0.1, c=0.5), tg.residual(tg.rnn), tg.projected(tg.lstm),
    tg.variational_dropout(tg.gru, x=0.2),
    tg.residual(tg.zoneout(tg.projected(tg.lstm), h=0.1)), tg.projected(tg.layer_norm_lstm),
]  # fmt: skip
