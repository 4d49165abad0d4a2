"""The backward pass that can be edited: without edits it is autograd's; with one, the same mistake made by hand."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers import judging
from helpers.bptt_by_hand import lstm_in_the_loop
from helpers.mutants import Mutant
from tinygrad_rnn import lstm, sigmoid, tanh
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.check.diagnose.case import Case
from tinygrad_rnn.check.diagnose.tape import Edit
from tinygrad_rnn.check.diagnose.targets import OfCell, OfFunction
from tinygrad_rnn.engine.codegen import first_call

SMALL = {"N": 2, "T": 3, "D": 5, "H": 4}
OTHER = {"N": 3, "T": 4, "D": 2, "H": 3}


def one_step(*args, **params):
    return {}


def over_time(xs, *, dhs, **params):
    return {}


def made(cell, backward=over_time, sizes=SMALL, seed=0) -> Case:
    """A case of random numbers; of one step, if ``backward`` takes no dhs."""
    sizes = sizes if backward is over_time else {letter: n for letter, n in sizes.items() if letter != "T"}
    return OfCell(cell, backward, (), {}, sizes, None).case(seed)


def asked(case, cell=lstm):
    """What a backward over time is called with."""
    arrays = dict(zip(case.problem.names, case.problem.exact))
    back = dict(zip(["dhs", *(f"d{name}" for name in cell.states)], case.problem.dys))
    return [arrays.pop(name) for name in ("xs", *cell.states)], arrays, back


def close(got, right, name=""):
    np.testing.assert_allclose(got, right, rtol=0, atol=1e-12 * max(1, np.abs(right).max()), err_msg=name)


def gradients(case, edits=(), instead=None):
    """By every name that the case knows."""
    totals = case.tape.back(case.groups, edits, instead)
    return {name: case.gradient(line, totals) for name, line in case.known.items()}


# -- without edits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BUILT_IN)
def test_one_step_is_autograd(name):
    cell = BUILT_IN[name]
    case = made(cell, one_step)
    leaves = {key: tg.tensor(x, requires_grad=True) for key, x in zip(case.problem.names, case.problem.exact)}
    order = [leaves[key] for key in (cell.input, *cell.states)]
    new = cell(*order, **{key: leaves[key] for key in cell.params})
    new = new if isinstance(new, tuple) else (new,)
    sum(tg.sum(one * dy) for one, dy in zip(new, case.problem.dys)).backward()
    found = gradients(case)
    for key, leaf in leaves.items():
        close(found[f"d{key}"], leaf.grad, key)


@pytest.mark.parametrize("sizes", [SMALL, {**SMALL, "T": 1}, {**SMALL, "N": 1}], ids=str)
@pytest.mark.parametrize("name", BUILT_IN)
def test_over_time_it_is_autograd_of_a_scan(name, sizes):
    case = made(BUILT_IN[name], sizes=sizes)
    found = gradients(case)
    for key, right in judging.autograd(BUILT_IN[name], *asked(case, BUILT_IN[name])).items():
        close(found[key], right, key)


INNER = {"rnn": ["dh'"], "lstm": ["dA", "df", "dg", "di", "do", "dc'", "dh'"], "gru": ["dz", "dr", "dh_new", "dh'"]}


@pytest.mark.parametrize("name", INNER)
def test_what_a_step_computes_is_stacked_over_time(name):
    cell = BUILT_IN[name]
    case = made(cell)
    found, right = gradients(case), judging.inner(cell, *asked(case, cell))
    for key in INNER[name]:
        assert found[key].shape[:2] == (SMALL["N"], SMALL["T"])
        close(found[key], right[key], key)


# -- with edits ------------------------------------------------------------------------------------------------------


def minus(tape, t, dy, part):
    return -part


def along(name, k, change, kind="operand"):
    """An edit of the line that makes a value of the cell, at its operand k."""
    return lambda case: Edit(kind, "", "", along={(case.known[f"d{name}"], k): change})


def into(name, change):
    return lambda case: Edit("", "", "", into={case.known[f"d{name}"]: change})


def incoming(name, change):
    """``change`` is of the list of the gradients in the order of the steps."""
    return lambda case: Edit("", "", "", incoming={name: lambda g: dict(zip(g, change(list(g.values()))))})


def operand(case, name, k):
    """The line that makes operand k of the line of a value."""
    return case.tape.site[case.tape.operands[case.tape.lines[case.known[f"d{name}"]][0], k]]


def not_squashed(tape, t, dy, part):
    """``do = dh' * c'``: the operand of what is the other factor of the line, tanh(c')."""
    return dy * tape.arrays[tape.operands[tape.number_at((tape.site[tape.current], 1), t), 0]]


def no_derivative(case):
    return Edit("", "", "", along={(operand(case, "h'", 1), 0): lambda tape, t, dy, part: dy})


#: A mistake in the handwriting "lstm in the loop", and the edit that is the same.
SAME = {
    "do upside down": ("do = dh * tanh_c", "do = -dh * tanh_c", along("h'", 0, minus)),
    "c' for tanh c'": ("do = dh * tanh_c", "do = dh * c_new", along("h'", 0, not_squashed)),
    "no derivative": (" * (1 - tanh_c**2)\n", "\n", no_derivative),
    "half of the output's gradient": ("dh = dh + dhs[:, t]", "dh = (dh + dhs[:, t]) / 2",
                                      into("h'", lambda tape, t, dy, whole: whole / 2)),
    "A by rows": ("do * o * (1 - o)])", "do * o * (1 - o)]) / len(x)",
                  into("A", lambda tape, t, dy, whole: whole / tape.counts["N"])),
    "dhs ignored": ("dh + dhs[:, t]", "dh", incoming("dhs", lambda g: [0 * one for one in g])),
    "dhs of the step before": ("dh + dhs[:, t]", "dh + dhs[:, t - 1]", incoming("dhs", lambda g: [g[-1], *g[:-1]])),
    "dc doubled": ("steps = lstm_forward(xs", "dc = 2 * dc; steps = lstm_forward(xs",
                   incoming("dc", lambda g: [2 * one for one in g])),
    "caches of the step before": ("= steps[t]\n", "= steps[t - 1]\n", lambda case: Edit("", "", "", cache=1)),
    "caches of the step after": ("= steps[t]\n", "= steps[(t + 1) % T]\n", lambda case: Edit("", "", "", cache=-1)),
    "cut": ("dh = dA @ Wh.T", "dh = 0 * dh", lambda case: Edit("", "", "", along={
        (case.tape.site[case.tape.operands[case.tape.lines[operand(case, "A", 0)][0], 1]], 0):
            lambda tape, t, dy, part: 0 * part})),
}  # fmt: skip


@pytest.mark.parametrize("sizes", [SMALL, OTHER], ids=str)
@pytest.mark.parametrize("name", SAME)
def test_an_edit_is_the_same_mistake_made_by_hand(name, sizes):
    old, new, edit = SAME[name]
    case = made(lstm, sizes=sizes)
    arrays, params, back = asked(case)
    wrong = Mutant("lstm in the loop", ((old, new),), ()).function()(*arrays, **params, **back)
    right, found = gradients(case), gradients(case, [edit(case)])
    assert any(np.abs(found[key] - right[key]).max() > 1e-3 for key in found)
    for key, g in wrong.items():
        close(found[key], g, key)


def test_two_edits_are_both_made():
    case = made(lstm)
    arrays, params, back = asked(case)
    both = [SAME[name][:2] for name in ("do upside down", "dhs ignored")]
    wrong = Mutant("lstm in the loop", tuple(both), ()).function()(*arrays, **params, **back)
    found = gradients(case, [SAME[name][2](case) for name in ("do upside down", "dhs ignored")])
    for key, g in wrong.items():
        close(found[key], g, key)


def test_edits_leave_nothing_behind():
    case = made(lstm)
    before = gradients(case)
    for _, _, edit in SAME.values():
        gradients(case, [edit(case)])
    for key, g in gradients(case).items():
        np.testing.assert_array_equal(g, before[key])


@pytest.mark.parametrize("name", SAME)
def test_an_edit_of_a_small_case_means_the_same_on_a_large_one(name):
    small, large = made(lstm, sizes={"N": 1, "T": 2, "D": 2, "H": 2}), made(lstm, sizes=SMALL)
    edit = SAME[name][2]
    for key, g in gradients(large, [edit(small)]).items():
        np.testing.assert_array_equal(g, gradients(large, [edit(large)])[key])


# -- gradients by hand in the place of the right ones ----------------------------------------------------------------


def test_what_is_passed_on_instead_is_passed_on():
    """Double ``do``: what comes before it in the code doubles; what is beside it stays."""
    case = made(lstm, one_step)
    right, number = gradients(case), case.tape.lines[case.known["do"]][-1]
    found = gradients(case, instead={number: 2 * right["do"]})
    for key in ("dh'", "dc'", "do", "df", "dg", "di", "dc"):  # what it was itself is not written over
        np.testing.assert_array_equal(found[key], right[key])
    blocks = np.split(right["dA"], 4, axis=1)
    close(found["dA"], np.hstack([*blocks[:3], 2 * blocks[3]]))
    close(found["dx"], found["dA"] @ case.problem.arrays["Wx"].T)


def test_the_right_ones_instead_change_nothing():
    case = made(lstm)
    arrays, params, back = asked(case)
    case.take(lstm_in_the_loop(*arrays, **params, **back))
    assert len(case.instead) == 7 * SMALL["T"]
    for name, g in case.expected().items():
        close(g, case.expected(upstream=False)[name], name)


def test_a_wrong_one_instead_is_followed():
    """Given the wrong ``do``, the gradients after it that follow from it are what is expected, and it itself is not."""
    case = made(lstm)
    arrays, params, back = asked(case)
    wrong = Mutant("lstm in the loop", (SAME["do upside down"][:2],), ()).function()(*arrays, **params, **back)
    case.take(wrong)
    found = case.expected()
    off = [name for name, g in wrong.items() if np.abs(found[name] - g).max() > 1e-9]
    assert off == ["do"]


# -- lines -----------------------------------------------------------------------------------------------------------


def test_a_line_runs_once_a_step_and_a_gate_is_a_line_of_its_own():
    case = made(lstm)
    for name in ("df", "dg", "di", "do", "dc'", "dh'", "dA"):
        assert len(case.tape.lines[case.known[name]]) == SMALL["T"], name
    assert len({case.known[name]: None for name in ("df", "dg", "di", "do")}) == 4


def test_a_line_in_a_loop_over_slices_is_as_many_lines():
    def forward(A):
        y = 0
        for k in range(3):
            y = y + A[:, 2 * k : 2 * k + 2] * (k + 1)
        return y

    case = OfFunction(forward, None, [np.ones((2, 6))], None).case(0)
    slices = [line for line, numbers in case.tape.lines.items() if case.tape.values[numbers[0]].op == "getitem"]
    assert [len(case.tape.lines[line]) for line in slices] == [1, 1, 1]


def test_the_same_function_called_from_two_lines_is_two_lines():
    def forward(x):
        def squashed(v):
            return tanh(v)

        a = squashed(x)
        b = squashed(2 * x)
        return a + b

    case = OfFunction(forward, None, [np.ones((2, 3))], None).case(0)
    assert case.known["da"] != case.known["db"]


def test_a_value_that_is_used_twice_has_the_sum_of_both_ways():
    def forward(x):
        s = sigmoid(x)
        y = s * s
        return y

    x = np.random.default_rng(0).standard_normal((2, 3))
    case = OfFunction(forward, None, [x], None).case(0)
    s, dy = 1 / (1 + np.exp(-x)), case.problem.dys[0]
    found = gradients(case)
    close(found["ds"], 2 * s * dy)
    number = case.tape.lines[case.known["ds"]][0]
    assert [key for key, _ in case.tape.parts[number]] == [(case.tape.lines[case.known["dy"]][0], k) for k in (0, 1)]
    close(gradients(case, [Edit("", "", "", along={(case.known["dy"], 0): minus})])["ds"], 0 * s)


def test_the_first_call_of_an_operation_belongs_to_the_same_line_as_the_next(monkeypatch):
    before = len(made(tg.rnn).tape.lines)
    monkeypatch.setattr(tg.tanh, "__code__", first_call.__code__)
    assert len(made(tg.rnn).tape.lines) == before
