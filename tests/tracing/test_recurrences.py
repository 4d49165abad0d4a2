"""Rows: the steps of each cell in a graph, however they were run."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import Param, Tensor, cell, gru, lstm, rnn, stack, tanh
from tinygrad_rnn.engine.graph import newest_first
from tinygrad_rnn.tracing.recurrences import recurrences

RNG = np.random.default_rng(0)


def found(y):
    return recurrences(newest_first([y.node], used=True)[::-1])


def params(one, D=3, H=4):
    return one.init(np.random.default_rng(1), D=D, H=H, dtype=np.float64)


@pytest.mark.parametrize("one", [rnn, lstm, gru], ids=lambda one: one.name)
@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_is_a_row(one, reverse):
    hs, _ = tg.scan(one, np.ones((2, 5, 3)), None, params(one), reverse=reverse, mode="eager")
    (row,) = found(hs.sum())
    assert (row.cell, row.reverse) == (one, reverse)
    assert [step.time for step in row.steps] == (list(range(5))[::-1] if reverse else list(range(5)))
    assert len({len(step.nodes) for step in row.steps}) == 1
    states = row.state("h")
    assert states[-1].run is hs.node.run
    assert [node in step.nodes for node, step in zip(states, row.steps)] == [True] * 5


def test_the_states_are_those_that_the_next_step_uses():
    hs, _ = tg.scan(lstm, np.ones((2, 4, 3)), None, params(lstm), mode="eager")
    (row,) = found(hs.sum())
    for name in ("h", "c"):
        states = row.state(name)
        for state, after in zip(states, row.steps[1:]):
            assert any(state in node.parents for node in after.nodes)


def test_it_is_the_same_after_backward():
    hs, _ = tg.scan(lstm, np.ones((2, 4, 3)), None, params(lstm), mode="eager")
    loss = hs.sum()
    before = [[node.seq for node in step.nodes] for step in found(loss)[0].steps]
    loss.backward()
    assert [[node.seq for node in step.nodes] for step in found(loss)[0].steps] == before


def test_a_loop_of_ones_own_is_a_row():
    given, h, hs = params(gru), np.zeros((2, 4)), []
    for t in range(6):
        h = gru(np.full((2, 3), t), h, **given)
        hs.append(h)
    (row,) = found(stack(hs).sum())
    assert [step.time for step in row.steps] == list(range(6))


def test_layers_in_one_loop_are_rows_of_their_own():
    below, above = params(gru), params(gru, D=4)
    h = k = np.zeros((2, 4))
    for _ in range(3):
        h = gru(np.ones((2, 3)), h, **below)
        k = gru(h, k, **above)
    assert [len(row.steps) for row in found(k.sum())] == [3, 3]


def test_windows_that_follow_each_other_are_one_row():
    given, state = params(lstm), None
    for _ in range(3):
        hs, state = tg.scan(lstm, np.ones((2, 4, 3)), state, given, mode="eager")
    (row,) = found(hs.sum())
    assert [step.time for step in row.steps] == list(range(12))


def test_both_directions_are_two_rows():
    hs, _ = tg.scan(rnn, np.ones((2, 4, 3)), None, params(rnn), mode="eager")
    back, _ = tg.scan(rnn, np.ones((2, 4, 3)), None, params(rnn), reverse=True, mode="eager")
    assert [row.reverse for row in found((hs + back).sum())] == [False, True]


def test_a_cell_in_a_cell_is_one_cell():
    @cell
    def outer(x, h, *, W=Param("D D"), Wx=Param("D H"), Wh=Param("H H"), b=Param("H")):
        return tanh(rnn(x @ W, h, Wx=Wx, Wh=Wh, b=b))

    hs, _ = tg.scan(outer, np.ones((2, 4, 3)), None, params(outer), mode="eager")
    (row,) = found(hs.sum())
    assert (row.cell, len(row.steps)) == (outer, 4)


def test_nothing_is_found_where_no_cell_ran():
    assert found((Tensor(np.ones(3), requires_grad=True) * 2).sum()) == []
