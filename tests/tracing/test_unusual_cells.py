"""Cells that do unusual things with their states: their steps are found, and every gradient is the right one."""

import math

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import Param, Tensor, cell, detach, draw, gradient_flow, rnn, scan, tanh
from tinygrad_rnn.draw.model import of_tensor, view
from tinygrad_rnn.engine.expansion import expanded
from tinygrad_rnn.engine.graph import newest_first
from tinygrad_rnn.tracing.recurrences import recurrences

N, T, D, H = 2, 5, 3, 4


@cell
def keeps(x, h, m, *, Wx=Param("D H"), Wh=Param("H H"), Wm=Param("H H")):
    return tanh(x @ Wx + h @ Wh + m @ Wm), m


@cell
def passes_on(x, h, m, *, Wx=Param("D H"), Wh=Param("H H")):
    return tanh(x @ Wx + h @ Wh), m


@cell
def swaps(x, h, c, *, Wx=Param("D H"), Wh=Param("H H")):
    return c, tanh(x @ Wx + h @ Wh)


@cell
def reads_its_memory_alone(x, h, c, *, Wx=Param("D H"), Wh=Param("H H"), Wc=Param("H H")):
    return tanh(x @ Wx + c @ Wh), tanh(c @ Wc + x @ Wx)


@cell
def reads_no_state(x, h, *, Wx=Param("D H")):
    return tanh(x @ Wx)


@cell
def every_third(x, h, m, *, Wx=Param("D H"), Wh=Param("H H"), Wm=Param("H H"), clock=None):
    clock.append(0)
    return tanh(x @ Wx + h @ Wh + m @ Wm), m if len(clock) % 3 else tanh(h @ Wm)


@cell
def goes_two_ways(x, h, *, Wx=Param("D H"), Wh=Param("H H"), clock=None):
    clock.append(0)
    return tanh(x @ Wx + h @ Wh) if len(clock) % 2 else tg.sigmoid(0.5 * (x @ Wx) * tanh(h @ Wh))


@cell
def calls(x, h, c, *, Wx=Param("D H"), Wh=Param("H H"), b=Param("H")):
    return rnn(x, h, Wx=Wx, Wh=Wh, b=b), rnn(x, c, Wx=Wx, Wh=Wh, b=b) * 0.5


ODD = [keeps, passes_on, swaps, reads_its_memory_alone, reads_no_state, every_third, goes_two_ways, calls]


def given(one, seed=0):
    """xs, states, parameters, weights of the outputs in the loss."""
    rng = np.random.default_rng(seed)
    params = one.init(rng, D=D, H=H, dtype=np.float64)
    return rng.standard_normal((N, T, D)), [rng.standard_normal((N, H)) for _ in one.states], params, \
        rng.standard_normal((T, N, H))  # fmt: skip


def config(one):
    return {"clock": []} if "clock" in one.config else {}


def looped(one, xs, state, params, ws, added=None):
    """The loss by a loop; ``added`` is (step, number of a state, what is added to it after the step)."""
    total, more = 0, config(one)
    for t in range(T):
        new = one(xs[:, t], *state, **params, **more)
        state = list(new) if isinstance(new, tuple) else [new]
        if added is not None and added[0] == t:
            state[added[1]] = state[added[1]] + added[2]
        total = total + (state[0] * ws[t]).sum()
    return total + sum((last * last).sum() for last in state)


def scanned(one, xs, state, params, ws):
    hs, last = scan(one, xs, tuple(state), {**params, **config(one)})
    return (hs * ws.transpose(1, 0, 2)).sum() + sum((one * one).sum() for one in last)


def by_differences(f, shape, far=1e-5):
    """The norm of the gradient of ``f(d)`` at zero."""
    found = np.zeros(shape)
    for k in np.ndindex(*shape):
        d = np.zeros(shape)
        d[k] = far
        found[k] = (f(d) - f(-d)) / (2 * far)
    return np.linalg.norm(found)


