"""`scan` is the loop of its docstring: what it gives, what it records, what it costs."""

import contextlib
import gc

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.cell_samples import CELLS, LENGTHS, D, H, T, assert_same, everything, flat, leaves, looped, sample, scanned
from tinygrad_rnn import Param, cell
from tinygrad_rnn.engine.graph import context

each_cell = pytest.mark.parametrize("one", CELLS, ids=lambda one: one.name)
each_batch = pytest.mark.parametrize("N", [1, 5])
# -- the loop --------------------------------------------------------------------------------------------------------


@each_cell
@each_batch
def test_scan_is_the_loop_of_its_docstring(one, N):
    """Outputs, last state and all gradients, bit for bit."""
    s = sample(one, N)
    state, hs = s.state, []
    for t in range(T):
        new = one(s.xs[:, t], *state, **s.params)
        state = new if isinstance(new, tuple) else (new,)
        hs.append(state[0])
    assert_same(tg.scan(one, s.xs, s.state, s.params, mode="eager"), (np.stack(hs, axis=1), state))
    assert_same(everything(scanned(one, mode="eager"), s), everything(looped(one), s), rtol=1e-13, atol=1e-15)


@each_cell
@each_batch
def test_reverse_is_scan_of_the_reversed(one, N):
    s = sample(one, N)
    hs, last = tg.scan(one, s.xs, s.state, s.params, reverse=True)
    backwards, last_backwards = tg.scan(one, s.xs[:, ::-1], s.state, s.params)
    assert_same((hs, last), (backwards[:, ::-1], last_backwards))


@each_cell
def test_no_state_is_zeros(one):
    s = sample(one)
    zeros = tuple(map(np.zeros_like, s.state))
    assert_same(tg.scan(one, s.xs, None, s.params), tg.scan(one, s.xs, zeros, s.params))
    assert_same(tg.scan(one, s.xs, params=s.params), tg.scan(one, s.xs, zeros, s.params))


def test_a_state_is_a_tuple_a_list_or_bare_if_it_is_one():
    s = sample(tg.rnn)
    wanted = tg.scan(tg.rnn, s.xs, s.state, s.params)
    for state in (s.state[0], [s.state[0]], tg.tensor(s.state[0]), (tg.tensor(s.state[0]),)):
        assert_same(tg.scan(tg.rnn, s.xs, state, s.params), wanted)


def test_the_last_state_goes_on_where_it_stopped():
    """Two windows are one sequence: outputs, and the gradient through the state between them."""
    s = sample(tg.lstm)

    def in_two(xs, state, params):
        first, state = tg.scan(tg.lstm, xs[:, :2], state, params)
        second, state = tg.scan(tg.lstm, xs[:, 2:], state, params)
        return tg.concatenate([first, second], axis=1), state

    assert_same(in_two(s.xs, s.state, s.params), tg.scan(tg.lstm, s.xs, s.state, s.params))
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(5, T, H))
    both = [
        everything(lambda *args, run=run: tg.sum(run(*args)[0] * weights), s)
        for run in (in_two, lambda *args: tg.scan(tg.lstm, *args))
    ]
    assert_same(*both, rtol=1e-13, atol=1e-15)


def test_truncated_bptt_is_detach():
    """After the cut, the first window has no part in the gradient; before it, all is as without the cut."""
    s = sample(tg.lstm)
    first, second = tg.tensor(s.xs[:, :3], requires_grad=True), tg.tensor(s.xs[:, 3:], requires_grad=True)
    params = leaves(s.params)
    _, state = tg.scan(tg.lstm, first, s.state, params)
    hs, _ = tg.scan(tg.lstm, second, tg.detach(state), params)
    tg.sum(hs).backward()
    assert first.grad is None
    middle = tuple(one.numpy() for one in state)
    alone = tg.grad(lambda xs, p: tg.sum(tg.scan(tg.lstm, xs, middle, p)[0]), argnums=(0, 1))(s.xs[:, 3:], s.params)
    assert_same((second.grad, {name: one.grad for name, one in params.items()}), alone)


def test_nothing_is_recorded_without_need():
    s = sample(tg.lstm)
    with tg.no_grad():
        hs, last = tg.scan(tg.lstm, tg.tensor(s.xs), None, leaves(s.params))
    assert not any(one.requires_grad for one in (hs, *last))


def test_gradients_reach_only_what_asks_for_them():
    s = sample(tg.lstm)
    params = {**s.params, "Wh": tg.tensor(s.params["Wh"], requires_grad=True)}
    tg.sum(tg.scan(tg.lstm, s.xs, s.state, params)[0]).backward()
    dxs, dWh = tg.grad(
        lambda xs, Wh: tg.sum(tg.scan(tg.lstm, xs, s.state, {**s.params, "Wh": Wh})[0]), argnums=(0, 1)
    )(s.xs, s.params["Wh"])
    assert dxs.any()
    assert_same(params["Wh"].grad, dWh)


# -- cost ------------------------------------------------------------------------------------------------------------


def nodes(one, steps):
    """How many values a scan of so many steps records."""
    s = sample(one, N=2, T=steps)
    hs, _ = tg.scan(one, s.xs, None, leaves(s.params), mode="eager")
    seen, todo = {hs.node: None}, [hs.node]
    while todo:
        for edge in todo.pop().edges:
            if edge is not None and edge[0] not in seen:
                seen[edge[0]] = None
                todo.append(edge[0])
    return len(seen)


@each_cell
def test_every_step_records_the_same_number_of_nodes(one):
    few, more, many = (nodes(one, steps) for steps in (4, 8, 16))
    assert many - more == 2 * (more - few)


