"""Wrappers: cells around cells.  What each computes, that its draws hold as long as they should, that they compose."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers import scalar_cells as scalar
from helpers.cell_samples import (
    CELLS,
    LENGTHS,
    D,
    H,
    T,
    assert_gradients,
    assert_same,
    assert_second_derivatives,
    refusal,
    sample,
    scanned,
)
from tinygrad_rnn import Param, cell
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.cells.masks import draw_masks
from tinygrad_rnn.cells.wrappers import WRAPPERS, projected, residual, variational_dropout, zoneout

each_cell = pytest.mark.parametrize("one", CELLS, ids=lambda one: one.name)

#: every wrapper around every cell that it takes, with what the call needs for training
WRAPPED = {
    **{f"zoneout({one.name})": zoneout(one, **dict.fromkeys(one.states, 0.4)) for one in CELLS},
    **{f"variational_dropout({one.name})": variational_dropout(one, x=0.4, h=0.4) for one in CELLS},
    **{f"residual({one.name})": residual(one) for one in CELLS},
    **{f"projected({one.name})": projected(one) for one in CELLS if one.name not in ("gru", "gru_after", "mgu")},
}
each_wrapped = pytest.mark.parametrize("wrapped", WRAPPED.values(), ids=WRAPPED)


def sizes_for(wrapped):
    """D = H for what adds input and output."""
    return {"H": D if "residual" in wrapped.name else H, "P": 2}


def training(wrapped, params, N=5, seed=8):
    """The configuration of a training run: masks, and a generator that starts anew at every call."""
    given = draw_masks(wrapped, np.random.default_rng(seed), N, params)
    return {**given, "rng": np.random.default_rng(seed)} if "rng" in wrapped.config else given


def trained(wrapped, seed=8, **options):
    """`scanned` with every draw repeated, as a function of xs, state and params."""

    def loss(xs, state, params):
        plain = {name: tg.detach(one).numpy() if isinstance(one, tg.Tensor) else one for name, one in params.items()}
        config = training(wrapped, plain, len(xs), seed)
        return scanned(wrapped, **options)(xs, state, {**params, **config})

    return loss


# -- what holds for all ----------------------------------------------------------------------------------------------


@each_wrapped
def test_a_wrapped_cell_is_a_cell(wrapped):
    (wrapper, _, inside) = wrapped.name.rstrip(")").partition("(")
    assert isinstance(wrapped, tg.Cell)
    assert wrapped.inner is BUILT_IN[inside]
    assert wrapper in WRAPPERS
    assert repr(wrapped).startswith(f"<cell {wrapper}({inside})(x, ")
    assert wrapped.__doc__ and inside in wrapped.__name__
    params = wrapped.init(np.random.default_rng(0), **{"D": D, **{k: v for k, v in sizes_for(wrapped).items()
                                                                 if k != "P" or wrapper == "projected"}})  # fmt: skip
    hs, last = tg.scan(wrapped, sample(BUILT_IN[inside]).xs.astype(np.float32), None, params)
    assert len(last) == len(wrapped.states)
    assert all(one.dtype == np.float32 for one in (hs, *last))


@pytest.mark.sampled(every=3)
@each_wrapped
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "padded"])
def test_gradients_in_training(wrapped, lengths):
    s = sample(wrapped, **sizes_for(wrapped))
    assert_gradients(trained(wrapped, lengths=lengths), (s.xs, s.state, s.params))


@each_wrapped
def test_gradients_in_evaluation(wrapped):
    s = sample(wrapped, **sizes_for(wrapped))
    assert_gradients(scanned(wrapped), (s.xs, s.state, s.params))


@each_wrapped
def test_second_derivatives_in_training(wrapped):
    s = sample(wrapped, N=2, T=3, **sizes_for(wrapped))
    assert_second_derivatives(trained(wrapped), (s.xs, s.state, s.params))


@each_wrapped
def test_scan_is_the_loop_of_its_docstring(wrapped):
    """Also in training: with masks because they are arguments, with a generator because steps draw in order."""
    s = sample(wrapped, **sizes_for(wrapped))
    state, hs, params = s.state, [], {**s.params, **training(wrapped, s.params)}
    for t in range(T):
        new = wrapped(s.xs[:, t], *state, **params)
        state = new if isinstance(new, tuple) else (new,)
        hs.append(state[0])
    loop = np.stack(hs, axis=1), state
    assert_same(tg.scan(wrapped, s.xs, s.state, {**s.params, **training(wrapped, s.params)}, mode="eager"), loop)
    assert_same(tg.scan(wrapped, s.xs, s.state, {**s.params, **training(wrapped, s.params)}), loop, atol=1e-12)


def test_all_of_them_compose():
    one = residual(zoneout(variational_dropout(projected(tg.lstm), x=0.3, h=0.3), h=0.2, c=0.4))
    assert one.name == "residual(zoneout(variational_dropout(projected(lstm))))"
    assert one.states == ["y", "h", "c"]
    assert {name: str(param) for name, param in one.params.items()} == {
        "Wx": "(D, 4H)", "Wh": "(P, 4H)", "b": "(4H,)", "P": "(H, P)"}  # fmt: skip
    assert list(one.config) == ["mask_x", "mask_h", "rng"]
    s = sample(one, P=D)
    assert {name: mask.shape for name, mask in draw_masks(one, np.random.default_rng(0), 5, s.params).items()} == {
        "mask_x": (5, D), "mask_h": (5, D)}  # fmt: skip
    for loss in (scanned(one), trained(one), trained(one, reverse=True, lengths=LENGTHS)):
        assert_gradients(loss, (s.xs, s.state, s.params))


# -- residual and projected ------------------------------------------------------------------------------------------


@each_cell
def test_residual_adds_the_input_to_every_output(one):
    s = sample(one, H=D)
    lengths = LENGTHS
    hs, last = tg.scan(one, s.xs, s.state, s.params, lengths=lengths)
    y0 = np.full((5, D), 7.0)
    ys, (y, *inner) = tg.scan(residual(one), s.xs, (y0, *s.state), s.params, lengths=lengths)
    here = np.arange(T) < lengths[:, None]
    assert_same(ys, np.where(here[:, :, None], s.xs + hs, 0))
    assert_same(tuple(inner), last)
    for n, length in enumerate(lengths):  # y is kept as any state is
        assert_same(y[n], ys[n, length - 1] if length else y0[n])


def test_residual_never_reads_the_old_y():
    s = sample(tg.rnn, H=D)
    dy0 = tg.grad(lambda y0: scanned(residual(tg.rnn))(s.xs, (y0, *s.state), s.params))(np.full((5, D), np.nan))
    assert not dy0.any()


def test_projected_lstm_equals_the_scalar_lstm_with_a_product():
    one = projected(tg.lstm)
    s = sample(one, P=2)
    assert [each.shape for each in s.state] == [(5, 2), (5, H)]
    hs = tg.scan(one, s.xs, s.state, s.params)[0]
    P = s.params["P"]
    wide = {**{name: s.params[name] for name in ("Wx", "b")}, "Wh": P @ s.params["Wh"]}
    # with the first h from before a projection, (new h) P Wh is an LSTM whose own recurrent matrix is P Wh
    start = (np.zeros((5, H)), s.state[1])
    inner, _ = scalar.over_time("lstm", s.xs, start, wide)
    from_zero = tg.scan(one, s.xs, (np.zeros((5, 2)), s.state[1]), s.params)[0]
    np.testing.assert_allclose(from_zero, inner @ P, atol=1e-12)
    assert hs.shape == (5, T, 2)


def test_projected_is_written_out():
    """The wrapper and the equations by hand are one cell."""

    @cell(states={"h": "N P"})
    def lstmp(x, h, c, *, Wx=Param("D H", "fgio"), Wh=Param("P H", "fgio"), b=Param("H", "fgio"), P=Param("H P")):
        f, g, i, o = tg.split(x @ Wx + h @ Wh + b, 4)
        c = tg.sigmoid(f) * c + tg.sigmoid(i) * tg.tanh(g)
        return (tg.sigmoid(o) * tg.tanh(c)) @ P, c

    s = sample(lstmp, P=2)
    both = [(tg.scan(one, s.xs, s.state, s.params), tg.grad(scanned(one), argnums=(0, 1, 2))(s.xs, s.state, s.params))
            for one in (lstmp, projected(tg.lstm))]  # fmt: skip
    assert_same(*both, rtol=1e-13, atol=1e-15)


# -- what is refused -------------------------------------------------------------------------------------------------


REFUSED = {
    "no rate": (
        lambda: zoneout(tg.lstm),
        "InvalidType: zoneout(lstm): no rate is given, should be such as c=0.1, for h, c"),
    "no such state": (lambda: zoneout(tg.gru, c=0.1), "InvalidType: zoneout(gru): gru has no c, only h"),
    "rate": (
        lambda: zoneout(tg.gru, h=1.0), "InvalidValue: zoneout(gru): h is 1.0, should be at least 0 and less than 1"),
    "no such input": (
        lambda: variational_dropout(tg.lstm, u=0.1),
        "InvalidType: variational_dropout(lstm): lstm has no u, only x, h, c"),
    "twice": (
        lambda: variational_dropout(variational_dropout(tg.rnn, x=0.1), x=0.1),
        "InvalidType: variational_dropout(variational_dropout(rnn)): "
        "variational_dropout(rnn) has an argument mask_x already"),
    "residual twice": (
        lambda: residual(residual(tg.rnn)),
        "InvalidType: residual(residual(rnn)): residual(rnn) has an argument y already"),
    "projected outside": (
        lambda: projected(residual(zoneout(tg.lstm, h=0.1))),
        "InvalidType: projected(residual(zoneout(lstm))): projected is the innermost wrapper, "
        "should be residual(zoneout(projected(lstm)))"),
    "no matrix": (
        lambda: projected(cell(no_recurrence)),
        "InvalidType: projected(no_recurrence): no_recurrence has no matrix with H rows, which h would go through"),
}  # fmt: skip


def no_recurrence(x, h, *, Wx=Param("D H")):
    return h + x @ Wx


@pytest.mark.parametrize(("make", "text"), REFUSED.values(), ids=REFUSED)
def test_wrappers_that_do_not_fit(make, text):
    assert refusal(make) == text


def test_residual_needs_equal_widths():
    s = sample(residual(tg.lstm))
    text = "ShapeError: residual(lstm): the new h is (5, 4), should be (5, 3) as x is, to be added"
    assert refusal(tg.scan, residual(tg.lstm), s.xs, s.state, s.params) == text
    text = "InvalidType: residual(lstm): got 2 states, should be 3: y, h, c"
    assert refusal(tg.scan, residual(tg.lstm), s.xs, s.state[1:], s.params) == text


def test_projected_needs_a_cell_that_multiplies_h_by_matrices_only():
    one = projected(tg.gru)
    s = sample(one, P=2)
    text = refusal(tg.scan, one, s.xs, s.state, s.params)
    assert text.startswith(
        "ShapeError: projected(gru): h has P columns, should be used in products with a matrix of P rows only; "
    )


def test_a_fault_inside_is_told_in_the_cell_s_own_name():
    @cell
    def faulty(x, h, *, Wx=Param("D H"), Wh=Param("H H")):
        return (x @ Wx + h @ Wh)[:, :1]

    s = sample(faulty)
    text = "ShapeError: faulty: the new h is (5, 1), should be (5, 4) as h was"
    assert refusal(tg.scan, zoneout(faulty, h=0.1), s.xs, s.state, s.params) == text
    assert refusal(tg.scan, variational_dropout(faulty, h=0.1), s.xs, s.state, s.params) == text
