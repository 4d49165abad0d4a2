"""Parity with PyTorch: forward and every gradient, float64, of each cell.

`nn.RNN`, `nn.LSTM` and `nn.GRU` are PyTorch's own; the other cells are the same equations in its operations, by its
autograd. Our weights are (in, out) and stacked in the book's order; TORCH_ORDER says how PyTorch stacks them.
"""

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.cell_samples import CELLS, H, T, assert_same, sample
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.cells.wrappers import projected

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

F = torch.nn.functional

#: our blocks in the order in which PyTorch stacks them; its z keeps the old state, where ours lets in the new
TORCH_ORDER = {"rnn": "h", "lstm": "ifgo", "gru_after": "rzh"}
OUR_ORDER = {"rnn": "h", "lstm": "fgio", "gru_after": "zrh"}
SIGN = {"gru_after": {"z": -1.0}}
MODULES = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru_after": torch.nn.GRU}

each_batch = pytest.mark.parametrize("N", [1, 5])
each_padding = pytest.mark.parametrize("padded", [False, True], ids=["full", "padded"])
each_way = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])


def restacked(name, array, order=None):
    """Our stack of gates as PyTorch has it: permuted, and z negated (σ(-a) = 1 - σ(a))."""
    ours, order = OUR_ORDER[name], order or TORCH_ORDER[name]
    blocks = dict(zip(ours, torch.chunk(array, len(ours), dim=-1), strict=True))
    return torch.cat([SIGN.get(name, {}).get(gate, 1.0) * blocks[gate] for gate in order], dim=-1)


def module_step(name, D, order=None):
    """A step of PyTorch's own module as a function of our parameters, differentiable by them."""
    module = MODULES[name](D, H, batch_first=True).double()

    def step(x, *state, **p):
        biases = (p["bx"], p["bh"]) if "bx" in p else (p["b"], torch.zeros_like(p["b"]))
        weights = {
            "weight_ih_l0": restacked(name, p["Wx"], order).T, "weight_hh_l0": restacked(name, p["Wh"], order).T,
            "bias_ih_l0": restacked(name, biases[0], order), "bias_hh_l0": restacked(name, biases[1], order),
        }  # fmt: skip
        given = tuple(one[None] for one in state)
        given = given if len(given) > 1 else given[0]
        _, new = torch.func.functional_call(module, weights, (x[:, None], given))
        return tuple(one[0] for one in (new if isinstance(new, tuple) else (new,)))

    return step


# -- the cells that PyTorch does not have ----------------------------------------------------------------------------


def gru(x, h, *, Wx, Wh, b):
    z, r, n = torch.chunk(F.linear(x, Wx.T, b), 3, dim=1)
    hz, hr, hn = torch.chunk(Wh, 3, dim=1)
    z, r = torch.sigmoid(z + h @ hz), torch.sigmoid(r + h @ hr)
    return (torch.lerp(h, torch.tanh(n + (r * h) @ hn), z),)


def mgu(x, h, *, Wx, Wh, b):
    f, n = torch.chunk(F.linear(x, Wx.T, b), 2, dim=1)
    hf, hn = torch.chunk(Wh, 2, dim=1)
    f = torch.sigmoid(f + h @ hf)
    return (torch.lerp(h, torch.tanh(n + (f * h) @ hn), f),)


def peephole_lstm(x, h, c, *, Wx, Wh, p, b):
    f, g, i, o = torch.chunk(F.linear(x, Wx.T, b) + F.linear(h, Wh.T), 4, dim=1)
    pf, pi, po = torch.chunk(p, 3)
    new = torch.sigmoid(torch.addcmul(f, pf, c)) * c + torch.sigmoid(torch.addcmul(i, pi, c)) * torch.tanh(g)
    return torch.sigmoid(torch.addcmul(o, po, new)) * torch.tanh(new), new


def layer_norm_lstm(x, h, c, *, Wx, Wh, b, gx, gh, gc, bc):
    width = 4 * H
    A = F.layer_norm(x @ Wx, (width,), gx) + F.layer_norm(h @ Wh, (width,), gh) + b
    f, g, i, o = torch.chunk(A, 4, dim=1)
    new = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(F.layer_norm(new, (H,), gc, bc)), new


STEPS = {one.__name__: one for one in (gru, mgu, peephole_lstm, layer_norm_lstm)}


def torch_step(name, D, order=None):
    return STEPS[name] if name in STEPS else module_step(name, D, order)


def test_every_cell_has_a_torch_side():
    assert sorted([*STEPS, *MODULES]) == sorted(one.name for one in CELLS)


# -- both sides ------------------------------------------------------------------------------------------------------


def torch_scan(step, xs, state, params, lengths, reverse):
    """The loop, with rows past their length held by where: PyTorch's packing refuses length 0."""
    hs = [None] * T
    for t in range(T)[:: -1 if reverse else 1]:
        here = (t < lengths)[:, None]
        new = step(xs[:, t], *state, **params)
        state = tuple(torch.where(here, one, old) for one, old in zip(new, state, strict=True))
        hs[t] = torch.where(here, new[0], 0.0)
    return torch.stack(hs, dim=1), state