def test_a_parameter_is_sliced_once_for_all_steps():
    """gru reads nine blocks: their slices are no part of the cost of a step."""
    per_step = nodes(tg.gru, 9) - nodes(tg.gru, 8)
    hs, _ = tg.scan(tg.gru, sample(tg.gru, T=4).xs, None, leaves(sample(tg.gru).params), mode="eager")
    slices, todo, seen = 0, [hs.node], {}
    while todo:
        node = todo.pop()
        for edge in node.edges:
            if edge is not None and edge[0] not in seen:
                seen[edge[0]] = None
                todo.append(edge[0])
    slices = sum(node.op is not None and node.op.name == "getitem" for node in seen)
    assert slices == 9
    assert per_step < 30


@pytest.mark.parametrize("mode", ["eager", "plan"])
def test_a_thousand_steps_are_freed_without_the_collector(mode):
    s = sample(tg.lstm, N=1, T=1000)
    tg.scan(tg.lstm, s.xs, None, leaves(s.params), mode=mode)  # makes the plan
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        hs, last = tg.scan(tg.lstm, s.xs, None, leaves(s.params), mode=mode)
        del hs, last
        assert len(gc.get_objects()) - before < 100
    finally:
        gc.enable()


def test_the_step_is_known_inside_and_forgotten_after():
    """Tools ask the engine which time step it is in; an error must not leave it in one."""
    seen = []

    @cell
    def looks(x, h, *, W=Param("D H"), fail_at=99):
        seen.append(context.step)
        if context.step == fail_at:
            raise RuntimeError("as planned")
        return tg.tanh(x @ W) + h

    s = sample(looks, T=3)
    tg.scan(looks, s.xs, None, s.params)
    tg.scan(looks, s.xs, None, s.params, reverse=True)
    assert (seen, context.step) == ([0, 1, 2, 2, 1, 0], None)
    with pytest.raises(RuntimeError, match="as planned"):
        tg.scan(looks, s.xs, None, {**s.params, "fail_at": 1})
    assert context.step is None


# -- inputs ---------------------------------------------------------------------------------------------------------


def test_an_empty_batch_is_a_batch():
    s = sample(tg.lstm, N=0)
    hs, last = tg.scan(tg.lstm, s.xs, None, s.params)
    assert [one.shape for one in (hs, *last)] == [(0, T, H), (0, H), (0, H)]


def test_inputs_are_not_written_to():
    s = sample(tg.lstm)
    before = {path: one.copy() for path, one in flat((s.xs, s.state, s.params)).items()}
    everything(scanned(tg.lstm, lengths=LENGTHS), s)
    for path, one in flat((s.xs, s.state, s.params)).items():
        np.testing.assert_array_equal(one, before[path], err_msg=path)


def test_read_only_and_transposed_inputs():
    s = sample(tg.lstm)
    wanted = tg.scan(tg.lstm, s.xs, s.state, s.params)
    turned = np.asfortranarray(s.xs)
    turned.setflags(write=False)
    assert_same(tg.scan(tg.lstm, turned, s.state, s.params), wanted, rtol=1e-13, atol=1e-15)
    assert turned.shape == (5, T, D)


@tg.cell
def in_place(x, h, c, *, W=Param("D H")):
    h *= 2.0
    h += x @ W
    h[:, 0] = 0.5
    h = tg.tanh(h)
    c += h
    return h, c


@tg.cell
def as_values(x, h, c, *, W=Param("D H")):
    h = tg.tanh((h * 2.0 + x @ W) * np.array([0, 1, 1]) + np.array([0.5, 0, 0]))
    return h, c + h


@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"lengths": [2, 4]}])
@pytest.mark.parametrize("kind", ["arrays", "constants", "computed"])
@pytest.mark.parametrize("recording", [True, False])
def test_a_cell_may_change_its_state_in_place(options, kind, recording):
    """Neither the outputs of other steps nor the first state of the caller change."""
    rng = np.random.default_rng(0)
    W, xs = tg.tensor(rng.standard_normal((2, 3)), requires_grad=True), rng.standard_normal((2, 4, 2))
    start, results = (rng.standard_normal((2, 3)), rng.standard_normal((2, 3))), []
    kinds = {"arrays": np.array, "constants": tg.tensor, "computed": lambda a: tg.tensor(a, requires_grad=True) * 1.0}
    for one in (in_place, as_values):
        state = tuple(map(kinds[kind], start))
        W.grad = None
        with contextlib.nullcontext() if recording else tg.no_grad():
            hs, last = tg.scan(one, xs, state, {"W": W}, **options)
        for given, first in zip(state, start, strict=True):
            np.testing.assert_array_equal(np.asarray(tg.detach(given)), first)
        if recording:
            (tg.sum(hs[:, :-1] * hs[:, 1:]) + tg.sum(last[1])).backward()
        results.append([*(tg.detach(y).numpy() for y in (hs, *last)), W.grad if recording else 0])
    for mine, right in zip(*results, strict=True):
        np.testing.assert_allclose(mine, right, rtol=1e-13, atol=1e-15)


def test_a_step_changes_nothing_of_the_callers():
    rng = np.random.default_rng(0)
    x, h, c = (tg.tensor(rng.standard_normal(shape)) for shape in ((2, 2), (2, 3), (2, 3)))
    before = [h.numpy(), c.numpy()]
    in_place(x, h, c, W=rng.standard_normal((2, 3)))
    np.testing.assert_array_equal([h.numpy(), c.numpy()], before)
