"""gradient_flow: every number against another way to compute it."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.flow_references import (
    parts_by_copies,
    states_by_perturbation,
    step_jacobian,
    truncated_gradients,
    unrolled,
)
from tinygrad_rnn import Param, Tensor, cell, sigmoid, tanh
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.engine.graph import newest_first
from tinygrad_rnn.engine.op import OPS
from tinygrad_rnn.flow import gradient_flow
from tinygrad_rnn.flow.jacobian import jacobian
from tinygrad_rnn.flow.step_table import StepTable
from tinygrad_rnn.flow.truncation import Cut
from tinygrad_rnn.tracing.recurrences import recurrences

N, T, D, H = 2, 7, 3, 4
CELLS = list(BUILT_IN.values())


@cell
def in_blocks(x, h, c, *, Wx=Param("D H", "fgio"), Wh=Param("H H", "fgio"), b=Param("H", "fgio")):
    """An LSTM that slices its weights, the last ones between c and h."""
    f = sigmoid(x @ Wx.f + h @ Wh.f + b.f)
    g = tanh(x @ Wx.g + h @ Wh.g + b.g)
    i = sigmoid(x @ Wx.i + h @ Wh.i + b.i)
    c = f * c + g * i
    o = sigmoid(x @ Wx.o + h @ Wh.o + b.o)
    h = o * tanh(c)
    return h, c


def given(one, T=T, seed=0, **init):
    rng = np.random.default_rng(seed)
    params = one.init(rng, D=D, H=H, dtype=np.float64, **init)
    return rng.standard_normal((N, T, D)), params


def weighted(seed=5):
    """A loss of all outputs and of the last state."""
    rng = np.random.default_rng(seed)
    ws, w = rng.standard_normal((N, T, H)), rng.standard_normal((N, H))
    return lambda hs, state: (hs * ws).sum() + (state[-1] * w).sum()


def by_scan(one, xs, params, loss, **options):
    hs, state = tg.scan(one, xs, None, params, **options)
    return loss(hs, state)


def steps_of(y):
    return [StepTable(row) for row in recurrences(newest_first([y.node])[::-1])]


def assert_close(got, right, tolerance=1e-12):
    assert np.shape(got) == np.shape(right)
    assert np.allclose(got, right, rtol=tolerance, atol=tolerance)


def assert_rejects(got, right):
    """The planted mistake: everything a step late."""
    with pytest.raises(AssertionError):
        assert_close(np.roll(got, 1, axis=0), right)


# -- states ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [by_scan, lambda *a: unrolled(*a)], ids=["scan", "loop"])
@pytest.mark.parametrize("one", [*CELLS, in_blocks], ids=lambda one: one.name)
def test_dh_is_the_gradient_by_the_state_after_each_step(one, run):
    xs, params = given(one)
    (layer,) = gradient_flow(run(one, xs, params, weighted())).layers
    right = states_by_perturbation(one, xs, params, weighted(), (N, H))
    assert list(layer.states) == one.states == layer.carried
    for name, norms in layer.states.items():
        expected = [np.linalg.norm(g) for g in right[name]]
        assert_close(norms, expected)
        assert_rejects(norms, expected)


def test_dh_by_bptt_written_by_hand():
    xs, params = given(tg.rnn)
    Wx, Wh, b = (one.numpy() for one in params.values())
    hs = [np.zeros((N, H))]
    for t in range(T):
        hs.append(np.tanh(xs[:, t] @ Wx + hs[-1] @ Wh + b))
    dh, expected = np.ones((N, H)), []
    for t in reversed(range(T)):
        expected.insert(0, np.sqrt((dh**2).sum()))
        dh = (dh * (1 - hs[t + 1] ** 2)) @ Wh.T
    h0 = Tensor(np.zeros((N, H)), requires_grad=True)
    last, _ = tg.scan(tg.rnn, xs, (h0,), params)
    (layer,) = gradient_flow(last[:, -1]).layers  # ones come in, for a Tensor that is no scalar
    assert_close(layer.states["h"], expected)
    assert_close(layer.initial["h"], np.sqrt((dh**2).sum()))


@pytest.mark.parametrize("one", [tg.lstm, in_blocks], ids=lambda one: one.name)
def test_a_loss_of_the_memory_alone(one):
    """The last h and what it is made of are not in the graph."""
    xs, params = given(one)
    loss = lambda hs, state: (state[1] * state[1]).sum()
    (layer,) = gradient_flow(by_scan(one, xs, params, loss)).layers
    right = states_by_perturbation(one, xs, params, loss, (N, H))
    for name, norms in layer.states.items():
        assert_close(norms, [np.linalg.norm(g) for g in right[name]])
    assert layer.states["h"][-1] == 0


def test_a_direction_that_runs_backwards_and_short_rows():
    xs, params = given(tg.lstm)
    backwards = gradient_flow(by_scan(tg.lstm, xs, params, weighted(), reverse=True)).layers[0]
    forwards = gradient_flow(by_scan(tg.lstm, xs[:, ::-1], params, lambda hs, s: weighted()(hs[:, ::-1], s))).layers[0]
    assert (backwards.name, backwards.times) == ("lstm, reversed", [6, 5, 4, 3, 2, 1, 0])
    for name in ("h", "c"):
        assert_close(backwards.states[name], forwards.states[name])
    short = gradient_flow(by_scan(tg.lstm, xs, params, weighted(), lengths=np.array([T - 3, T - 2]))).layers[0]
    assert short.carried == ["h", "c"] and not np.isnan([*short.states["h"], *short.states["c"]]).any()
    assert short.states["c"][-1] == pytest.approx(short.states["c"][-2])  # a state that is kept keeps its gradient


def test_layers_and_windows():
    xs, params = given(tg.lstm)
    above = tg.gru.init(np.random.default_rng(2), D=H, H=H, dtype=np.float64)
    hs, _ = tg.scan(tg.lstm, xs, None, params)
    hs, state = tg.scan(tg.gru, hs, None, above)
    hs2, _ = tg.scan(tg.gru, hs, state, above)
    flow = gradient_flow(hs2.sum())
    assert [(layer.name, len(layer.times)) for layer in flow.layers] == [("lstm", T), ("gru", 2 * T)]
    assert flow.layers[1].times == list(range(2 * T))
    both = tg.scan(tg.rnn, xs, None, given(tg.rnn)[1])[0] + tg.scan(tg.rnn, xs, None, given(tg.rnn)[1])[0]
    assert [layer.name for layer in gradient_flow(both.sum()).layers] == ["rnn 1", "rnn 2"]


def test_a_residual_output_is_a_state_that_carries_nothing():
    one = tg.residual(tg.lstm)
    params = one.init(np.random.default_rng(0), D=H, H=H)
    hs, _ = tg.scan(one, np.ones((N, T, H), "f"), None, params)
    (layer,) = gradient_flow(hs[:, -1].sum()).layers
    assert layer.carried == ["h", "c"]
    assert layer.states["y"][:-1] == [0.0] * (T - 1)
    assert layer.verdict == "vanishing"


def test_it_can_be_watched():
    xs, params = given(tg.lstm)
    y = by_scan(tg.lstm, xs, params, weighted())
    with tg.trace_nans():
        assert gradient_flow(y) is not None


# -- weights ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", [*CELLS, in_blocks], ids=lambda one: one.name)
def test_the_parts_of_the_steps_and_their_sum(one):
    xs, params = given(one)
    y = by_scan(one, xs, params, weighted())
    (layer,) = gradient_flow(y).layers
    right = parts_by_copies(one, xs, params, weighted())
    y.backward()
    assert sorted(layer.weights) == sorted(params)
    for name, norms in layer.weights.items():
        expected = [np.linalg.norm(part[name]) for part in right]
        assert_close(norms, expected)
        assert_rejects(norms, expected)
        assert_close(sum(part[name] for part in right), params[name].grad)
        assert_close(layer.gradients[name], np.linalg.norm(params[name].grad))


def test_weights_without_names_and_inputs_that_need_a_gradient():
    xs, params = given(in_blocks)
    bare = {name: Tensor(one.numpy(), requires_grad=True) for name, one in params.items()}
    y = by_scan(in_blocks, Tensor(xs, requires_grad=True), bare, weighted())
    layer, right = gradient_flow(y).layers[0], gradient_flow(by_scan(in_blocks, xs, params, weighted())).layers[0]
    assert sorted(layer.weights) == ["Wh", "Wx", "b"]
    for name in params:
        assert_close(layer.weights[name], right.weights[name])


def test_weights_that_are_computed():
    xs, params = given(in_blocks)
    raw = {name: Tensor(one.numpy() / 2, requires_grad=True) for name, one in params.items()}
    y = by_scan(in_blocks, xs, {name: 2 * one for name, one in raw.items()}, weighted())
    flow, right = gradient_flow(y), gradient_flow(by_scan(in_blocks, xs, params, weighted()))
    assert sorted(flow.layers[0].weights) == ["Wh", "Wx", "b"]
    for name in params:
        assert_close(flow.layers[0].weights[name], right.layers[0].weights[name])
        assert_close(flow.layers[0].states["c"], right.layers[0].states["c"])
    assert_close(list(flow.truncation.values()), list(right.truncation.values()))


def test_an_input_that_is_always_the_same_is_no_weight():
    """As many things are used by every step as there are weights, but one of them is x."""
    params, x = given(tg.rnn)[1], Tensor(np.ones((N, D)), requires_grad=True)
    h = np.zeros((N, H))
    for _ in range(3):
        h = tg.rnn(x, h, **{**params, "Wx": params["Wx"].numpy()})
    assert list(gradient_flow(h.sum()).layers[0].weights) == ["Wh", "b"]


def test_frozen_weights_are_left_out():
    xs, params = given(tg.lstm)
    frozen = {**params, "Wx": params["Wx"].numpy()}
    (layer,) = gradient_flow(by_scan(tg.lstm, xs, frozen, weighted())).layers
    assert list(layer.weights) == ["Wh", "b"]
    h0 = Tensor(np.zeros((N, H)), requires_grad=True)
    hs, _ = tg.scan(tg.rnn, xs, (h0,), {name: one.numpy() for name, one in given(tg.rnn)[1].items()})
    flow = gradient_flow(hs.sum())
    assert (flow.layers[0].weights, flow.truncation) == ({}, {})


# -- gates -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [0.95, 0.7])
def test_saturation_is_the_share_beyond_the_threshold(threshold):
    xs, params = given(tg.lstm)
    flow = gradient_flow(by_scan(tg.lstm, 3 * xs, params, weighted()), threshold=threshold)
    Wx, Wh, b = (one.numpy() for one in params.values())
    h = c = np.zeros((N, H))
    right = {name: [] for name in ("f", "g", "i", "o", "tanh(c')")}
    for t in range(T):
        f, g, i, o = np.split(3 * xs[:, t] @ Wx + h @ Wh + b, 4, axis=1)
        f, g, i, o = 1 / (1 + np.exp(-f)), np.tanh(g), 1 / (1 + np.exp(-i)), 1 / (1 + np.exp(-o))
        c = f * c + g * i
        h = o * np.tanh(c)
        for name, one in zip(right, (f, g, i, o, np.tanh(c))):
            low = -threshold if name in ("g", "tanh(c')") else 1 - threshold
            right[name].append(np.mean((one > threshold) | (one < low)))
    assert list(flow.layers[0].gates) == list(right)
    assert_close(list(flow.layers[0].gates.values()), list(right.values()))
    assert_rejects(np.transpose(list(flow.layers[0].gates.values())), np.transpose(list(right.values())))


def test_the_slope_of_a_gate_is_its_mean_derivative():
    """1 - y² of tanh, y (1 - y) of σ, at each step."""
    xs, params = given(tg.lstm)
    (layer,) = gradient_flow(by_scan(tg.lstm, 3 * xs, params, weighted())).layers
    seen = tg.gate_values(tg.lstm, 3 * xs, params=params)
    right = {name: (1 - y**2 if name in ("g", "tanh(c')") else y * (1 - y)).mean(axis=(0, 2))
             for name, y in seen.gates.items()}  # fmt: skip
    assert list(layer.slopes) == list(right)
    assert_close(list(layer.slopes.values()), list(right.values()))
    assert_rejects(np.transpose(list(layer.slopes.values())), np.transpose(list(right.values())))


def test_gates_have_the_names_of_the_code():
    assert list(gradient_flow(tg.gru, steps=2).layers[0].gates) == ["z", "r", "h_new"]
    assert list(gradient_flow(in_blocks, steps=2).layers[0].gates) == ["f", "g", "i", "o", "tanh(c')"]

    @cell
    def one_way_or_the_other(x, h, *, Wx=Param("D H"), which=True):
        return sigmoid(x @ Wx + h) if which else sigmoid(tanh(x @ Wx + h))

    assert list(gradient_flow(one_way_or_the_other, steps=2).layers[0].gates) == ["h'"]
    assert list(gradient_flow(one_way_or_the_other, steps=2, which=False).layers[0].gates) == ["tanh 1", "sigmoid 1"]


def test_gates_are_what_declares_limits_and_saves_its_output(monkeypatch):
    for name in ("relu", "leaky_relu"):
        monkeypatch.setattr(OPS[name], "traits", replace(OPS[name].traits, limits=(0, 6)))

    @cell
    def limited(x, h, *, W=Param("D H")):
        r = tg.relu(x @ W)
        h = tg.leaky_relu(r - h)  # its rule does not save the output
        return h

    W, xs = np.eye(3) * 2, np.linspace(0, 4.2, 18).reshape(3, 2, 3)
    loss = by_scan(limited, xs, {"W": tg.tensor(W, requires_grad=True)}, lambda hs, state: (hs * hs).sum())
    (layer,) = gradient_flow(loss, threshold=0.9).layers
    assert list(layer.gates) == ["r"]
    r = 2 * xs
    assert_close(layer.gates["r"], [np.mean((r[:, t] > 5.4) | (r[:, t] < 0.6)) for t in range(2)])


def test_a_cell_without_gates():
    flow = gradient_flow(linear, steps=3)
    assert flow.layers[0].gates == {}
    assert "saturated" not in flow.table()


# -- Jacobians -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", [*CELLS, in_blocks], ids=lambda one: one.name)
def test_the_jacobian_of_a_step(one):
    xs, params = given(one)
    y = by_scan(one, xs, params, weighted(), mode="eager")
    (layer,), (row,) = gradient_flow(y).layers, steps_of(y)
    arrays = {name: own.numpy() for name, own in params.items()}
    state, right = [np.zeros((1, H))] * len(one.states), []
    for t in range(T):
        right.append(step_jacobian(one, xs[:1, t], state, arrays))
        state = one(xs[:1, t], *state, **arrays)
        state = state if isinstance(state, tuple) else (state,)
    found = [jacobian(row, t) for t in range(1, T)]
    assert np.isnan(layer.jacobian[0])  # the state before needs no gradient
    assert_close(found, right[1:])
    assert_close(layer.jacobian[1:], [max(abs(np.linalg.eigvals(J))) for J in right[1:]], 1e-9)
    assert layer.singular[0] == []
    assert_close(layer.singular[1:], [np.linalg.svd(J)[1] for J in right[1:]], 1e-9)
    assert_rejects(found, right[1:])


def test_the_jacobian_of_the_first_step_needs_its_state():
    flow = gradient_flow(tg.lstm, steps=3, N=N, D=D, H=H)
    assert not np.isnan(flow.layers[0].jacobian).any()
    assert list(flow.layers[0].initial) == ["h", "c"]


def test_large_states_have_no_jacobian_and_say_so():
    flow = gradient_flow(tg.lstm, steps=2, H=257)
    assert flow.layers[0].jacobian is None
    assert flow.notes == ["lstm: no Jacobian: a state has 514 numbers, more than 512"]
    assert flow.notes[0] in str(flow)
    off = gradient_flow(tg.lstm, steps=2, jacobian=False)
    assert (off.layers[0].jacobian, off.notes) == (None, [])


# -- truncation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", [tg.rnn, tg.lstm, tg.peephole_lstm, in_blocks], ids=lambda one: one.name)
def test_truncation_is_detach_before_every_kth_step(one):
    xs, params = given(one)
    y = by_scan(one, xs, params, weighted(), mode="eager")
    flow, cut = gradient_flow(y), Cut(newest_first([y.node]), steps_of(y))
    full = truncated_gradients(one, xs, params, weighted(), T)
    assert list(flow.truncation) == [1, 2, 4]
    for k, cosine in flow.truncation.items():
        right = truncated_gradients(one, xs, params, weighted(), k)
        found = cut.gradients([own.node for own in params.values()], k)
        assert_close(np.concatenate([g.ravel() for g in found]), right)
        assert cosine == pytest.approx(right @ full / np.linalg.norm(right) / np.linalg.norm(full), abs=1e-12)
        wrong = truncated_gradients(one, xs, params, weighted(), k + 1)
        with pytest.raises(AssertionError):
            assert_close(np.concatenate([g.ravel() for g in found]), wrong)


def test_one_window_is_all_of_the_gradient():
    xs, params = given(tg.gru)
    y = by_scan(tg.gru, xs, params, weighted(), mode="eager")
    found = Cut(newest_first([y.node]), steps_of(y)).gradients([one.node for one in params.values()], T)
    y.backward()
    for g, one in zip(found, params.values()):
        assert_close(g, one.grad)
    assert gradient_flow(tg.lstm, steps=1).truncation == {}


def test_windows_that_were_detached_already_lose_nothing():
    xs, params = given(tg.lstm, T=8)
    hs, state = tg.scan(tg.lstm, xs[:, :4], None, params)
    more, _ = tg.scan(tg.lstm, xs[:, 4:], tg.detach(state), params)
    flow = gradient_flow(hs.sum() + more.sum())
    assert [len(layer.times) for layer in flow.layers] == [4, 4]
    assert list(flow.truncation) == [1, 2]


# -- a cell that the notes' experiment needs ---------------------------------------------------------------------------


@cell
def linear(x, h, *, Wx=Param("D H"), Wh=Param("H H")):
    """No nonlinearity: each step back multiplies dh by Whᵀ.  h' = x Wx + h Wh"""
    h = x @ Wx + h @ Wh
    return h


