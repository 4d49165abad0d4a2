"""What is said, word for word, when something does not fit; and that it is said before any work is done."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.cell_samples import D, H, T, refusal, sample
from tinygrad_rnn import Param, cell

#: every call of a cell under test is counted, so that an error after work would be seen
CALLS = []


@cell
def lstm(x, h, c, *, Wx=Param("D H", "fgio"), Wh=Param("H H", "fgio"), b=Param("H", "fgio")):
    CALLS.append(1)
    return tg.lstm.step(x, (h, c), {"Wx": Wx, "Wh": Wh, "b": b}, check=False)


@pytest.fixture
def s():
    CALLS.clear()
    return sample(lstm)


def assert_refused_before_work(text, run, *args, **kwargs):
    assert refusal(run, *args, **kwargs) == text
    assert CALLS == []


# -- one step and scan: parameters, states, inputs -------------------------------------------------------------------

PARAMS = {
    "missing": (lambda p: p.pop("Wh"), "InvalidType: lstm: missing parameter Wh"),
    "extra": (lambda p: p.update(U=p["Wx"]), "InvalidType: lstm: has no parameter U, only Wx, Wh, b"),
    "rank": (lambda p: p.update(b=p["b"][None]), "ShapeError: lstm: b is (1, 16), should be (4H,)"),
    "scalar": (lambda p: p.update(b=0.0), "ShapeError: lstm: b is (), should be (4H,)"),
    "blocks": (lambda p: p.update(Wx=p["Wx"][:, :15]), "ShapeError: lstm: Wx is (3, 15), should be (D, 4H)"),
    "columns": (lambda p: p.update(Wh=p["Wh"][:, :12]), "ShapeError: lstm: H is 4 in Wx (3, 16) but 3 in Wh (4, 12)"),
    "rows": (lambda p: p.update(Wh=p["Wh"][:3]), "ShapeError: lstm: H is 4 in Wx (3, 16) but 3 in Wh (3, 16)"),
    "transposed": (lambda p: p.update(Wx=p["Wx"].T), "ShapeError: lstm: Wx is (16, 3), should be (D, 4H)"),
}


@pytest.mark.parametrize(("spoil", "text"), PARAMS.values(), ids=PARAMS)
def test_parameters_that_do_not_fit(s, spoil, text):
    params = dict(s.params)
    spoil(params)
    assert_refused_before_work(text, lstm, s.xs[:, 0], *s.state, **params)
    assert_refused_before_work(text, tg.scan, lstm, s.xs, s.state, params)
    assert_refused_before_work(text, tg.scan, lstm, s.xs, None, params)


STATES = {
    "none": (lambda h, c: (), "InvalidType: lstm: got 0 states, should be 2: h, c"),
    "one": (lambda h, c: (h,), "InvalidType: lstm: got 1 state, should be 2: h, c"),
    "three": (lambda h, c: (h, c, c), "InvalidType: lstm: got 3 states, should be 2: h, c"),
    "units": (lambda h, c: (h[:, :3], c), "ShapeError: lstm: h is (5, 3), should be (N, H) = (5, 4)"),
    "rows": (lambda h, c: (h, c[:4]), "ShapeError: lstm: c is (4, 4), should be (N, H) = (5, 4)"),
    "rank": (lambda h, c: (h[0], c), "ShapeError: lstm: h is (4,), should be (N, H) = (5, 4)"),
}


@pytest.mark.parametrize(("spoil", "text"), STATES.values(), ids=STATES)
def test_states_that_do_not_fit(s, spoil, text):
    state = spoil(*s.state)
    assert_refused_before_work(text, lstm, s.xs[:, 0], *state, **s.params)
    assert_refused_before_work(text, tg.scan, lstm, s.xs, state, s.params)


def test_a_bare_state_where_two_are_needed(s):
    text = "InvalidType: lstm: got 1 state, should be 2: h, c"
    assert_refused_before_work(text, tg.scan, lstm, s.xs, s.state[0], s.params)


def test_inputs_that_do_not_fit(s):
    text = "ShapeError: lstm: x is (5, 2), should be (N, D) with D = 3 as in Wx"
    assert_refused_before_work(text, lstm, s.xs[:, 0, :2], *s.state, **s.params)
    assert_refused_before_work(text, tg.scan, lstm, s.xs[:, :, :2], s.state, s.params)
    text = "ShapeError: lstm: x is (3,), should be (N, D) with D = 3 as in Wx"
    assert_refused_before_work(text, lstm, s.xs[0, 0], *s.state, **s.params)
    text = "ShapeError: scan: xs is (5, 3), should be (N, T, D)"
    assert_refused_before_work(text, tg.scan, lstm, s.xs[:, 0], s.state, s.params)
    text = "ShapeError: scan: xs has T = 0 steps, should have at least one"
    assert_refused_before_work(text, tg.scan, lstm, s.xs[:, :0], s.state, s.params)


def test_a_batch_that_differs_from_the_state_s(s):
    text = "ShapeError: lstm: h is (5, 4), should be (N, H) = (2, 4)"
    assert_refused_before_work(text, tg.scan, lstm, s.xs[:2], s.state, s.params)


LENGTHS = {
    "long": ([0, 1, T, T + 1, 2], "InvalidValue: scan: lengths holds 7, should be from 0 to T = 6"),
    "negative": ([0, -2, 3, T, 2], "InvalidValue: scan: lengths holds -2, should be from 0 to T = 6"),
    "few": ([1, 2], "ShapeError: scan: lengths is int64 (2,), should be integers (5,), one a row"),
    "one": (3, "ShapeError: scan: lengths is int64 (), should be integers (5,), one a row"),
    "column": ([[1]] * 5, "ShapeError: scan: lengths is int64 (5, 1), should be integers (5,), one a row"),
    "floats": ([1.0] * 5, "ShapeError: scan: lengths is float64 (5,), should be integers (5,), one a row"),
    "mask": ([True] * 5, "ShapeError: scan: lengths is bool (5,), should be integers (5,), one a row"),
}


@pytest.mark.parametrize(("lengths", "text"), LENGTHS.values(), ids=LENGTHS)
def test_lengths_that_do_not_fit(s, lengths, text):
    lengths = np.array(lengths, dtype=np.int64 if "int64" in text or "holds" in text else None)
    assert_refused_before_work(text, tg.scan, lstm, s.xs, s.state, s.params, lengths=lengths)


def test_a_mode_that_is_not_there(s):
    with pytest.raises(ValueError, match=r"^scan: mode is 'fast', should be one of auto, eager"):
        tg.scan(lstm, s.xs, s.state, s.params, mode="fast")
    assert CALLS == []


WRITE = "should be a tuple ({}), or None for zeros; params come after it: scan({}, xs, None, params)"


def test_parameters_in_the_place_of_the_state_are_told_where_to_stand(s):
    text = f"InvalidType: scan: state is a dict, {WRITE.format('h, c', 'lstm')}"
    assert_refused_before_work(text, tg.scan, lstm, s.xs, s.params)
    assert_refused_before_work(text, tg.scan, lstm, s.xs, dict(zip(lstm.states, s.state)), s.params)
    text = f"InvalidType: scan: state is a str, {WRITE.format('h,', 'rnn')}"
    assert refusal(tg.scan, tg.rnn, s.xs, "zeros", s.params) == text


def test_dicts_of_arrays_are_told_what_to_write(s):
    text = "InvalidType: scan: xs is a dict, should be an array (N, T, D): scan(lstm, xs, None, params)"
    assert_refused_before_work(text, tg.scan, lstm, {"x": s.xs}, None, s.params)
    text = "lstm: argument {} is a dict, should be an array: lstm(x, h, c, **params)"
    x = s.xs[:, 0]
    assert refusal(lstm, x, *s.state, s.params) == f"InvalidType: {text.format(3)}"
    assert refusal(lstm, x, dict(zip(lstm.states, s.state)), **s.params) == f"InvalidType: {text.format(1)}"
    assert refusal(lstm, {"x": x}, *s.state, **s.params) == f"InvalidType: {text.format(0)}"
    assert refusal(tg.check_gradients, lstm, s.params).endswith(text.format(0))
    assert refusal(tg.check_gradients, lstm, x, *s.state, s.params).endswith(text.format(3))
    assert refusal(tg.draw, s.params) == "InvalidType: draw: target is a dict, should be a cell, a function or a Tensor"
    text = "InvalidType: draw: a cell runs on random inputs; got 1 inputs. For your own, draw a function"
    assert refusal(tg.draw, lstm, s.params) == text


def test_a_cell_of_one_state_without_a_return():
    @cell
    def silent(x, h, *, W=Param("D H")):
        tg.tanh(x @ W + h)

    text = "InvalidType: silent: returned None, should return 1: the new h; is a return missing?"
    assert refusal(silent, np.ones((2, 3)), np.ones((2, 3)), W=np.ones((3, 3))) == text


def test_what_is_no_cell_and_what_are_no_params(s):
    text = "InvalidType: scan: cell is a function, should be a cell: equations under @cell"
    assert_refused_before_work(text, tg.scan, lstm.function, s.xs, s.state, s.params)
    text = "InvalidType: scan: params is a list, should be a dict such as lstm.init(...) gives"
    assert_refused_before_work(text, tg.scan, lstm, s.xs, s.state, list(s.params.values()))
    text = "InvalidType: lstm: missing parameter Wx"
    assert_refused_before_work(text, tg.scan, lstm, s.xs, s.state)


def test_configuration_that_is_missing_or_unknown():
    @cell
    def leaky(x, h, *, W=Param("D H"), rate, floor=0.0):
        CALLS.append(1)
        return rate * h + tg.tanh(x @ W)

    CALLS.clear()
    s = sample(leaky)
    text = "InvalidType: leaky: missing argument rate"
    assert_refused_before_work(text, tg.scan, leaky, s.xs, s.state, s.params)
    assert_refused_before_work(text, leaky, s.xs[:, 0], *s.state, **s.params)
    text = "InvalidType: leaky: has no parameter top, only W, rate, floor"
    assert_refused_before_work(text, tg.scan, leaky, s.xs, s.state, {**s.params, "rate": 0.5, "top": 1.0})


def test_a_state_whose_size_no_parameter_tells():
    @cell
    def adds(x, h):
        CALLS.append(1)
        return h + x

    CALLS.clear()
    xs = sample(lstm).xs
    text = "InvalidType: adds: the size H of the state is in no parameter; give the state"
    assert_refused_before_work(text, tg.scan, adds, xs)
    hs, _ = tg.scan(adds, xs, np.zeros((5, D)))
    np.testing.assert_allclose(hs, np.cumsum(xs, axis=1), rtol=1e-14)


# -- cells that return what they should not --------------------------------------------------------------------------


def cell_that_returns(result):
    """An LSTM-like cell with ``result(x, h, c)`` as its new state."""

    @cell
    def mine(x, h, c, *, W=Param("D H")):
        return result(x @ W, h, c)

    return mine


RETURNS = {
    "one of two": (lambda a, h, c: h + a, "InvalidType: mine: returns 1 value, should return 2: the new h, c"),
    "three": (lambda a, h, c: (h, c, a), "InvalidType: mine: returns 3 values, should return 2: the new h, c"),
    "nothing": (
        lambda a, h, c: None, "InvalidType: mine: returned None, should return 2: the new h, c; is a return missing?"),
    "an empty tuple": (lambda a, h, c: (), "InvalidType: mine: returns 0 values, should return 2: the new h, c"),
    "a list": (lambda a, h, c: [h, c], "InvalidType: mine: returns a list, should return 2: the new h, c"),
    "an array": (lambda a, h, c: (h + a, c.numpy()), "InvalidType: mine: the new c is a ndarray, should be a Tensor"),
    "a number": (lambda a, h, c: (0.0, c), "InvalidType: mine: the new h is a float, should be a Tensor"),
    "fewer units": (lambda a, h, c: (h[:, :3], c), "ShapeError: mine: the new h is (5, 3), should be (5, 4) as h was"),
    "more axes": (
        lambda a, h, c: (h, c[None]), "ShapeError: mine: the new c is (1, 5, 4), should be (5, 4) as c was"),
    "narrower": (
        lambda a, h, c: (h.astype(np.float32), c),
        "InvalidType: mine: the new h is float32, should be float64 as h was"),
}  # fmt: skip


@pytest.mark.parametrize(("result", "text"), RETURNS.values(), ids=RETURNS)
def test_cells_that_break_their_word(result, text):
    mine = cell_that_returns(result)
    s = sample(mine)
    assert refusal(tg.scan, mine, s.xs, s.state, s.params) == text
    assert refusal(mine, s.xs[:, 0], *s.state, **s.params) == text


def test_a_state_that_is_narrower_than_the_rest_names_who_is_not(s):
    """A float32 state with float64 inputs is no fault of the cell: the text says who brought the wider dtype."""
    state = tuple(one.astype(np.float32) for one in s.state)
    params = {name: one.astype(np.float32) for name, one in s.params.items()}
    text = "InvalidType: lstm: the new h is float64 (x too), should be float32 as h was"
    assert refusal(tg.scan, lstm, s.xs, state, params) == text
    text = "InvalidType: lstm: the new h is float64 (x, Wh too), should be float32 as h was"
    assert refusal(tg.scan, lstm, s.xs, state, {**params, "Wh": s.params["Wh"]}) == text


# -- declarations ----------------------------------------------------------------------------------------------------

NO_STATE = "a cell is written f(x, h, *, ...): an input, at least one state, parameters"


def test_a_cell_needs_an_input_and_a_state():
    def stateless(x, *, W=Param("D H")):
        return x @ W

    def nothing():
        return None

    assert refusal(cell, stateless) == f"InvalidType: stateless: {NO_STATE}"
    assert refusal(cell, nothing) == f"InvalidType: nothing: {NO_STATE}"


def test_a_param_among_the_states():
    def forgot_the_star(x, h, W=Param("D H")):
        return x @ W

    text = "InvalidType: forgot_the_star: W is a Param among the states, should stand after a *"
    assert refusal(cell, forgot_the_star) == text


PARAM_TEXTS = {
    ("D H", "fT"): "Param('D H', 'fT'): block T is what every Tensor has, should be another name",
    ("D H", "sum mean"): "Param('D H', 'sum mean'): block sum is what every Tensor has, should be another name",
    ("D H", "fgf"): "Param('D H', 'fgf'): block f is named twice, should be once",
    ("", "fg"): "Param('', 'fg'): the shape is empty, should have an axis for the blocks, such as 'D H'",
    ("D -H",): "Param('D -H'): size '-H' is no sum, should be such as D, 1, D+H or 2*H",
    ("D 4H",): "Param('D 4H'): size '4H' is no sum, should be such as D, 1, D+H or 2*H",
    ("D,H",): "Param('D,H'): size 'D,H' is no sum, should be such as D, 1, D+H or 2*H",
    ("D 0",): "Param('D 0'): size '0' is no sum, should be such as D, 1, D+H or 2*H",
    ("H*2 H", "fg"): "Param('H*2 H', 'fg'): size 'H*2' is no sum, should be such as D, 1, D+H or 2*H",
    ("D H", "", None, "D H"): "Param('D H'), fan='D H': the fan is a single size, should be such as 'D+H'",
    ("D H", "", None, 0): "Param('D H'), fan=0: size '0' is no sum, should be such as D, 1, D+H or 2*H",
}


@pytest.mark.parametrize(("args", "text"), PARAM_TEXTS.items(), ids=str)
def test_params_that_cannot_be(args, text):
    assert refusal(Param, *args) == f"InvalidValue: {text}"


def test_a_block_that_is_not_there():
    @cell
    def asks(x, h, *, W=Param("D H", "fg"), V=Param("D H")):
        return (W.q if h.shape[0] > 1 else V.f) @ x

    s = sample(asks)
    assert refusal(tg.scan, asks, s.xs, s.state, s.params) == "InvalidAttribute: W has no block 'q', only f, g"
    s = sample(asks, N=1)
    assert refusal(tg.scan, asks, s.xs, s.state, s.params) == "InvalidAttribute: V has no block 'f', only the whole"


def test_the_sizes_used_above():
    assert (D, H, T) == (3, 4, 6)