def rows_of(y):
    """The rows of a graph in which planned scans are expanded, as tools see it."""
    with expanded([y.node]) as swaps:
        return recurrences(newest_first([swaps.get(y.node, y.node)])[::-1])


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("run", [looped, scanned])
@pytest.mark.parametrize("one", ODD, ids=lambda one: one.name)
def test_every_state_of_every_step_has_the_gradient_of_differences(one, run):
    xs, state, params, ws = given(one)
    arrays = {name: param.numpy() for name, param in params.items()}
    y = run(one, xs, [Tensor(array, requires_grad=True) for array in state], params, ws)
    (layer,), (row,) = gradient_flow(y).layers, view(of_tensor(y)).rows
    assert (len(layer.times), row.steps, row.cell) == (T, T, one.name)
    for k, name in enumerate(one.states):
        right = [by_differences(lambda d, t=t, k=k: looped(one, xs, state, arrays, ws, (t, k, d)), (N, H))
                 for t in range(T)]  # fmt: skip
        assert np.allclose(layer.states[name], right, rtol=1e-6, atol=1e-8)
        assert np.allclose(row.gradients[f"d{name}"], right, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("one", ODD, ids=lambda one: one.name)
def test_every_picture_of_them_can_be_written(one):
    xs, state, params, ws = given(one)
    y = scanned(one, xs, [Tensor(array, requires_grad=True) for array in state], params, ws)
    for level in ("op", "cell", "module"):
        picture = draw(y, level=level)
        assert one.name in picture.text() and picture.source and picture.mermaid() and picture.to_json()


def test_states_that_are_one_tensor_have_its_gradient():
    @cell
    def twice(x, h, c, *, Wx=Param("D H"), Wh=Param("H H")):
        new = tanh(x @ Wx + (h + 0.5 * c) @ Wh)
        return new, new

    xs, _, params, ws = given(twice)
    arrays, start = {name: param.numpy() for name, param in params.items()}, np.zeros((N, H))

    def loss(added, at):
        total, h = 0.0, start
        for t in range(T):
            h = np.tanh(xs[:, t] @ arrays["Wx"] + 1.5 * h @ arrays["Wh"]) + (added if t == at else 0)
            total += (h * ws[t]).sum()
        return total + 2 * (h * h).sum()

    layer = gradient_flow(scanned(twice, xs, [start, start], params, ws)).layers[0]
    right = [by_differences(lambda d, t=t: loss(d, t), (N, H)) for t in range(T)]
    assert np.allclose(layer.states["h"], right, rtol=1e-6)
    assert layer.states["c"] == layer.states["h"]
    h = np.tanh(xs[:1, 0] @ arrays["Wx"])  # the Jacobian of the one value that there is, in batch row 0
    h = np.tanh(xs[:1, 1] @ arrays["Wx"] + 1.5 * h @ arrays["Wh"])
    J = (1 - h * h).T * (1.5 * arrays["Wh"].T)
    assert layer.jacobian[1] == pytest.approx(max(abs(np.linalg.eigvals(J))))


def encoder_and_decoder(mode="auto"):
    """An encoder whose last state is a state of the decoder, which gives it on as it is."""
    xs, _, params, ws = given(keeps)
    inner = rnn.init(np.random.default_rng(3), D=D, H=H, dtype=np.float64)
    _, (last,) = scan(rnn, xs, None, inner, mode=mode)
    ys, (_, kept) = scan(keeps, xs, (Tensor(np.zeros((N, H))), last), params, mode=mode)
    return (ys * ws.transpose(1, 0, 2)).sum(), last, kept, (xs, params, inner, ws)


def test_an_encoder_stays_one_where_its_state_is_passed_on():
    y, last, kept, (xs, params, inner, ws) = encoder_and_decoder("eager")
    assert kept.node is last.node and kept.node.run.cell is rnn and kept.name in (None, "h") and last.node.name == "h"
    arrays, weights = ({name: one.numpy() for name, one in own.items()} for own in (params, inner))

    def loss(added, at):
        h = np.zeros((N, H))
        for t in range(T):
            h = rnn(xs[:, t], h, **weights) + (added if t == at else 0)
        return sum((out * w).sum() for out, w in zip(decoded(h), ws))

    def decoded(m):
        h = np.zeros((N, H))
        for t in range(T):
            h, m = keeps(xs[:, t], h, m, **arrays)
            yield h

    right = [by_differences(lambda d, t=t: loss(d, t), (N, H)) for t in range(T)]
    flow = gradient_flow(y)
    assert [(layer.name, len(layer.times)) for layer in flow.layers] == [("rnn", T), ("keeps", T)]
    assert np.allclose(flow.layers[0].states["h"], right, rtol=1e-6)
    assert flow.layers[1].initial["m"] == pytest.approx(right[-1])
    graph = view(of_tensor(y))
    assert [row.cell for row in graph.rows] == ["rnn", "keeps"]
    assert np.allclose(graph.rows[0].gradients["dh"], right, rtol=1e-6)


def test_truncation_cuts_a_state_that_is_passed_on():
    xs, state, params, ws = given(keeps)

    def loss(params, k):
        states, total = [np.zeros((N, H)), state[1] @ params["Wm"]], 0
        for t in range(T):
            states = keeps(xs[:, t], *(detach(tuple(states)) if t and t % k == 0 else states), **params)
            total = total + (states[0] * ws[t]).sum()
        return total

    flow = gradient_flow(loss(params, T))
    arrays = {name: param.numpy() for name, param in params.items()}
    full, cut = (np.concatenate([g.ravel() for g in tg.grad(lambda p, k=k: loss(p, k))(arrays).values()])
                 for k in (T, 2))  # fmt: skip
    assert flow.truncation[2] == pytest.approx(full @ cut / np.linalg.norm(full) / np.linalg.norm(cut))


def test_a_state_without_a_gradient_is_not_known_and_stops_nothing():
    @cell
    def counts(x, h, n, *, Wx=Param("D H"), Wh=Param("H H")):
        return tanh(x @ Wx + h @ Wh), n + 1

    xs, state, params, ws = given(counts)
    hs, _ = scan(counts, xs, (state[0], np.zeros((N, H), np.int64)), params)
    plain, _ = scan(passes_on, xs, tuple(state), params)
    (layer,), (right,) = (gradient_flow((one * ws.transpose(1, 0, 2)).sum()).layers for one in (hs, plain))
    assert all(map(math.isnan, layer.states["n"])) and layer.carried == ["h"]
    assert layer.states["h"] == right.states["h"]
    assert np.allclose(layer.jacobian[1:], right.jacobian[1:]) and not np.isnan(layer.jacobian[1:]).any()
    assert layer.verdict == right.verdict


# -- what is one row, and what is two ----------------------------------------------------------------------------------


def test_windows_of_a_state_that_is_passed_on_are_one_row():
    xs, state, params, _ = given(passes_on)
    tensors = tuple(Tensor(one, requires_grad=True) for one in state)
    hs, last = scan(passes_on, xs, tensors, params)
    more, _ = scan(passes_on, xs, last, params)
    assert [len(row.steps) for row in rows_of((hs + more).sum())] == [2 * T]


def test_two_scans_of_one_first_state_are_two_rows():
    xs, state, params, _ = given(passes_on)
    tensors = tuple(Tensor(one, requires_grad=True) for one in state)
    both = [scan(passes_on, xs, tensors, params)[0] for _ in range(2)]
    assert [len(row.steps) for row in rows_of((both[0] + both[1]).sum())] == [T, T]


def test_two_ways_on_from_one_state_are_a_row_and_another_one():
    xs, state, params, _ = given(keeps)
    _, last = scan(keeps, xs, tuple(Tensor(one, requires_grad=True) for one in state), params)
    both = [scan(keeps, xs, last, params)[0] for _ in range(2)]
    assert [len(row.steps) for row in rows_of((both[0] + both[1]).sum())] == [2 * T, T]


def test_layers_of_one_set_of_parameters_are_two_rows():
    params = rnn.init(np.random.default_rng(0), D=H, H=H)
    h = k = np.zeros((N, H), "f")
    for _ in range(3):
        h = rnn(np.ones((N, H), "f"), h, **params)
        k = rnn(h, k, **params)
    assert [len(row.steps) for row in rows_of(k.sum())] == [3, 3]


@pytest.mark.parametrize("change", [lambda h: h * 0.5, lambda h: tg.tanh(h + h), lambda h: h[:, ::-1]])
def test_a_state_may_be_changed_between_steps(change):
    xs, state, params, _ = given(rnn)
    h = state[0]
    for t in range(T):
        h = change(rnn(xs[:, t], h, **params))
    (layer,) = gradient_flow(h.sum()).layers
    assert (len(layer.times), layer.carried) == (T, ["h"])


def test_a_state_that_is_a_leaf_keeps_its_name_and_is_no_parameter():
    xs, state, params, _ = given(keeps)
    first = [Tensor(array, requires_grad=True, name=name) for array, name in zip(state, ("start", "memory"))]
    bare = {name: Tensor(param.numpy(), requires_grad=True) for name, param in params.items()}
    hs, last = scan(keeps, xs, tuple(first), bare, mode="eager")
    assert last[1].node is first[1].node and [one.node.name for one in first] == ["start", "memory"]
    (row,) = rows_of(hs.sum())
    assert list(row.params) == ["Wx", "Wh", "Wm"]
    flow = gradient_flow(hs.sum())
    assert list(flow.layers[0].weights) == ["Wx", "Wh", "Wm"]
    hs.sum().backward()
    for name, param in bare.items():
        assert flow.layers[0].gradients[name] == pytest.approx(np.linalg.norm(param.grad))


def test_a_parameter_may_be_a_slice_or_be_given_twice():
    xs, state, _, _ = given(rnn)
    both = Tensor(np.random.default_rng(1).standard_normal((H, H + 1)), requires_grad=True)
    W, b = both[:, :H], Tensor(np.zeros(H), requires_grad=True)
    hs, _ = scan(rnn, np.concatenate([xs, xs[..., :1]], axis=2), (state[0],), {"Wx": W, "Wh": W, "b": b})
    (layer,) = gradient_flow(hs.sum()).layers
    assert list(layer.weights) == ["Wx, Wh", "b"]
    hs.sum().backward()
    assert layer.gradients["Wx, Wh"] == pytest.approx(np.linalg.norm(both.grad))
