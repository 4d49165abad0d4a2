"""What calls of `scan` share: a cell that reads something else is planned anew, other arguments are checked anew."""

import gc
import weakref

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.cell_samples import flat, sample
from helpers.odd_cells import odd_sample
from tinygrad_rnn.errors import InvalidType, ShapeError
from tinygrad_rnn.sequence.plan.purity import reads_of

READING = """
import numpy as np
import tinygrad_rnn as tg

factor, memory = 1.0, np.ones(4)
table = {"low": [0.5, 1.0], "high": (2.0, [3.0])}

def squashed(x, low=0.1, *, high=2.0):
    return tg.tanh(x * low * high)

@tg.cell
def reading(x, h, *, W=tg.Param("D H")):
    return squashed(x @ W) + factor * abs(h) * table["low"][0] * memory * sum(table["high"][1])
"""
CHANGES = {
    "a global number": "factor = 2.0",
    "a number in a list in a dict": "table['low'][0] = 3.0",
    "the length of a list in a tuple": "table['high'][1].append(4.0)",
    "an entry of a dict": "table['low'] = [7.0]",
    "another dict": "table = {'low': [1.5], 'high': (1, [0.2])}",
    "an array in place": "memory[1] = 5.0",
    "another array": "memory = np.full(4, 0.3)",
    "the code of a function": "squashed.__code__ = (lambda x, low=0.1, *, high=2.0: x * low - high).__code__",
    "a default": "squashed.__defaults__ = (0.7,)",
    "a default of a keyword": "squashed.__kwdefaults__['high'] = 0.9",
    "another function": "squashed = tg.sigmoid",
    "a global that hides a builtin": "def abs(h): return h + 1",
    "the builtin again": "del abs",
}


def assert_planned(cell, s):
    hs, _ = tg.scan(cell, s.xs, s.state, s.params, mode="plan")
    np.testing.assert_allclose(hs, tg.scan(cell, s.xs, s.state, s.params, mode="eager")[0], rtol=1e-12)
    return hs


def test_a_cell_is_read_anew_when_what_it_reads_has_changed():
    space = {"__name__": "a_module"}
    exec(READING, space)
    cell = space["reading"]
    s = odd_sample(cell)
    before = assert_planned(cell, s)
    for what, change in CHANGES.items():
        known = reads_of(cell)
        assert reads_of(cell) is known, what
        exec(change, space)
        assert (reads_of(cell) is known) == (what == "an array in place"), what
        hs = assert_planned(cell, s)
        assert np.abs(hs - before).max() > 1e-3, what
        before = hs


def test_the_rate_of_a_wrapper_and_the_parameters_of_a_cell_are_read():
    cell = tg.zoneout(tg.rnn, h=0.2)
    known = reads_of(cell)
    cell.wrap.keywords["h"] = 0.3
    assert reads_of(cell) is not known


