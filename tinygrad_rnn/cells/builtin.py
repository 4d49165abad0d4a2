"""The built-in cells, as their equations.  x (N, D), states (N, H); σ is the sigmoid, ⊙ the elementwise product."""

from __future__ import annotations

from ..ops import mean, sigmoid, split, sqrt, square, tanh
from .cell import Param, cell


@cell
def rnn(x, h, *, Wx=Param("D H"), Wh=Param("H H"), b=Param("H")):
    """Elman's simple recurrent network (1990), the book's RNN.  h' = tanh(x Wx + h Wh + b)"""
    h = tanh(x @ Wx + h @ Wh + b)
    return h


@cell
def lstm(x, h, c, *, Wx=Param("D H", "fgio"), Wh=Param("H H", "fgio"), b=Param("H", "fgio")):
    """Long short-term memory with a forget gate (Hochreiter and Schmidhuber 1997, Gers et al. 2000), the book's.

    f = σ(x Wx.f + h Wh.f + b.f),  g = tanh(...),  i = σ(...),  o = σ(...);  c' = f ⊙ c + g ⊙ i,  h' = o ⊙ tanh c'.
    Blocks f g i o: one affine map computes all four, and is then split. With ``init={"b": {"f": 1.0}}`` the forget gate
    starts open, which keeps the memory.
    """
    A = x @ Wx + h @ Wh + b
    f, g, i, o = split(A, 4)
    f = sigmoid(f)  # forget
    g = tanh(g)  # new memory
    i = sigmoid(i)  # input
    o = sigmoid(o)  # output
    c = f * c + g * i
    h = o * tanh(c)
    return h, c


@cell
def gru(x, h, *, Wx=Param("D H", "zrh"), Wh=Param("H H", "zrh"), b=Param("H", "zrh")):
    """Gated recurrent unit, reset before the product (Cho et al. 2014), the book's.

    z = σ(x Wx.z + h Wh.z + b.z),  r = σ(...),  h̃ = tanh(x Wx.h + (r ⊙ h) Wh.h + b.h),  h' = (1 - z) ⊙ h + z ⊙ h̃.
    Blocks z r h. Here z = 1 takes the new state; texts that write z ⊙ h + (1 - z) ⊙ h̃ call 1 - z what is z here.
    """
    z = sigmoid(x @ Wx.z + h @ Wh.z + b.z)  # update
    r = sigmoid(x @ Wx.r + h @ Wh.r + b.r)  # reset
    h_new = tanh(x @ Wx.h + (r * h) @ Wh.h + b.h)
    h = (1 - z) * h + z * h_new
    return h


@cell
def gru_after(x, h, *, Wx=Param("D H", "zrh"), Wh=Param("H H", "zrh"), bx=Param("H", "zrh"), bh=Param("H", "zrh")):
    """Gated recurrent unit, reset after the product: PyTorch's and cuDNN's, with two biases.

    z = σ(...),  r = σ(...),  h̃ = tanh(x Wx.h + bx.h + r ⊙ (h Wh.h + bh.h)),  h' = (1 - z) ⊙ h + z ⊙ h̃.
    Not the same function as `gru`, whatever the weights. PyTorch's z is 1 - z here, and its blocks are r z n.
    """
    z = sigmoid(x @ Wx.z + bx.z + h @ Wh.z + bh.z)
    r = sigmoid(x @ Wx.r + bx.r + h @ Wh.r + bh.r)
    h_new = tanh(x @ Wx.h + bx.h + r * (h @ Wh.h + bh.h))
    h = (1 - z) * h + z * h_new
    return h


@cell
def peephole_lstm(
    x, h, c, *, Wx=Param("D H", "fgio"), Wh=Param("H H", "fgio"), p=Param("H", "fio"), b=Param("H", "fgio")
):
    """LSTM whose gates read the memory through a diagonal matrix (Gers et al. 2002).

    f and i read c, o reads c':  f = σ(x Wx.f + h Wh.f + p.f ⊙ c + b.f),  ...  o = σ(x Wx.o + h Wh.o + p.o ⊙ c' + b.o).
    """
    f = sigmoid(x @ Wx.f + h @ Wh.f + p.f * c + b.f)
    g = tanh(x @ Wx.g + h @ Wh.g + b.g)
    i = sigmoid(x @ Wx.i + h @ Wh.i + p.i * c + b.i)
    c = f * c + g * i
    o = sigmoid(x @ Wx.o + h @ Wh.o + p.o * c + b.o)
    h = o * tanh(c)
    return h, c


def layer_norm(a, gain, eps=1e-5):
    """Normalise each row:  y = gain ⊙ (a - mean) / √(variance + eps),  a (N, H), gain (H,) (Ba et al. 2016)."""
    d = a - mean(a, axis=-1, keepdims=True)
    return gain * (d / sqrt(mean(square(d), axis=-1, keepdims=True) + eps))


@cell
def layer_norm_lstm(
    x, h, c, *, Wx=Param("D H", "fgio"), Wh=Param("H H", "fgio"), b=Param("H", "fgio"),
    gx=Param("H", "fgio", init=1.0), gh=Param("H", "fgio", init=1.0), gc=Param("H", init=1.0), bc=Param("H"),
):  # fmt: skip
    """LSTM with layer normalisation of both products and of the memory (Ba et al. 2016, their equations 20-22).

    A = LN(x Wx; gx) + LN(h Wh; gh) + b, over all 4H at once;  c' = σ(f) ⊙ c + σ(i) ⊙ tanh(g);
    h' = σ(o) ⊙ tanh(LN(c'; gc) + bc).
    """
    A = layer_norm(x @ Wx, gx) + layer_norm(h @ Wh, gh) + b
    f, g, i, o = split(A, 4)
    f = sigmoid(f)
    g = tanh(g)
    i = sigmoid(i)
    o = sigmoid(o)
    c = f * c + g * i
    h = o * tanh(layer_norm(c, gc) + bc)
    return h, c


@cell
def mgu(x, h, *, Wx=Param("D H", "fh"), Wh=Param("H H", "fh"), b=Param("H", "fh")):
    """Minimal gated unit: one gate in the place of the GRU's two (Zhou et al. 2016).

    f = σ(x Wx.f + h Wh.f + b.f),  h̃ = tanh(x Wx.h + (f ⊙ h) Wh.h + b.h),  h' = (1 - f) ⊙ h + f ⊙ h̃.
    """
    f = sigmoid(x @ Wx.f + h @ Wh.f + b.f)
    h_new = tanh(x @ Wx.h + (f * h) @ Wh.h + b.h)
    h = (1 - f) * h + f * h_new
    return h


BUILT_IN = {builtin.name: builtin for builtin in (rnn, lstm, gru, gru_after, peephole_lstm, layer_norm_lstm, mgu)}
