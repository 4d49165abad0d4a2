"""A backward over time: it is handed the right things however it is called, and its lines are found by any name."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers import bptt_by_hand, bptt_references
from helpers.bptt_by_hand import gru_in_the_loop, lstm_in_the_loop, rnn_in_the_loop
from helpers.bptt_references import case
from helpers.mutants import Mutant
from tinygrad_rnn import Param, cell, derive, gru, lstm, rnn, tanh
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.check import check_backward
from tinygrad_rnn.cli.demo_backward import lstm_backward

FEW = {"N": 3, "T": 4, "D": 2, "H": 5}
DO = ("do = dh * tanh_c", "do = -dh * tanh_c")


def mutant(*edits):
    """The handwriting "lstm in the loop" with other text in some places."""
    return Mutant("lstm in the loop", edits).function()


def said(report):
    return [(one.kind, one.tensor) for one in report.diagnoses]


def assert_right(report):
    assert (report.verdict, report.first_wrong, report.diagnoses) == ("right", None, []), str(report)


# -- how it is called ------------------------------------------------------------------------------------------------


def no_last(own):
    """Without dh and dc: nothing comes in at the last states."""
    def backward(xs, h, c, *, Wx, Wh, b, dhs):
        return own(xs, h, c, Wx=Wx, Wh=Wh, b=b, dhs=dhs, dh=0 * h, dc=0 * c)

    return backward


def no_dc(own):
    def backward(xs, h, c, *, Wx, Wh, b, dhs, dh):
        return own(xs, h, c, Wx=Wx, Wh=Wh, b=b, dhs=dhs, dh=dh, dc=0 * c)

    return backward


def defaults(own):
    def backward(xs, h, c, *, Wx, Wh, b, dhs, dh=None, dc=None):
        return own(xs, h, c, Wx=Wx, Wh=Wh, b=b, dhs=dhs, dh=dh, dc=dc)

    return backward


def in_a_dict(own):
    def backward(xs, h, c, params, dhs, dh=0, dc=0):
        return own(xs, h, c, **params, dhs=dhs, dh=dh, dc=dc)

    return backward


def anything(own):
    def backward(xs, h, c, dhs, **rest):
        return own(xs, h, c, dhs=dhs, **rest)

    return backward


def stars(own):
    def backward(*arrays, dhs, **rest):
        return own(*arrays, dhs=dhs, **rest)

    return backward


def positional(own):
    def backward(xs, h, c, Wx, Wh, b, dhs, dh, dc, /):
        return own(xs, h, c, Wx=Wx, Wh=Wh, b=b, dhs=dhs, dh=dh, dc=dc)

    return backward


def positional_first(own):
    def backward(xs, h, c, /, *, dhs, **rest):
        return own(xs, h, c, dhs=dhs, **rest)

    return backward


def other_order(own):
    def backward(inputs, dc, dh, dhs, b, Wh, Wx, c, h):  # the input is the first, whatever it is called
        return own(inputs, h, c, Wx=Wx, Wh=Wh, b=b, dhs=dhs, dh=dh, dc=dc)

    return backward


def other_names(own):
    def backward(inputs, h0, c0, *, Wx, Wh, b, dhs, dh):  # by position
        return own(inputs, h0, c0, Wx=Wx, Wh=Wh, b=b, dhs=dhs, dh=dh, dc=0 * c0)

    return backward


CALLED = (no_last, no_dc, defaults, in_a_dict, anything, stars, positional, positional_first, other_order, other_names)


@pytest.mark.sampled(every=6, by=lambda **_: [])
@pytest.mark.parametrize("form", CALLED)
def test_it_is_called_as_its_signature_asks(form):
    assert_right(check_backward(lstm, form(lstm_in_the_loop), sizes=FEW))


@pytest.mark.sampled(every=6, by=lambda **_: [])
@pytest.mark.parametrize("form", [no_last, in_a_dict, stars, positional])
def test_a_mistake_is_told_however_it_is_called(form):
    report = check_backward(lstm, form(mutant(DO)), sizes={"N": 1, "T": 2, "D": 2, "H": 3})
    assert (report.first_wrong, said(report)) == ("do", [("sign", "do")])


def test_what_it_does_not_take_is_zero_and_not_blamed():
    """What is carried from the last states is not in it; were it there, these gradients would be others."""
    report = check_backward(lstm, no_last(lstm_in_the_loop), sizes=FEW)
    full = check_backward(lstm, lstm_in_the_loop, sizes=FEW)
    assert report.tensors["dc"].right != pytest.approx(full.tensors["dc"].right, rel=1e-3)


REFUSED = {
    "a state": (lambda xs, h, *, Wx, Wh, b, dhs: {}, "got an unexpected keyword argument 'c'"),
    "a parameter": (lambda xs, h, c, *, Wx, Wh, dhs, dh, dc: {}, "got an unexpected keyword argument 'b'"),
    "a cache": (lambda xs, h, c, cache, *, Wx, Wh, b, dhs: {}, "missing a required argument: 'cache'"),
}


@pytest.mark.sampled(every=4, by=lambda **_: [])
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_called_is_shown_how(name):
    backward, why = REFUSED[name]
    with pytest.raises(TypeError) as error:
        check_backward(lstm, backward)
    assert str(error.value) == (f"check_backward: <lambda>: {why}; it is called as "
                                "<lambda>(xs, h, c, *, Wx, Wh, b, dhs, dh, dc)")  # fmt: skip


def test_a_step_that_cannot_be_called_is_shown_how():
    with pytest.raises(TypeError, match=r"it is called as <lambda>\(x, h, c, \*, Wx, Wh, b, dh, dc\)"):
        check_backward(lstm, lambda x, h, *, Wx, Wh, b, dh, dc: {})


def test_an_error_of_the_users_own_is_not_taken_for_that():
    def backward(x, h, c, *, Wx, Wh, b, dh, dc):
        return len(3)

    with pytest.raises(TypeError, match=r"^object of type 'int' has no len"):
        check_backward(lstm, backward)


# -- on what ---------------------------------------------------------------------------------------------------------


@pytest.mark.sampled(every=6, by=lambda **_: [])
@pytest.mark.parametrize("sizes", [{"T": 1}, {"N": 1}, {"T": 2, "H": 3}, {"N": 2, "T": 7, "D": 1, "H": 3}], ids=str)
def test_of_any_size(sizes):
    report = check_backward(lstm, lstm_in_the_loop, sizes=sizes)
    assert_right(report)
    full = {"N": 3, "T": 5, "D": 7, "H": 11, **sizes}
    assert report.tensors["dxs"].shape == (full["N"], full["T"], full["D"])
    assert report.tensors["do"].shape == (full["N"], full["T"], full["H"])
    report = check_backward(lstm, mutant(DO), sizes=sizes)
    assert (report.first_wrong, said(report)) == ("do", [("sign", "do")])


@pytest.mark.parametrize("backward", [lstm_in_the_loop, lstm_backward])
@pytest.mark.parametrize("letter", ["N", "D", "H"])
def test_of_no_rows_is_refused(backward, letter):
    with pytest.raises(ValueError, match=f"lstm: {letter} is 0, should be at least 1"):
        check_backward(lstm, backward, sizes={letter: 0})


def test_of_no_steps_is_refused():
    with pytest.raises(ValueError, match="lstm: T is 0, should be at least 1"):
        check_backward(lstm, lstm_in_the_loop, sizes={"T": 0})


def test_time_is_no_size_of_a_step():
    with pytest.raises(TypeError, match="T is not a size of one step; a backward over time takes dhs"):
        check_backward(lstm, lstm_backward, sizes={"T": 3})


def test_nothing_to_compare_is_no_pass():
    report = check_backward(lambda x: 2 * x, lambda x, dy: {"dx": -dy}, np.zeros((0, 3)))
    assert (report.ok, report.verdict) == (False, "unchecked") and "outputs are empty" in report.tensors["dx"].note


def test_the_users_inputs():
    arrays, params, _ = case(lstm, N=2, T=4, D=3, H=2)
    report = check_backward(lstm, lstm_in_the_loop, *arrays, **params)
    assert_right(report)
    assert report.tensors["dxs"].shape == (2, 4, 3)
    report = check_backward(lstm, mutant(DO), *arrays, **params)
    assert report.first_wrong == "do" and report.smallest == {"N": 1, "T": 1, "still": True}


@pytest.mark.parametrize("backward, first", [(lstm_in_the_loop, "xs"), (lstm_backward, "x")])
def test_some_of_the_inputs_are_not_enough(backward, first):
    with pytest.raises(TypeError) as error:
        check_backward(lstm, backward, np.ones((3, 5, 7)))
    assert str(error.value) == (f"check_backward: h, c, Wx, Wh, b not given, should be as well: all of "
                                f"{first}, h, c, Wx, Wh, b, or none")  # fmt: skip


# -- of which cell ---------------------------------------------------------------------------------------------------


@pytest.mark.sampled(every=6, by=lambda **_: [])
@pytest.mark.parametrize("name", BUILT_IN)
def test_what_is_derived_passes_as_it_is(name):
    functions = derive(BUILT_IN[name], loop=True).functions
    assert_right(check_backward(BUILT_IN[name], functions[f"{name}_bptt"], sizes=FEW))


@pytest.mark.sampled(every=6, by=lambda **_: [])
@pytest.mark.parametrize("of", [rnn, lstm, gru])
def test_what_is_derived_and_then_spoilt_is_wrong(of):
    right = derive(of, loop=True).functions[f"{of.name}_bptt"]

    def spoilt(xs, *states, params, dhs, **last):
        found = right(xs, *states, params, dhs, **last)
        return {**found, "dWh": -found["dWh"]}

    report = check_backward(of, spoilt, sizes=FEW)
    assert report.first_wrong == "dWh" and said(report) == [("sign", "dWh")]


@cell
def leaky(x, h, *, W=Param("D H"), U=Param("H H"), rate=0.5):
    a = tanh(x @ W + h @ U)
    h = rate * h + a
    return h


def leaky_bptt(xs, h, *, W, U, dhs, dh, rate=0.5, sign=1):
    hs, every = [h], []
    for x in np.moveaxis(xs, 1, 0):
        every.append(np.tanh(x @ W + hs[-1] @ U))
        hs.append(rate * hs[-1] + every[-1])
    dxs, dW, dU, das = np.empty_like(xs), 0 * W, 0 * U, np.empty_like(dhs)
    for t in reversed(range(len(every))):
        dh = dh + dhs[:, t]
        das[:, t] = dh
        dA = sign * dh * (1 - every[t] ** 2)
        dW, dU, dxs[:, t], dh = dW + xs[:, t].T @ dA, dU + hs[t].T @ dA, dA @ W.T, rate * dh + dA @ U.T
    return {"da": das, "dW": dW, "dU": dU, "dxs": dxs, "dh": dh}


def test_a_users_own_cell():
    assert_right(check_backward(leaky, leaky_bptt))
    report = check_backward(leaky, lambda xs, h, *, dhs, **k: leaky_bptt(xs, h, dhs=dhs, sign=-1, **k))
    assert report.verdict == "wrong"
    assert {row.name for row in report.tensors.values() if row.verdict == "wrong"} == {"da", "dW", "dU", "dxs", "dh"}


def test_the_configuration_of_a_cell_goes_to_both():
    assert_right(check_backward(leaky, leaky_bptt, rate=0.25))
    report = check_backward(leaky, lambda xs, h, *, dhs, rate, **k: leaky_bptt(xs, h, dhs=dhs, **k), rate=0.25)
    assert report.verdict == "wrong"


def kept(rate):
    """A step of a cell whose new state is the old one, for a part."""
    def backward(xs, h, c, *, Wx, Wh, b, dhs, dh, dc):
        return _zoneout(xs, h, c, Wx, Wh, b, dhs, dh, dc, rate)

    return backward


def _zoneout(xs, h, c, Wx, Wh, b, dhs, dh, dc, rate):
    steps, (dxs, dWx, dWh, db) = [], (np.empty_like(xs), 0 * Wx, 0 * Wh, 0 * b)
    for x in np.moveaxis(xs, 1, 0):
        steps += bptt_by_hand.lstm_forward(x[:, None], h, c, Wx, Wh, b)
        *_, o, new = steps[-1]
        h, c = rate * h + (1 - rate) * o * np.tanh(new), rate * c + (1 - rate) * new
    for t in reversed(range(len(steps))):
        dh = dh + dhs[:, t]
        one = bptt_by_hand.lstm_step(steps[t], (1 - rate) * dh, (1 - rate) * dc, *(np.split(W, 4, 1) for W in (Wx, Wh)))
        dxs[:, t], dWx, dWh, db = one["dx"], dWx + one["dWx"], dWh + one["dWh"], db + one["db"]
        dh, dc = rate * dh + one["dh"], rate * dc + one["dc"]
    return {"dxs": dxs, "dh": dh, "dc": dc, "dWx": dWx, "dWh": dWh, "db": db}


def test_zoneout_in_evaluation():
    wrapped = tg.zoneout(lstm, h=0.25, c=0.25)
    assert_right(check_backward(wrapped, kept(0.25), sizes=FEW))

    def spoilt(*arrays, dhs, **given):
        found = kept(0.25)(*arrays, dhs=dhs, **given)
        return {**found, "db": found["db"] / len(dhs)}

    assert said(check_backward(wrapped, spoilt, sizes=FEW)) == [("factor N", "db")]


@pytest.mark.sampled(every=4, by=lambda **_: [])
@pytest.mark.parametrize("wrapper", [tg.residual, tg.projected])
def test_a_wrapped_cell(wrapper):
    """By autograd, in the place of the hand; then with the gradient of one parameter upside down."""
    wrapped, sizes = wrapper(lstm), {**FEW, "D": 5}

    def by_autograd(xs, *states, sign=1, **given):
        dys = {name: given.pop(name) for name in ["dhs", *(f"d{name}" for name in wrapped.states)]}
        found = bptt_references.autograd(wrapped, [xs, *states], given, dys)
        found = {name: np.zeros(states[0].shape) if g is None else g for name, g in found.items()}
        return {**found, "dWx": sign * found["dWx"]}

    def backward(*arrays, dhs, **given):
        return by_autograd(*arrays, dhs=dhs, **given)

    def spoilt(*arrays, dhs, **given):
        return by_autograd(*arrays, dhs=dhs, sign=-1, **given)

    assert_right(check_backward(wrapped, backward, sizes=sizes))
    assert said(check_backward(wrapped, spoilt, sizes=sizes)) == [("sign", "dWx")]


# -- what its lines are called ---------------------------------------------------------------------------------------


def as_the_book(own, names="fgio"):
    """``df``, ``dg``, ``di``, ``do`` are the gradients by the sums inside, and there is no dA."""
    def backward(*arrays, dhs, **given):
        found = own(*arrays, dhs=dhs, **given)
        blocks = dict(zip(["df", "dg", "di", "do"], np.split(found.pop("dA"), 4, axis=2)))
        return {name: blocks.get(name, g) for name, g in found.items() if name not in blocks or name[1] in names}

    return backward


#: A mistake in the handwriting, and which of its gradients shows it first.
BOOK = {
    "do upside down": (DO, "do"), "activation for derivative": (("do * o * (1 - o)", "do * o"), "do"),
    # such a df is right, as that by the gate itself; what is wrong is first seen where it is carried to
    "no derivative": (("df * f * (1 - f)", "df"), "dh'"),
    "df with the new memory": (("df = dc * c\n", "df = dc * c_new\n"), "df"),
    "dWx doubled": (("dWx += x.T", "dWx += 2 * x.T"), "dWx"),
}  # fmt: skip


def test_gradients_by_the_sums_inside_are_right_and_told():
    report = check_backward(lstm, as_the_book(lstm_in_the_loop), sizes=FEW)
    assert_right(report)
    notes = {name: row.note for name, row in report.tensors.items() if row.note}
    assert notes == {f"d{gate}": f"taken for the gradient by A.{gate}" for gate in "ogfi"}


@pytest.mark.sampled(every=6, by=lambda **_: [])
@pytest.mark.parametrize("name", BOOK)
def test_a_mistake_in_them_is_told(name):
    edit, first = BOOK[name]
    report = check_backward(lstm, as_the_book(mutant(edit)), sizes=FEW)
    assert report.first_wrong == first, str(report)
    assert report.tensors["do"].note == "taken for the gradient by A.o"


def renamed(own, old, new):
    def backward(*arrays, dhs, **given):
        return {new if name == old else name: g for name, g in own(*arrays, dhs=dhs, **given).items()}

    return backward


def test_an_unknown_name_is_known_by_its_numbers():
    report = check_backward(lstm, renamed(lstm_in_the_loop, "dc'", "ds"), sizes=FEW)
    assert_right(report)
    assert report.tensors["ds"].note == "taken for the gradient by c'"


def test_an_unknown_name_that_follows_from_a_mistake_is_known_too():
    report = check_backward(lstm, renamed(mutant(DO), "dc'", "ds"), sizes=FEW)
    row = report.tensors["ds"]
    assert (row.verdict, row.consequence, row.note) == ("wrong", True, "taken for the gradient by c'")
    assert said(report) == [("sign", "do")]


def test_the_sum_of_several_is_meant_if_its_parts_have_the_same():
    def backward(xs, h, *, Wx, Wh, b, dhs, dh):
        found = rnn_in_the_loop(xs, h, Wx=Wx, Wh=Wh, b=b, dhs=dhs, dh=dh)
        states = [h]
        for x in np.moveaxis(xs, 1, 0):
            states.append(np.tanh(x @ Wx + states[-1] @ Wh + b))
        return {"dpre": found["dh'"] * (1 - np.stack(states[1:], axis=1) ** 2), **found}

    report = check_backward(rnn, backward)
    assert_right(report)
    assert report.tensors["dpre"].note == "taken for the gradient by A_h"


@pytest.mark.parametrize("nothing", [np.ones((3, 4, 5)), 1.0, np.zeros(0)], ids=["an array", "a number", "empty"])
def test_an_unknown_name_that_is_nothing_is_told_and_does_not_count(nothing):
    report = check_backward(lstm, lambda *a, dhs, **k: {"dq": nothing, **lstm_in_the_loop(*a, dhs=dhs, **k)}, sizes=FEW)
    assert_right(report)
    assert (row := report.tensors["dq"]).verdict == "unchecked" and row.note.startswith("no such value; there are dxs,")


RETURNED = {
    "do upside down": (lambda g: {**g, "do": -g["do"]}, "do"),
    "dc' doubled": (lambda g: {**g, "dc'": 2 * g["dc'"]}, "dc'"),
    "dA: o first": (lambda g: {**g, "dA": np.roll(g["dA"], 5, axis=2)}, "dA"),
    "do backwards in time": (lambda g: {**g, "do": g["do"][:, ::-1]}, "do"),
    "df late": (lambda g: {**g, "df": np.roll(g["df"], 1, axis=1)}, "df"),
}  # fmt: skip


@pytest.mark.sampled(every=6, by=lambda **_: [])
@pytest.mark.parametrize("name", RETURNED)
def test_what_is_wrong_only_in_what_is_returned(name):
    """The others were computed with the right one: it alone is wrong."""
    change, first = RETURNED[name]
    report = check_backward(lstm, lambda *a, dhs, **k: change(lstm_in_the_loop(*a, dhs=dhs, **k)), sizes=FEW)
    assert [row.name for row in report.tensors.values() if row.verdict == "wrong"] == [first] == [report.first_wrong]


# -- in float32 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of, backward", [(rnn, rnn_in_the_loop), (lstm, lstm_in_the_loop), (gru, gru_in_the_loop)])
def test_right_code_in_float32_is_right_up_to_rounding(of, backward):
    seen = []

    def looked_at(*arrays, dhs, **given):
        seen.append({one.dtype for one in (*arrays, dhs, *given.values())})
        return backward(*arrays, dhs=dhs, **given)

    report = check_backward(of, looked_at, sizes=FEW, dtype="float32")
    assert report.verdict in ("right", "precision") and report.diagnoses == [] and seen[0] == {np.dtype("float32")}


@pytest.mark.sampled(every=6, by=lambda **_: [])
@pytest.mark.parametrize("edit, first", [
    (DO, "do"), (("dWx += x.T", "dWx += 1.001 * x.T"), "dWx"), (("dh = dA @ Wh.T", "dh = 0 * dh"), "dh"),
])  # fmt: skip
def test_a_mistake_in_float32_is_wrong(edit, first):
    report = check_backward(lstm, mutant(edit), sizes=FEW, dtype="float32")
    assert (report.verdict, report.first_wrong) == ("wrong", first)