def torch_side(step, s, weights, lengths, reverse):
    """Outputs, and the gradients of their weighted sum by xs, state and params."""
    xs = torch.tensor(s.xs, requires_grad=True)
    state = tuple(torch.tensor(one, requires_grad=True) for one in s.state)
    params = {name: torch.tensor(one, requires_grad=True) for name, one in s.params.items()}
    hs, last = torch_scan(step, xs, state, params, torch.tensor(lengths), reverse)
    sum((one * torch.tensor(w)).sum() for one, w in zip((hs, *last), weights, strict=True)).backward()
    outputs = tuple(one.detach().numpy() for one in (hs, *last))
    grads = (xs.grad, tuple(one.grad for one in state), {name: one.grad for name, one in params.items()})
    return outputs, grads


def our_side(cell, s, weights, lengths, reverse):
    def loss(xs, state, params):
        hs, last = tg.scan(cell, xs, state, params, lengths=lengths, reverse=reverse)
        return sum(tg.sum(one * w) for one, w in zip((hs, *last), weights, strict=True))

    hs, last = tg.scan(cell, s.xs, s.state, s.params, lengths=lengths, reverse=reverse)
    return (hs, *last), tg.grad(loss, argnums=(0, 1, 2))(s.xs, s.state, s.params)


def weights_for(s, width=H):
    rng = np.random.default_rng(4)
    return [rng.normal(size=(*s.xs.shape[:2], width)), *(rng.normal(size=one.shape) for one in s.state)]


@pytest.mark.parametrize("cell", CELLS, ids=lambda one: one.name)
@each_batch
@each_padding
@each_way
def test_outputs_and_all_gradients(cell, N, padded, reverse):
    s = sample(cell, N)
    lengths = np.array([0, 3, T, 1, 5][:N] if padded and N > 1 else [3] * N if padded else [T] * N)
    step, weights = torch_step(cell.name, s.xs.shape[2]), weights_for(s)
    theirs = torch_side(step, s, weights, lengths, reverse)
    assert_same(our_side(cell, s, weights, lengths, reverse), theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", MODULES)
def test_the_whole_module_in_one_call(name):
    """Our scan is what PyTorch's own loop over time gives, not only its steps."""
    cell, order = BUILT_IN[name], TORCH_ORDER[name]
    s = sample(cell)
    p = {key: restacked(name, torch.tensor(one), order) for key, one in s.params.items()}
    module = MODULES[name](s.xs.shape[2], H, batch_first=True).double()
    with torch.no_grad():
        module.weight_ih_l0.copy_(p["Wx"].T)
        module.weight_hh_l0.copy_(p["Wh"].T)
        module.bias_ih_l0.copy_(p["bx"] if "bx" in p else p["b"])
        module.bias_hh_l0.copy_(p["bh"] if "bh" in p else 0 * p["b"])
        state = tuple(torch.tensor(one)[None] for one in s.state)
        hs, last = module(torch.tensor(s.xs), state if len(state) > 1 else state[0])
    last = tuple(one[0].numpy() for one in (last if isinstance(last, tuple) else (last,)))
    assert_same(tg.scan(cell, s.xs, s.state, s.params), (hs.numpy(), last), rtol=1e-12, atol=1e-14)


def test_projected_lstm_is_the_one_of_pytorch():
    """LSTMP: `proj_size` there; its weight_hr is our P, transposed."""
    P = 2
    cell = projected(tg.lstm)
    s = sample(cell, P=P)
    module = torch.nn.LSTM(s.xs.shape[2], H, proj_size=P, batch_first=True).double()

    def step(x, h, c, *, Wx, Wh, b, P):
        weights = {
            "weight_ih_l0": restacked("lstm", Wx).T, "weight_hh_l0": restacked("lstm", Wh).T,
            "bias_ih_l0": restacked("lstm", b), "bias_hh_l0": torch.zeros_like(b), "weight_hr_l0": P.T,
        }  # fmt: skip
        _, (h, c) = torch.func.functional_call(module, weights, (x[:, None], (h[None], c[None])))
        return h[0], c[0]

    weights, lengths = weights_for(s, P), np.array([0, 3, T, 1, 5])
    theirs = torch_side(step, s, weights, lengths, False)
    assert_same(our_side(cell, s, weights, lengths, False), theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["lstm", "gru_after"])
def test_pitfall_17_gate_orders(name):
    """Weights handed over as they are stacked give another cell; permuted (and with z turned round), the same one."""
    cell = BUILT_IN[name]
    s = sample(cell)
    weights, lengths = weights_for(s), np.full(5, T)
    ours = our_side(cell, s, weights, lengths, False)
    assert_same(ours, torch_side(torch_step(name, 3), s, weights, lengths, False), rtol=1e-10, atol=1e-12)
    wrong, _ = torch_side(torch_step(name, 3, OUR_ORDER[name]), s, weights, lengths, False)
    assert np.abs(wrong[0] - ours[0][0]).max() > 0.1


def test_pitfall_17_the_sense_of_z(monkeypatch):
    """Right order alone is not enough for a GRU: PyTorch's z keeps what ours replaces."""
    s = sample(tg.gru_after)
    weights, lengths = weights_for(s), np.full(5, T)
    monkeypatch.setitem(SIGN, "gru_after", {})
    wrong, _ = torch_side(torch_step("gru_after", 3), s, weights, lengths, False)
    assert np.abs(wrong[0] - tg.scan(tg.gru_after, s.xs, s.state, s.params)[0]).max() > 0.1
