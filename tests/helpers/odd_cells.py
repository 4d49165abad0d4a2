"""Cells that a planner may get wrong: states and inputs unused, used twice, exchanged, detached or reshaped."""

from types import SimpleNamespace

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import Param, cell, concatenate, detach, exp, maximum, sigmoid, tanh, where
from tinygrad_rnn.cells.sizes import length

MEMORY = np.random.default_rng(9).standard_normal((6, 4))
SCALE = np.linspace(0.5, 1.5, 4)
OUTSIDE = tg.tensor(np.random.default_rng(8).standard_normal((4, 4)), requires_grad=True, name="OUTSIDE")


@cell
def weight_used_twice(x, h, *, Wx=Param("D H"), W=Param("H H")):
    return tanh(x @ Wx + tanh(h @ W) @ W)


@cell
def state_unused(x, h, *, Wx=Param("D H")):
    return tanh(x @ Wx)


@cell
def output_unused_by_next(x, h, c, *, Wx=Param("D H"), Wc=Param("H H")):
    c = tanh(x @ Wx + c @ Wc)
    return sigmoid(c) * 2, c


@cell
def constant_state(x, h, c, *, Wx=Param("D H")):
    return tanh(x @ Wx + h * c), c


@cell
def state_of_parameters(x, h, *, Wx=Param("D H"), b=Param("H")):
    return tg.broadcast_to(b * 2, shape=h.shape) + 0 * (x @ Wx)


@cell
def exchanged(x, h, c, *, Wx=Param("D H")):
    return c, tanh(x @ Wx + h)


@cell
def x_unused(x, h, *, W=Param("H H"), b=Param("H")):
    return tanh(h @ W + b) + h


@cell
def gram(x, h, *, Wx=Param("D H")):
    return tanh(x @ Wx + 0.1 * ((h @ h.T) @ h))


@cell
def slices_of_state(x, h, *, Wx=Param("D H"), W=Param("H H")):
    a, b = h[:, :2], h[:, 2:]
    return tanh(concatenate([b * a, a], axis=1) + x @ Wx + h[:, ::-1] @ W)


@cell
def attention(x, h, *, Wx=Param("D H"), W=Param("H H")):
    scores = h @ MEMORY.T
    weights = exp(scores - scores.max(axis=1, keepdims=True))
    weights = weights / weights.sum(axis=1, keepdims=True)
    return tanh(x @ Wx + (weights @ MEMORY) @ W)


@cell
def softmaxed(x, h, *, Wx=Param("D H"), W=Param("H H")):
    return tg.softmax(x @ Wx + h @ W, axis=-1) + tg.log_softmax(h, axis=1)


@cell
def chosen(x, h, *, Wx=Param("D H"), W=Param("H H")):
    a = x @ Wx + h @ W
    return where((a > 0) & (h < 1), tanh(a), 0.1 * a) + maximum(h, 0.2)


@cell
def compared(x, h, *, Wx=Param("D H")):
    return 0.5 * h + (x @ Wx) * (h > 0.1).astype(h.dtype)


def inside(a, gain):
    return gain * (a - a.mean(axis=-1, keepdims=True))


@cell
def nested_function(x, h, *, Wx=Param("D H"), g=Param("H", init=1.0)):
    return tanh(inside(x @ Wx, g) + inside(h, g * SCALE))


@cell
def inner_loop(x, h, *, Wx=Param("D H"), W=Param("H H")):
    a = x @ Wx
    for k in range(3):
        h = tanh(a + h @ W) * (0.5 + k)
    return h


@cell
def stabilised(x, h, m, *, Wi=Param("D H"), Wf=Param("H H")):
    i, f = x @ Wi, h @ Wf
    top = maximum(f + m, i)
    return exp(f + m - top) * h + exp(i - top), top


@cell(states={"C": "N H H"})
def matrix_state(x, h, C, *, Wk=Param("D H"), Wq=Param("H H")):
    k, q = x @ Wk, tanh(h @ Wq)
    C = 0.9 * C + k[:, :, None] * q[:, None, :]
    return tanh((C @ k[:, :, None])[:, :, 0]), C


@cell
def detached(x, h, c, *, Wx=Param("D H"), W=Param("H H")):
    c = tanh(x @ Wx + detach(h) @ W) + c
    return tanh(c) * detach(sigmoid(c)) + h, c


@cell
def in_place(x, h, c, *, Wx=Param("D H")):
    h *= 0.5
    h += x @ Wx
    h[:, 0] = 0.5
    h = tanh(h)
    c += h
    return h, c


@cell
def outside_tensor(x, h, *, Wx=Param("D H")):
    return tanh(x @ Wx + h @ OUTSIDE)


@cell
def einsums(x, h, *, W=Param("D H"), U=Param("H H")):
    return tanh(tg.einsum("nd,dh->nh", x, W) + tg.einsum("nh,hk->nk", h, U))


@cell
def branching_rules(x, h, *, Wx=Param("D H")):
    a = x @ Wx + h
    return tanh(a) + a.max(axis=1, keepdims=True) + 0.1 * tg.prod(tanh(h), axis=1, keepdims=True) + tg.sort(h)


@cell
def affine_per_gate(x, h, c, *, Wx=Param("D H", "fgio"), Wh=Param("H H", "fgio"), b=Param("H", "fgio")):
    f = sigmoid(x @ Wx.f + h @ Wh.f + b.f)
    g = tanh(x @ Wx.g + h @ Wh.g + b.g)
    i = sigmoid(x @ Wx.i + h @ Wh.i + b.i)
    o = sigmoid(x @ Wx.o + h @ Wh.o + b.o)
    c = f * c + i * g
    return o * tanh(c), c


@cell
def one_matrix(x, h, *, W=Param("D+H H"), b=Param("H")):
    return tanh(concatenate([x, h], axis=1) @ W + b)


@cell
def scalars(x, h, *, Wx=Param("D H"), a=Param(""), scale=0.7):
    return tanh(scale * (x @ Wx) - a * h) / (1 + a * a) - 2 * h


@cell
def reductions(x, h, *, Wx=Param("D H")):
    a = x @ Wx
    return tanh(a - a.mean(axis=0) + h.sum(axis=1, keepdims=True) - h.var()) * a.std(axis=-1, keepdims=True)


@cell
def same_state_twice(x, h, c, *, Wx=Param("D H")):
    h = tanh(x @ Wx + h + c)
    return h, h


ODD = [weight_used_twice, state_unused, output_unused_by_next, constant_state, state_of_parameters, exchanged, x_unused,
       gram, slices_of_state, attention, softmaxed, chosen, compared, nested_function, inner_loop, stabilised,
       matrix_state, detached, in_place, outside_tensor, einsums, branching_rules, affine_per_gate, one_matrix, scalars,
       reductions, same_state_twice]  # fmt: skip

SIZES = {"D": 3, "H": 4, "P": 2, "K": 2, "M": 2}


def odd_sample(cell, N=5, T=6, dtype=np.float64, **sizes):
    """xs, a state and parameters by the declared shapes alone: these cells do not run at other sizes."""
    rng, sizes = np.random.default_rng(0), {**SIZES, "N": N, **sizes}

    def array(shape):
        return rng.normal(0.1, 0.6, shape).astype(dtype)

    params = {name: array(param.shape(sizes)) for name, param in cell.params.items()}
    state = tuple(array([length(word, sizes) for word in cell.words[name]]) for name in cell.states)
    return SimpleNamespace(xs=array((N, T, sizes["D"])), state=state, params=params)
