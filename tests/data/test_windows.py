"""Windows of truncated BPTT: which words are read and predicted, in which order."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.data import windows

#: a corpus length, N and T, with at least one batch in the corpus
SIZES = st.tuples(st.integers(1, 6), st.integers(1, 7), st.integers(0, 60)).map(
    lambda size: (size[0] * size[1] + 1 + size[2], size[0], size[1])
)


@given(SIZES)
def test_windows_equal_the_loop_of_the_docstring(size):
    n, N, T = size
    ids, L = np.arange(n) * 7, (n - 1) // N
    found = list(windows(ids, N, T))
    for start, (xs, ts) in zip(range(0, L - T + 1, T), found, strict=True):
        assert xs.tolist() == [ids[row * L + start : row * L + start + T].tolist() for row in range(N)]
        assert ts.tolist() == [ids[row * L + start + 1 : row * L + start + T + 1].tolist() for row in range(N)]


@given(SIZES)
def test_windows_cover_every_token_once(size):
    """With the tail, words 1 .. N·L are predicted once each, whatever N and T."""
    n, N, T = size
    found = windows(np.arange(n), N, T, tail=True)
    predicted = sorted(int(t) for _, ts in found for t in ts.ravel())
    assert predicted == list(range(1, n - found.lost))
    assert found.lost == (n - 1) % N


@given(SIZES)
def test_one_row_with_its_tail_loses_nothing(size):
    n, _, T = size
    found = windows(np.arange(n), 1, T, tail=True)
    assert found.lost == 0
    assert np.concatenate([ts[0] for _, ts in found]).tolist() == list(range(1, n))


@given(SIZES, st.booleans())
def test_what_is_lost_is_counted(size, tail):
    n, N, T = size
    found = windows(np.arange(n), N, T, tail=tail)
    assert sum(ts.size for _, ts in found) + found.lost == n - 1


@given(SIZES, st.booleans())
def test_the_number_of_windows_is_known_before(size, tail):
    n, N, T = size
    found = windows(np.arange(n), N, T, tail=tail)
    assert len(found) == len(list(found)) == len(list(found))  # a second pass is the first again
    if not tail:
        assert len(found) == (n - 1) // (N * T)  # the book's max_iters


@given(SIZES)
def test_each_window_continues_the_one_before(size):
    n, N, T = size
    found = list(windows(np.arange(n), N, T, tail=True))
    for (_, ts), (xs, _) in pairwise(found):
        assert xs[:, 0].tolist() == ts[:, -1].tolist()
    for xs, ts in found:
        assert (ts == xs + 1).all()  # of arange: the word that follows


def test_all_windows_but_the_tail_are_full():
    shapes = [xs.shape for xs, _ in windows(np.arange(50), 3, 5, tail=True)]
    assert shapes == [(3, 5), (3, 5), (3, 5), (3, 1)]
    assert [xs.shape for xs, _ in windows(np.arange(50), 3, 5)] == [(3, 5)] * 3
    assert repr(windows(np.arange(50), 3, 5)) == "Windows(3 of N=3, T=5, 4 words lost)"


def test_a_corpus_shorter_than_a_window_is_evaluated_whole():
    ((xs, ts),) = windows([3, 1, 2], 1, 35, tail=True)
    assert (xs.tolist(), ts.tolist()) == ([[3, 1]], [[1, 2]])


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_windows_are_copies_of_the_same_dtype(dtype):
    ids = np.arange(20, dtype=dtype)
    xs, ts = next(iter(windows(ids, 2, 3)))
    assert xs.dtype == ts.dtype == ids.dtype
    xs[:] = ts[:] = 0
    assert ids.tolist() == list(range(20))
    assert xs.flags.c_contiguous and ts.flags.c_contiguous


@pytest.mark.parametrize(
    ("args", "tail", "error", "text"),
    [
        ((range(40), 20, 35), False, ValueError, "the corpus has 40 tokens, one batch of N=20, T=35 needs 701"),
        ((range(700), 20, 35), False, ValueError, "the corpus has 700 tokens, one batch of N=20, T=35 needs 701"),
        ((range(20), 20, 35), True, ValueError, "the corpus has 20 tokens, one step of N=20 needs 21"),
        (([], 1, 1), False, ValueError, "the corpus has 0 tokens, one batch of N=1, T=1 needs 2"),
        ((range(40), 0, 3), False, ValueError, "N is 0, should be a positive int"),
        ((range(40), 2, -1), False, ValueError, "T is -1, should be a positive int"),
        ((range(40), 2.0, 3), False, ValueError, "N is 2.0, should be a positive int"),
        ((range(40), True, 3), False, ValueError, "N is True, should be a positive int"),
        (([[1, 2]], 1, 1), False, ValueError, "ids has shape (1, 2), should have one axis"),
        (([1.0, 2.0], 1, 1), False, TypeError, "ids is float64, should be integers"),
    ],
)
def test_errors_say_what_is_and_what_should_be(args, tail, error, text):
    with pytest.raises(error, match=f"^{re.escape(f'windows: {text}')}$"):
        windows(*args, tail=tail)


def test_701_tokens_are_one_batch():
    assert len(windows(range(701), 20, 35)) == 1


def test_a_pass_that_starts_later_goes_on_in_a_ring():
    ids = np.arange(23)
    passes = [list(windows(ids, 2, 3, start=start)) for start in (0, 9, 18)]  # L = 11: three windows a pass
    rows = np.concatenate([xs for one in passes for xs, _ in one], axis=1)
    np.testing.assert_array_equal(rows, (np.array([[0], [11]]) + np.arange(27)) % 23)
    for xs, ts in (pair for one in passes for pair in one):
        np.testing.assert_array_equal(ts, (xs + 1) % 23)