WRONG = {
    "xs": ({"xs": np.zeros((2, 3))}, "scan: xs is (2, 3), should be (N, T, D)"),
    "no step": ({"xs": np.zeros((2, 0, 3))}, "scan: xs has T = 0 steps, should have at least one"),
    "D": ({"xs": np.zeros((2, 5, 4))}, "lstm: x is (2, 4), should be (N, D) with D = 3 as in Wx"),
    "state": ({"state": (np.zeros((2, 4)), np.zeros((2, 5)))}, "lstm: c is (2, 5), should be (N, H) = (2, 4)"),
    "one state": ({"state": np.zeros((2, 4))}, "lstm: got 1 state, should be 2: h, c"),
    "a missing parameter": ({"params": {"Wx": np.zeros((3, 16))}}, "lstm: missing parameter Wh"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_arguments_that_do_not_fit_are_refused_after_some_that_did(kind):
    s = sample(tg.lstm, N=2, T=5)
    given = {"xs": s.xs, "state": s.state, "params": s.params}
    change, text = WRONG[kind]
    for _ in range(2):
        tg.scan(tg.lstm, **given)
        with pytest.raises((ShapeError, InvalidType)) as error:
            tg.scan(tg.lstm, **{**given, **change})
        assert str(error.value) == text


def test_the_same_arguments_in_other_forms_give_the_same():
    """Arrays, Tensors, some that need a gradient; a tuple or a list of states; recording or not."""
    s = sample(tg.lstm)
    params = {name: tg.tensor(array, requires_grad=True) for name, array in s.params.items()}
    expected, _ = tg.scan(tg.lstm, s.xs, s.state, s.params, mode="eager")
    for xs in (s.xs, tg.tensor(s.xs), tg.tensor(s.xs, requires_grad=True), s.xs.tolist()):
        for given in (s.params, params, {**params, "b": s.params["b"]}, {**s.params, "b": s.params["b"].tolist()}):
            hs, _ = tg.scan(tg.lstm, xs, list(s.state), given)
            tensors = any(isinstance(argument, tg.Tensor) for argument in (xs, *given.values()))
            assert isinstance(hs, tg.Tensor) == tensors
            np.testing.assert_allclose(np.asarray(getattr(hs, "_array", hs)), expected, rtol=1e-12)
            with tg.no_grad():
                assert not getattr(tg.scan(tg.lstm, xs, s.state, given)[0], "requires_grad", False)


def test_parameters_that_are_replaced_in_the_dict_after_the_call_change_nothing():
    s = sample(tg.lstm)
    gradients = []
    for replaced in (False, True):
        leaves = {name: tg.tensor(array, requires_grad=True) for name, array in s.params.items()}
        given = dict(leaves)
        hs, _ = tg.scan(tg.lstm, s.xs, s.state, given, mode="plan")
        if replaced:
            given.update({name: tg.tensor(array * 0, requires_grad=True) for name, array in s.params.items()})
        tg.sum(hs * hs).backward()
        gradients.append({name: leaf.grad for name, leaf in leaves.items()})
    for path, g in flat(gradients[0]).items():
        np.testing.assert_array_equal(flat(gradients[1])[path], g)


def attending(memory, order):
    @tg.cell
    def attend(x, h, *, W=tg.Param("D H")):
        return tg.softmax(tg.tanh(x @ W + h) @ memory.T)[:, order] @ memory

    return attend


def test_arrays_of_a_cell_that_are_changed_after_the_call_change_no_gradient():
    """Also those that the plan knows as a view, such as ``memory.T``, and arrays of indices."""
    s = sample(tg.rnn)
    gradients = []
    for mode in ("plan", "eager"):
        memory, order = np.arange(12.0).reshape(3, 4), np.array([0, 2, 1])
        W = tg.tensor(s.params["Wx"], requires_grad=True)
        hs, _ = tg.scan(attending(memory, order), s.xs, s.state, {"W": W}, mode=mode)
        memory *= 3
        order[:] = 0
        tg.sum(hs * hs).backward()
        gradients.append(W.grad)
    np.testing.assert_allclose(*gradients, rtol=1e-12)


def test_the_cache_holds_no_array_of_a_call_and_of_the_cell():
    """And the cell, which holds what it has read, is in no circle, so it is freed at once."""
    s = sample(tg.rnn)
    memory, order = np.ones((3, 4)), np.array([0, 2, 1])
    params = {"W": tg.tensor(s.params["Wx"], requires_grad=True)}
    cell = attending(memory, order)
    hs = tg.scan(cell, s.xs, s.state, params, mode="plan")[0]
    tg.sum(hs).backward()
    known = [weakref.ref(array) for array in (memory, order, cell, params["W"], params["W"]._array)]
    gc.collect()
    gc.disable()
    try:
        del memory, order, cell, hs, params
        assert not [type(ref()) for ref in known if ref() is not None]
    finally:
        gc.enable()
