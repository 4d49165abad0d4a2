"""Ten cells from papers, for the gallery: the equations, as their authors give them."""

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import Param, relu, sigmoid, tanh


@tg.cell
def coupled_lstm(x, h, c, *, Wx=Param("D H", "fgo"), Wh=Param("H H", "fgo"), b=Param("H", "fgo")):
    """The input gate is 1 - f (Greff et al. 2017, CIFG)."""
    f = sigmoid(x @ Wx.f + h @ Wh.f + b.f)
    g = tanh(x @ Wx.g + h @ Wh.g + b.g)
    o = sigmoid(x @ Wx.o + h @ Wh.o + b.o)
    c = f * c + (1 - f) * g
    h = o * tanh(c)
    return h, c


@tg.cell
def janet(x, h, *, Wx=Param("D H", "fg"), Wh=Param("H H", "fg"), b=Param("H", "fg")):
    """A forget gate and nothing else (van der Westhuizen and Lasenby 2018)."""
    f = sigmoid(x @ Wx.f + h @ Wh.f + b.f)
    g = tanh(x @ Wx.g + h @ Wh.g + b.g)
    h = f * h + (1 - f) * g
    return h


@tg.cell
def ran(x, h, c, *, W=Param("D H", "gfi"), U=Param("H H", "fi"), b=Param("H", "fi")):
    """Recurrent additive network: the candidate does not read the state (Lee et al. 2017)."""
    g = x @ W.g
    i = sigmoid(x @ W.i + h @ U.i + b.i)
    f = sigmoid(x @ W.f + h @ U.f + b.f)
    c = i * g + f * c
    h = tanh(c)
    return h, c


@tg.cell
def light_gru(x, h, *, W=Param("D H", "zn"), U=Param("H H", "zn"), b=Param("H", "zn")):
    """A GRU without a reset gate, with ReLU (Ravanelli et al. 2018)."""
    z = sigmoid(x @ W.z + h @ U.z + b.z)
    n = relu(x @ W.n + h @ U.n + b.n)
    h = z * h + (1 - z) * n
    return h


@tg.cell
def update_gate_rnn(x, h, *, W=Param("D H", "cg"), U=Param("H H", "cg"), b=Param("H", "cg")):
    """UGRNN: an RNN with one gate (Collins et al. 2017)."""
    c = tanh(x @ W.c + h @ U.c + b.c)
    g = sigmoid(x @ W.g + h @ U.g + b.g)
    h = g * h + (1 - g) * c
    return h


@tg.cell
def fast_grnn(x, h, *, W=Param("D H"), U=Param("H H"), bz=Param("H"), bn=Param("H"), zeta=Param("1"), nu=Param("1")):
    """One pair of matrices for the gate and the candidate (Kusupati et al. 2018)."""
    A = x @ W + h @ U
    z = sigmoid(A + bz)
    n = tanh(A + bn)
    h = (sigmoid(zeta) * (1 - z) + sigmoid(nu)) * n + z * h
    return h


@tg.cell
def independent_rnn(x, h, *, W=Param("D H"), u=Param("H"), b=Param("H")):
    """IndRNN: every unit reads only its own state (Li et al. 2018)."""
    h = relu(x @ W + u * h + b)
    return h


@tg.cell
def mut1(x, h, *, W=Param("D H", "zrx"), U=Param("H H", "rn"), b=Param("H", "zrn")):
    """The first mutation of the GRU found by search (Jozefowicz et al. 2015)."""
    z = sigmoid(x @ W.z + b.z)
    r = sigmoid(x @ W.r + h @ U.r + b.r)
    n = tanh((r * h) @ U.n + tanh(x @ W.x) + b.n)
    h = n * z + h * (1 - z)
    return h


@tg.cell
def multiplicative_lstm(x, h, c, *, Wm=Param("D H"), Um=Param("H H"), W=Param("D H", "fgio"), V=Param("H H", "fgio")):
    """The gates read m, the product of two maps, in the place of h (Krause et al. 2016)."""
    m = (x @ Wm) * (h @ Um)
    f = sigmoid(x @ W.f + m @ V.f)
    g = tanh(x @ W.g + m @ V.g)
    i = sigmoid(x @ W.i + m @ V.i)
    o = sigmoid(x @ W.o + m @ V.o)
    c = f * c + g * i
    h = o * tanh(c)
    return h, c


@tg.cell
def min_gru(x, h, *, W=Param("D H", "zn"), b=Param("H", "zn")):
    """A gate and a candidate that read the input alone (Feng et al. 2024)."""
    z = sigmoid(x @ W.z + b.z)
    n = x @ W.n + b.n
    h = (1 - z) * h + z * n
    return h


PAPERS = {cell.name: cell for cell in (coupled_lstm, janet, ran, light_gru, update_gate_rnn, fast_grnn,
                                       independent_rnn, mut1, multiplicative_lstm, min_gru)}  # fmt: skip

IDS, TARGETS = np.array([[1, 4, 2, 0], [3, 3, 1, 5]]), np.array([[4, 2, 0, 3], [3, 1, 5, 2]])


def language_model():
    """Two layers, from words to the loss."""
    return tg.models.BetterRnnlm(6, H=4, dropout=0.0, rng=0).loss(IDS, TARGETS)[0]


def encoder_decoder():
    """The last states of the encoder are the first of the decoder (Sutskever et al. 2014)."""
    return tg.models.Seq2seq(6, 3, 4, start=0, rng=0).loss(IDS[:, :3], TARGETS[:, :2])


def bidirectional():
    """One layer reads from left to right, another from right to left (Schuster and Paliwal 1997)."""
    return tg.models.Tagger(6, 3, 4, 5, rng=0).loss(IDS[:, :3], TARGETS[:, :3] % 5)


def attention():
    """The decoder looks at all states of the encoder (Luong et al. 2015)."""
    return tg.models.Seq2seq(6, 3, 4, start=0, attention="dot", rng=0).loss(IDS[:, :3], TARGETS[:, :2])


MODELS = {model.__name__: model for model in (language_model, encoder_decoder, bidirectional, attention)}
