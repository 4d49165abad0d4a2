"""Rows of unequal length, in either direction: each row is its own part, whatever stands in the padding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from helpers.cell_samples import CELLS, LENGTHS, T, assert_gradients, assert_same, everything, leaves, sample, scanned

each_cell = pytest.mark.parametrize("one", CELLS, ids=lambda one: one.name)
each_way = pytest.mark.parametrize("reverse", [False, True])

#: lengths of up to five rows, 0 and T among them more often than not
ANY_LENGTHS = st.lists(st.sampled_from([0, T]) | st.integers(0, T), min_size=1, max_size=5).map(np.array)


def row_by_row(one, s, lengths, reverse):
    """scan of each row's own part, alone and unpadded; past it zeros."""
    hs, last = np.zeros((*s.xs.shape[:2], s.state[0].shape[-1])), [np.array(each) for each in s.state]
    for n, length in enumerate(lengths):
        if length:
            state = tuple(each[n : n + 1] for each in s.state)
            hs[n, :length], new = (
                part if isinstance(part, tuple) else part[0]
                for part in tg.scan(one, s.xs[n : n + 1, :length], state, s.params, reverse=reverse)
            )
            for each, row in zip(last, new, strict=True):
                each[n] = row[0]
    return hs, tuple(last)


@each_cell
@each_way
def test_padded_rows_are_their_own_parts(one, reverse):
    s = sample(one)
    found = tg.scan(one, s.xs, s.state, s.params, lengths=LENGTHS, reverse=reverse)
    assert_same(found, row_by_row(one, s, LENGTHS, reverse), rtol=1e-13, atol=1e-15)


@settings(deadline=None, max_examples=40)
@given(lengths=ANY_LENGTHS, reverse=st.booleans(), seed=st.integers(0, 99))
def test_any_lengths_in_either_direction(lengths, reverse, seed):
    """Reversing a padded batch reverses each row's own part, not the padding."""
    s = sample(tg.lstm, N=len(lengths), seed=seed)
    found = tg.scan(tg.lstm, s.xs, s.state, s.params, lengths=lengths, reverse=reverse)
    assert_same(found, row_by_row(tg.lstm, s, lengths, reverse), rtol=1e-13, atol=1e-15)


@settings(deadline=None, max_examples=40)
@given(lengths=ANY_LENGTHS, reverse=st.booleans(), padding=st.sampled_from([np.nan, np.inf, 1e300, 0.0]))
def test_what_stands_in_the_padding_changes_nothing(lengths, reverse, padding):
    """Not one bit of an output or of a gradient, even where it is NaN."""
    s = sample(tg.gru, N=len(lengths))
    past = np.arange(T) >= lengths[:, None]
    clean, loss = everything(scanned(tg.gru, lengths=lengths, reverse=reverse), s), scanned
    outputs = tg.scan(tg.gru, s.xs, s.state, s.params, lengths=lengths, reverse=reverse)
    s.xs[past] = padding
    assert_same(everything(loss(tg.gru, lengths=lengths, reverse=reverse), s), clean)
    assert_same(tg.scan(tg.gru, s.xs, s.state, s.params, lengths=lengths, reverse=reverse), outputs)
    assert np.isfinite(clean[0]).all()
    assert not clean[0][past].any()
    assert not outputs[0][past].any()


@each_cell
@each_way
def test_gradients_with_lengths_are_the_differences(one, reverse):
    s = sample(one)
    assert_gradients(scanned(one, lengths=LENGTHS, reverse=reverse), (s.xs, s.state, s.params))


@each_cell
@each_way
def test_a_row_of_length_zero_keeps_its_state_and_passes_its_gradient(one, reverse):
    """Row 0 has no steps: its last state is its first, dy goes straight through, parameters get nothing from it."""
    s = sample(one, N=1)
    lengths = np.array([0])
    hs, last = tg.scan(one, s.xs, s.state, s.params, lengths=lengths, reverse=reverse)
    assert not hs.any()
    assert_same(last, s.state)
    dxs, dstate, dparams = tg.grad(
        lambda *args: sum(tg.sum(each) for each in tg.scan(one, *args, lengths=lengths, reverse=reverse)[1]),
        argnums=(0, 1, 2),
    )(s.xs, s.state, s.params)
    assert not dxs.any()
    assert not any(each.any() for each in dparams.values())
    assert all((each == 1).all() for each in dstate)


def test_full_lengths_are_no_lengths():
    """Nothing is masked, so nothing more is recorded."""
    s = sample(tg.lstm)
    plain = tg.scan(tg.lstm, s.xs, s.state, s.params)
    assert_same(tg.scan(tg.lstm, s.xs, s.state, s.params, lengths=np.full(5, T)), plain)
    assert_same(tg.scan(tg.lstm, s.xs, s.state, s.params, lengths=[T] * 5), plain)


def test_lengths_keep_float32():
    s = sample(tg.lstm, dtype=np.float32)
    params = leaves(s.params)
    hs, last = tg.scan(tg.lstm, s.xs, None, params, lengths=LENGTHS)
    tg.sum(hs).backward()
    assert {str(one.dtype) for one in (hs, *last, *(p.grad for p in params.values()))} == {"float32"}