@pytest.mark.parametrize(("seed", "largest", "verdict"), [
    (3, None, None), (3, 0.5, "vanishing"), (3, 3.0, "exploding"), (7, 0.8, "vanishing"), (7, 4.0, "exploding"),
])  # fmt: skip
def test_the_experiment_of_the_notes(seed, largest, verdict):
    """N = 2, H = 3, T = 20, dh = ones: ‖dh Whᵀ Whᵀ ...‖ is what a linear cell's dh is."""
    N, H, T = 2, 3, 20
    Wh = np.random.RandomState(seed).randn(H, H)
    Wh = Wh if largest is None else Wh * (largest / np.linalg.norm(Wh, 2))
    dh, norms = np.ones((N, H)), []
    for _ in range(T):
        dh = np.matmul(dh, Wh.T)
        norms.append(np.sqrt(np.sum(dh**2)) / N)
    params = {"Wx": np.ones((1, H)), "Wh": Wh}
    (layer,) = gradient_flow(linear, steps=T, N=N, params=params).layers
    assert_close(np.array(layer.states["h"]) / N, [np.sqrt(N * H) / N, *norms[:-1]][::-1], 1e-12 * max(1, *norms))
    assert layer.initial["h"] / N == pytest.approx(norms[-1], rel=1e-12)
    assert np.allclose(layer.jacobian, max(abs(np.linalg.eigvals(Wh))))
    assert np.allclose(layer.singular, np.linalg.svd(Wh)[1])
    largest = np.linalg.norm(Wh, 2)
    assert all(after <= before * largest * (1 + 1e-12) for before, after in itertools.pairwise(norms))
    if verdict is not None:
        assert layer.verdict == verdict
        assert layer.rates["h"] == pytest.approx(max(abs(np.linalg.eigvals(Wh))), rel=0.2)


def test_beside_it_the_memory_of_an_lstm_stays():
    rng = np.random.default_rng(0)
    vanished = gradient_flow(linear, N=2, params={"Wx": np.ones((1, 3)), "Wh": 0.5 * np.eye(3)}).layers[0]
    params = tg.lstm.init(rng, D=1, H=3, dtype=np.float64, init={"b": {"f": 5.0}})
    kept = gradient_flow(tg.lstm, N=2, params=params).layers[0]
    assert vanished.rates["h"] == pytest.approx(0.5) and vanished.verdict == "vanishing"
    assert kept.rates["c"] > 0.95 and kept.verdict == "steady" and kept.strongest == "c"
    assert kept.states["c"][0] > 0.5 * kept.states["c"][-1]
    assert min(kept.states["c"]) > 0
