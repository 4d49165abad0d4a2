"""Padded batches: every example once an epoch, with its length; little padding; an order by seed and epoch alone."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.data import batches, pad

#: sequences of unequal length, none of them empty
ROWS = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=7), min_size=1, max_size=20)
FORMS = ["one", "many", "other"]


def targets_of(rows, form):
    """A target that its input determines: for many-to-one, many-to-many, and sequence to sequence."""
    made = {"one": sum, "many": lambda row: [x + 1 for x in row], "other": lambda row: [*row[::-1], 99, 98]}
    return [made[form](row) for row in rows]


@given(ROWS, st.sampled_from([0, -1, 7]))
@settings(max_examples=40)
def test_padding_is_the_loop_of_its_docstring(rows, value):
    T = max(map(len, rows))
    padded, lengths = pad(rows, value)
    assert padded.tolist() == [row + [value] * (T - len(row)) for row in rows]
    assert lengths.tolist() == list(map(len, rows))


def test_vectors_are_padded_too_and_keep_their_dtype():
    padded, lengths = pad([np.ones((1, 2), np.float32), np.ones((3, 2), np.float32)], np.nan)
    assert padded.dtype == np.float32 and padded.shape == (2, 3, 2) and lengths.tolist() == [1, 3]
    assert np.isnan(padded).sum() == 4 and np.nansum(padded) == 8


@given(ROWS, st.integers(1, 6), st.integers(0, 3), st.booleans(), st.sampled_from(FORMS), st.booleans())
@settings(max_examples=80)
def test_every_example_is_in_one_batch_of_an_epoch(rows, N, k, bucket, form, padded):
    targets = targets_of(rows, form)
    expected = sorted(zip(rows, targets))
    inputs, lengths = pad(rows, 5) if padded else (rows, None)
    if padded and form != "one":
        targets = pad(targets, -1)[0]
    found, seen = batches(inputs, targets, N, seed=3, bucket=bucket, lengths=lengths).epoch(k), []
    for xs, ts, ends in found:
        assert xs.shape == (len(ends), ends.max()) and len(ts) == len(ends) <= N
        assert form != "many" or ts.shape == xs.shape
        for x, t, end in zip(xs, ts, ends):
            assert (x[end:] == 0).all()
            seen.append((x[:end].tolist(), int(t) if form == "one" else t[t != -1].tolist()))
    assert sorted(seen) == expected
    assert len(found) == len(list(found)) == -(-len(rows) // N)


def test_a_gap_at_the_end_of_labelled_inputs_is_no_padding():
    """Labels that are to be ignored belong to the example: inputs and labels have one shape."""
    ((xs, ts, _),) = batches([[1, 2, 3], [4]], [[-1, 5, -1], [-1]], 2, seed=None)
    assert xs.tolist() == [[1, 2, 3], [4, 0, 0]] and ts.tolist() == [[-1, 5, -1], [-1, -1, -1]]


def test_a_longer_target_of_a_padded_input_is_not_cut():
    inputs, targets = [[1, 2, 0], [3, 4, 5]], [[7, 8, 9], [6, -1, -1]]
    ((xs, ts, _),) = batches(inputs, targets, 2, seed=None, lengths=[2, 3])
    assert xs.tolist() == inputs and ts.tolist() == targets


def test_the_order_is_a_function_of_seed_and_epoch():
    rows = [[i] * (1 + i % 5) for i in range(40)]

    def order(seed, k, then=0):
        return [xs.tolist() for xs, _, _ in batches(rows, range(40), 4, seed=seed).epoch(then).epoch(k)]

    assert order(0, 2) == order(0, 2, then=7)
    assert order(0, 2) != order(0, 3) and order(0, 2) != order(1, 2)
    found = batches(rows, range(40), 4)
    assert [xs.tolist() for xs, _, _ in found] == order(0, 0)
    assert [ts[0] for _, ts, _ in batches(rows, range(40), 4, seed=None).epoch(9)] == list(range(0, 40, 4))
    assert repr(found) == "Batches(10 of N=4, 40 examples)"


def test_the_order_of_a_seed_is_the_same_forever():
    orders = [np.concatenate(batches([[0]] * 8, range(8), 3, bucket=bucket).order()) for bucket in (False, True)]
    assert [order.tolist() for order in orders] == [[3, 2, 1, 6, 0, 7, 4, 5], [3, 2, 1, 4, 5, 6, 0, 7]]


def test_batches_by_length_have_little_padding():
    rng = np.random.default_rng(0)
    rows = [np.ones(length, int) for length in rng.integers(1, 100, 2000)]

    def padding(bucket):
        found = list(batches(rows, range(2000), 20, bucket=bucket))
        return 1 - sum(xs.sum() for xs, _, _ in found) / sum(xs.size for xs, _, _ in found)

    assert padding(True) < 0.06 and padding(False) > 0.4
    lengths = [ends.mean() for _, _, ends in batches(rows, range(2000), 20)]
    assert abs(np.corrcoef(lengths, range(100))[0, 1]) < 0.3  # and the batches come in random order


def test_vectors_and_numbers_may_be_targets():
    ((_, ts, _),) = batches([[1], [2, 3]], np.array([[0.5, 1.0], [2.0, 3.0]]), 2, seed=None)
    assert ts.tolist() == [[0.5, 1.0], [2.0, 3.0]]
    ((_, ts, _),) = batches([[1], [2, 3]], [0.5, 1.5], 2, seed=None)
    assert ts.tolist() == [0.5, 1.5]


def test_the_padding_of_targets_is_ignored_by_the_loss():
    (batch,) = batches([[1, 2, 3], [4]], [[0, 1, 1], [1]], 2, seed=None)
    scores = np.random.default_rng(0).standard_normal((2, 3, 2))
    kept = scores.reshape(6, 2)[:4]
    loss = tg.softmax_cross_entropy(tg.tensor(scores), batch[1])
    assert float(loss) == pytest.approx(float(tg.softmax_cross_entropy(tg.tensor(kept), np.array([0, 1, 1, 1]))))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: pad([]), ValueError, "pad: there is no sequence, should be at least one"),
        (lambda: pad([[1], []]), ValueError, "pad: sequence 1 is empty, should have at least one element"),
        (lambda: pad([[1], 2]), ValueError, "pad: sequence 1 has shape (), should be (length)"),
        (lambda: pad([[[1, 2]], [[1]]]), ValueError, "pad: sequence 1 has shape (1, 1), should be (length, 2)"),
        (lambda: pad(["ab"]), TypeError, "pad: sequence 0 is <U2, should be numbers"),
        (lambda: pad([["a"]]), TypeError, "pad: sequence 0 is <U1, should be numbers"),
        (lambda: pad([np.array([1], np.uint8)], -1), ValueError, "pad: value is -1, should be one that uint8 can hold"),
        (lambda: pad([[1]], 0.5), ValueError, "pad: value is 0.5, should be one that int64 can hold"),
        (lambda: pad([[1]], np.nan), ValueError, "pad: value is nan, should be one that int64 can hold"),
        (lambda: batches([[1]], [1], 1).epoch(-1), ValueError, "epoch: k is -1, should be an int from 0"),
        (lambda: batches([[1]], [1], 0), ValueError, "batches: N is 0, should be a positive int"),
        (lambda: batches([[1]], [1], 1, seed=-1), ValueError, "batches: seed is -1, should be an int from 0"),
        (lambda: batches([[1]], [1], 1, seed=0.5), ValueError,
         "batches: seed is 0.5, should be an int from 0"),
        (lambda: batches([[1], []], [1, 2], 1), ValueError,
         "batches: sequence 1 is empty, should have at least one element"),
        (lambda: batches([[1], [2]], [1], 1), ValueError,
         "batches: there are 1 targets, should be 2, one for each input"),
        (lambda: batches([[1, 2]], [1], 1, lengths=[3]), ValueError,
         "batches: the length of input 0 is 3, should be from 1 to 2"),
        (lambda: batches([[1, 2]], [1], 1, lengths=[0]), ValueError,
         "batches: the length of input 0 is 0, should be from 1 to 2"),
        (lambda: batches([[1, 2]], [1], 1, lengths=[[1]]), ValueError,
         "batches: lengths has shape (1, 1), should be (1,)"),
        (lambda: batches([[1], [2]], [[0.5], [0.5, 1.0]], 1), ValueError,
         "batches: targets are floats of unequal length, should be integers, or equally long"),
    ],
)  # fmt: skip
def test_errors_say_what_is_and_what_should_be(call, error, text):
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        call()
