"""The built-in cells against the same equations one element at a time, and the forms in which a cell can be written."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers import scalar_cells as scalar
from helpers.cell_samples import (
    CELLS,
    D,
    H,
    assert_gradients,
    assert_same,
    assert_second_derivatives,
    leaves,
    sample,
    scanned,
)
from tinygrad_rnn import Param, cell, split
from tinygrad_rnn.cells.builtin import BUILT_IN

each_cell = pytest.mark.parametrize("one", CELLS, ids=lambda one: one.name)
each_batch = pytest.mark.parametrize("N", [1, 5])


def test_every_built_in_cell_has_a_scalar_version():
    assert list(scalar.CELLS) == list(BUILT_IN)


@each_cell
@each_batch
def test_one_step_equals_the_scalar_version(one, N):
    s = sample(one, N, T=1)
    new = one(s.xs[:, 0], *s.state, **s.params)
    _, last = scalar.over_time(one.name, s.xs, s.state, s.params)
    assert_same(new if isinstance(new, tuple) else (new,), last, atol=1e-12)


@each_cell
@each_batch
def test_many_steps_equal_the_scalar_version(one, N):
    s = sample(one, N, T=9)
    hs, last = scalar.over_time(one.name, s.xs, s.state, s.params)
    assert_same(tg.scan(one, s.xs, s.state, s.params), (hs, last), atol=1e-12)


@each_cell
def test_saturated_gates_are_finite(one):
    """At inputs of a thousand, every gate is 0 or 1."""
    s = sample(one, T=3)
    xs, params = 1000 * s.xs, leaves(s.params)
    hs, last = tg.scan(one, xs, s.state, params)
    assert_same((hs, last), scalar.over_time(one.name, xs, s.state, s.params), atol=1e-10)
    tg.sum(hs).backward()
    assert all(np.isfinite(p.grad).all() for p in params.values())


@each_cell
@each_batch
def test_gradients_of_a_step_are_the_differences(one, N):
    s = sample(one, N)

    def loss(x, state, params):
        new = one(x, *state, **params)
        parts = [tg.sum(each * np.arange(1.0, each.size + 1).reshape(each.shape))
                 for each in (new if isinstance(new, tuple) else (new,))]  # fmt: skip
        return sum(parts[1:], parts[0])

    assert_gradients(loss, (s.xs[:, 0], s.state, s.params))


@each_cell
@each_batch
def test_gradients_over_time_are_the_differences(one, N):
    s = sample(one, N)
    assert_gradients(scanned(one), (s.xs, s.state, s.params))


@each_cell
def test_second_derivatives_over_time(one):
    s = sample(one, N=2, T=3)
    assert_second_derivatives(scanned(one), (s.xs, s.state, s.params))


@each_cell
def test_second_derivatives_by_each_parameter_alone(one):
    """Everything else is an array then: rules meet arrays and Tensors mixed."""
    s = sample(one, N=2, T=3)
    for name in s.params:

        def of(p, name=name):
            return scanned(one)(s.xs, s.state, {**s.params, name: p})

        assert_second_derivatives(of, (s.params[name],))


# -- the forms of one cell -------------------------------------------------------------------------------------------


@cell
def lstm_by_gates(x, h, c, *, Wx=Param("D H", "fgio"), Wh=Param("H H", "fgio"), b=Param("H", "fgio")):
    f = tg.sigmoid(x @ Wx.f + h @ Wh.f + b.f)
    g = tg.tanh(x @ Wx.g + h @ Wh.g + b.g)
    i = tg.sigmoid(x @ Wx.i + h @ Wh.i + b.i)
    o = tg.sigmoid(x @ Wx.o + h @ Wh.o + b.o)
    c = f * c + i * g
    h = o * tg.tanh(c)
    return h, c


@cell
def gru_by_split(x, h, *, Wx=Param("D H", "zrh"), Wh=Param("H H", "zrh"), b=Param("H", "zrh")):
    (xz, xr, xh), (hz, hr, hh) = split(x @ Wx + b, 3), split(Wh, 3, axis=-1)
    z = tg.sigmoid(xz + h @ hz)
    r = tg.sigmoid(xr + h @ hr)
    return (1 - z) * h + z * tg.tanh(xh + (r * h) @ hh)


@pytest.mark.parametrize(("form", "built_in"), [(lstm_by_gates, tg.lstm), (gru_by_split, tg.gru)])
@each_batch
def test_gates_one_by_one_are_the_split_of_the_whole(form, built_in, N):
    """Outputs and gradients; sums are taken in another order, so to rounding."""
    s = sample(built_in, N)
    args = (s.xs, s.state, s.params)
    assert_same(tg.scan(form, *args), tg.scan(built_in, *args), rtol=1e-13, atol=1e-15)
    both = [tg.grad(scanned(one), argnums=(0, 1, 2))(*args) for one in (form, built_in)]
    assert_same(*both, rtol=1e-11, atol=1e-13)


def test_gates_one_by_one_are_exactly_the_built_in_lstm_on_whole_numbers():
    """Where no sum rounds, nothing is left of the difference between the two forms."""
    rng = np.random.default_rng(0)
    params = {name: rng.integers(-2, 3, one.shape).astype(float) for name, one in sample(tg.lstm).params.items()}
    xs, state = rng.integers(-2, 3, (5, D)).astype(float), tuple(rng.integers(-2, 3, (2, 5, H)).astype(float))
    assert_same(lstm_by_gates(xs, *state, **params), tg.lstm(xs, *state, **params))


def test_gru_with_reset_after_is_another_function():
    """Equal weights, and whatever the biases are shared out as, give other outputs; with r = 1 they agree."""
    s = sample(tg.gru)
    Wx, Wh, b = s.params.values()
    after = {"Wx": Wx, "Wh": Wh, "bx": b, "bh": np.zeros_like(b)}
    assert np.abs(tg.gru(s.xs[:, 0], *s.state, **s.params) - tg.gru_after(s.xs[:, 0], *s.state, **after)).max() > 1e-2
    b[H : 2 * H] = 1e3
    assert_same(tg.gru(s.xs[:, 0], *s.state, **s.params), tg.gru_after(s.xs[:, 0], *s.state, **after), atol=1e-14)


# -- what a cell says, takes and gives -------------------------------------------------------------------------------


def test_a_cell_says_its_signature():
    assert repr(tg.lstm) == "<cell lstm(x, h, c, *, Wx, Wh, b)>"
    assert (tg.lstm.name, tg.lstm.input, tg.lstm.states) == ("lstm", "x", ["h", "c"])
    assert list(tg.lstm.params) == ["Wx", "Wh", "b"]
    assert [str(one) for one in tg.peephole_lstm.params.values()] == ["(D, 4H)", "(H, 4H)", "(3H,)", "(4H,)"]
    assert str(tg.rnn.params["b"]) == "(H,)"


@each_cell
def test_arrays_give_arrays_and_tensors_give_tensors(one):
    s = sample(one)
    args = {"xs": s.xs, "state": s.state, "params": s.params}
    tensors = {"xs": tg.tensor(s.xs), "state": tuple(map(tg.tensor, s.state)), "params": leaves(s.params)}
    hs, last = tg.scan(one, **args)
    assert all(type(each) is np.ndarray for each in (hs, *last, *_tuple(one(s.xs[:, 0], *s.state, **s.params))))
    for name, given in tensors.items():
        hs, last = tg.scan(one, **{**args, name: given})
        assert all(type(each) is tg.Tensor for each in (hs, *last))
    new = one(tg.tensor(s.xs[:, 0]), *s.state, **s.params)
    assert all(type(each) is tg.Tensor for each in _tuple(new))


def _tuple(new):
    return new if isinstance(new, tuple) else (new,)


@each_cell
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(one, dtype):
    s = sample(one, dtype=dtype)
    params = leaves(s.params)
    hs, last = tg.scan(one, s.xs, None, params)
    assert [each.dtype for each in (hs, *last)] == [dtype] * (1 + len(last))
    tg.sum(hs).backward()
    assert [p.grad.dtype for p in params.values()] == [dtype] * len(params)
    assert all(each.dtype == dtype for each in _tuple(one(s.xs[:, 0], *s.state, **s.params)))


def test_a_call_leaves_nothing_behind():
    """The arguments and the cell are as before, and a second call gives the same."""
    s = sample(tg.lstm)
    before = {name: one.copy() for name, one in s.params.items()}
    known = dict(vars(tg.lstm))
    first = tg.lstm(s.xs[:, 0], *s.state, **s.params)
    assert_same(tg.lstm(s.xs[:, 0], *s.state, **s.params), first)
    assert_same(s.params, before)
    assert vars(tg.lstm) == known


def test_configuration_is_passed_on():
    @cell
    def leaky(x, h, *, Wx=Param("D H"), rate=0.5):
        return rate * h + (1 - rate) * tg.tanh(x @ Wx)

    s = sample(leaky)
    given = {"full": {"rate": 1.0}, "half": {}, "none": {"rate": 0.0}}
    full, half, none = (leaky(s.xs[:, 0], *s.state, **s.params, **rate) for rate in given.values())
    assert_same(full, s.state[0])
    assert_same(half, (full + none) / 2, rtol=1e-14)


def test_a_state_of_its_own_shape():
    @cell(states={"m": "N D H"})
    def fast_weights(x, h, m, *, W=Param("D H")):
        m = 0.9 * m + tg.expand_dims(x, 2) * tg.expand_dims(h, 1)
        return tg.tanh(x @ W + tg.sum(tg.expand_dims(x, 2) * m, axis=1)), m

    s = sample(fast_weights)
    hs, (h, m) = tg.scan(fast_weights, s.xs, None, s.params, lengths=np.array([0, 1, 3, 6, 6]))
    assert (hs.shape, h.shape, m.shape) == ((5, 6, H), (5, H), (5, D, H))
    assert_gradients(scanned(fast_weights, lengths=np.array([0, 1, 3, 6, 6])), (s.xs, s.state, s.params))


def test_a_block_is_sliced_once_and_is_named():
    seen = {}

    @cell
    def peeks(x, h, *, Wx=Param("D H", "ab")):
        seen["first"], seen["second"], seen["whole"] = Wx.b, Wx.b, Wx
        return h + x @ Wx.a

    s = sample(peeks)
    peeks(s.xs[:, 0], *s.state, **leaves(s.params))
    assert seen["first"] is seen["second"]
    assert (seen["first"].name, seen["whole"].name, seen["first"].shape) == ("Wx.b", "Wx", (D, H))
    np.testing.assert_array_equal(seen["first"].numpy(), s.params["Wx"][:, H:])


def test_blocks_may_be_words():
    @cell
    def spoken(x, h, *, W=Param("D H", "forget new")):
        return tg.sigmoid(x @ W.forget) * h + tg.tanh(x @ W.new)

    assert spoken.init(np.random.default_rng(0), D=2, H=3)["W"].shape == (2, 6)
    assert str(spoken.params["W"]) == "(D, 2H)"
