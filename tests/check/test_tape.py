"""The tape of a cell: its backward pass is autograd's, and hand-derived gradients can stand in for the right ones."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers import bptt_references
from helpers.bptt_by_hand import lstm_in_the_loop
from helpers.mutants import Mutant
from tinygrad_rnn import lstm, sigmoid, tanh
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.check.derivation.adapter import CellDerivation, Derivation
from tinygrad_rnn.check.derivation.case import Case, usual
from tinygrad_rnn.tracing.trace import pull

SMALL = {"N": 2, "T": 3, "D": 5, "H": 4}
DO = ("do = dh * tanh_c", "do = -dh * tanh_c")


def one_step(*args, **params):
    return {}


def over_time(xs, *, dhs, **params):
    return {}


def made(cell, backward=over_time, sizes=SMALL, seed=0) -> Case:
    """A case of random numbers; of one step, if ``backward`` takes no dhs."""
    sizes = sizes if backward is over_time else {letter: n for letter, n in sizes.items() if letter != "T"}
    rng = np.random.default_rng(seed)
    return case_of(CellDerivation(cell, backward, (), {}, sizes, None, rng), rng)


def case_of(derivation, rng=None) -> Case:
    """The arguments of a derivation, and random cotangents."""
    rng = rng or np.random.default_rng(0)
    return derivation.case([rng.standard_normal(y.shape) for y in derivation.run().outputs])


def asked(case, cell=lstm):
    """What a backward over time is called with."""
    arrays = dict(case.given)
    back = dict(zip(["dhs", *(f"d{name}" for name in cell.states)], case.dys))
    return [arrays.pop(name) for name in ("xs", *cell.states)], arrays, back


def close(got, right, name=""):
    np.testing.assert_allclose(got, right, rtol=0, atol=1e-12 * max(1, np.abs(right).max()), err_msg=name)


def gradients(case, instead=None):
    """By every name that the case knows."""
    totals, _ = pull(case.tape, case.back_in, instead)
    return {name: case.gradient(usual(numbers, case.timed and name[1:] not in case.given), totals)
            for name, numbers in case.known.items()}  # fmt: skip


# -- the right ones ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BUILT_IN)
def test_one_step_is_autograd(name):
    cell = BUILT_IN[name]
    case = made(cell, one_step)
    leaves = {key: tg.tensor(x, requires_grad=True) for key, x in case.given.items()}
    order = [leaves[key] for key in (cell.input, *cell.states)]
    new = cell(*order, **{key: leaves[key] for key in cell.params})
    new = new if isinstance(new, tuple) else (new,)
    sum(tg.sum(one * dy) for one, dy in zip(new, case.dys)).backward()
    found = gradients(case)
    for key, leaf in leaves.items():
        close(found[f"d{key}"], leaf.grad, key)


@pytest.mark.parametrize("sizes", [SMALL, {**SMALL, "T": 1}, {**SMALL, "N": 1}], ids=str)
@pytest.mark.parametrize("name", BUILT_IN)
def test_over_time_it_is_autograd_of_a_scan(name, sizes):
    case = made(BUILT_IN[name], sizes=sizes)
    found = gradients(case)
    for key, right in bptt_references.autograd(BUILT_IN[name], *asked(case, BUILT_IN[name])).items():
        close(found[key], right, key)


INNER = {"rnn": ["dh'"], "lstm": ["dA", "df", "dg", "di", "do", "dc'", "dh'"], "gru": ["dz", "dr", "dh_new", "dh'"]}


@pytest.mark.parametrize("name", INNER)
def test_what_a_step_computes_is_stacked_over_time(name):
    cell = BUILT_IN[name]
    case = made(cell)
    found, right = gradients(case), bptt_references.inner(cell, *asked(case, cell))
    for key in INNER[name]:
        assert found[key].shape[:2] == (SMALL["N"], SMALL["T"])
        close(found[key], right[key], key)


# -- gradients by hand in the place of the right ones ----------------------------------------------------------------


def test_what_is_passed_on_instead_is_passed_on():
    """Double ``do``: what comes before it in the code doubles; what is beside it stays."""
    case = made(lstm, one_step)
    right, number = gradients(case), case.known["do"][-1]
    found = gradients(case, instead={number: 2 * right["do"]})
    for key in ("dh'", "dc'", "do", "df", "dg", "di", "dc"):  # what it was itself is not written over
        np.testing.assert_array_equal(found[key], right[key])
    blocks = np.split(right["dA"], 4, axis=1)
    close(found["dA"], np.hstack([*blocks[:3], 2 * blocks[3]]))
    close(found["dx"], found["dA"] @ case.given["Wx"].T)


def test_the_right_ones_instead_change_nothing():
    case = made(lstm)
    arrays, params, back = asked(case)
    case.take(lstm_in_the_loop(*arrays, **params, **back))
    assert len(case.instead) == 7 * SMALL["T"]
    for name, g in case.upstream().items():
        close(g, case.right(name), name)


def test_a_wrong_one_instead_is_followed():
    """Given the wrong ``do``, the gradients after it that follow from it are what is expected, and it itself is not."""
    case = made(lstm)
    arrays, params, back = asked(case)
    wrong = Mutant("lstm in the loop", (DO,)).function()(*arrays, **params, **back)
    case.take(wrong)
    found = case.upstream()
    off = [name for name, g in wrong.items() if np.abs(found[name] - g).max() > 1e-9]
    assert off == ["do"]


# -- values ----------------------------------------------------------------------------------------------------------


def test_a_value_of_each_step_is_a_group_and_a_gate_is_one_of_its_own():
    case = made(lstm)
    for name in ("df", "dg", "di", "do", "dc'", "dh'", "dA"):
        assert len(case.known[name]) == SMALL["T"], name
    assert len({tuple(case.known[name]): None for name in ("df", "dg", "di", "do")}) == 4


def test_a_function_that_is_called_twice_binds_its_variables_twice():
    def forward(x):
        def squashed(v):
            inner = tanh(v)
            return inner

        a = squashed(x)
        b = squashed(2 * x)
        return a + b

    case = case_of(Derivation(forward, None, [np.ones((2, 3))]))
    assert case.known["da"] != case.known["db"]
    assert case.tape.bound["inner"] == [*case.known["da"], *case.known["db"]]


def test_a_value_that_is_used_twice_has_the_sum_of_both_ways():
    def forward(x):
        s = sigmoid(x)
        y = s * s
        return y

    x = np.random.default_rng(0).standard_normal((2, 3))
    case = case_of(Derivation(forward, None, [x]))
    s, dy = 1 / (1 + np.exp(-x)), case.dys[0]
    found = gradients(case)
    close(found["ds"], 2 * s * dy)
