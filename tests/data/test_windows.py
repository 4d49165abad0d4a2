"""Windows of truncated BPTT: which words are read and predicted, in which order."""

import os
import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.data import Corpus, Windows, draw_rows, plot_rows, ptb, windows

DOCS = Path(__file__).parents[2] / "docs"
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
        (
            (Corpus([0, 0], ("a",)), 1, 1),
            False,
            TypeError,
            "ids is a Corpus, should be an array of ids, as corpus.ids is",
        ),
    ],
)
def test_errors_say_what_is_and_what_should_be(args, tail, error, text):
    with pytest.raises(error, match=f"^{re.escape(f'windows: {text}')}$"):
        windows(*args, tail=tail)


def test_701_tokens_are_one_batch():
    assert len(windows(range(701), 20, 35)) == 1


def the_book(corpus: list[int], N: int, T: int, epochs: int) -> list[tuple[list[list[int]], list[list[int]]]]:
    """The batches of the trainer of section 5.5.3, one number at a time: a cursor that is never set back."""
    inputs, targets, cursor, batches = corpus[:-1], corpus[1:], 0, []
    for _ in range(epochs * (len(inputs) // (N * T))):
        xs, ts = [[0] * T for _ in range(N)], [[0] * T for _ in range(N)]
        for t in range(T):
            for row in range(N):
                place = (row * (len(inputs) // N) + cursor) % len(inputs)
                xs[row][t], ts[row][t] = inputs[place], targets[place]
            cursor += 1
        batches.append((xs, ts))
    return batches


def trained_on(batches: Windows, epochs: int) -> list[tuple[list[list[int]], list[list[int]]]]:
    return [(xs.tolist(), ts.tolist()) for k in range(epochs) for xs, ts in batches.epoch(k)]


def test_a_hundred_epochs_of_1000_words_are_the_books():
    ids = np.random.default_rng(0).integers(0, 418, 1000)
    found = trained_on(windows(ids, 10, 5), 100)
    assert len(found) == 1900 and found == the_book(ids.tolist(), 10, 5, 100)
    ours = trained_on(windows(ids, 10, 5, ring="words"), 100)
    assert ours[:19] == found[:19] and ours != found  # the other ring is another order


@given(SIZES)
def test_epochs_of_any_size_are_the_books(size):
    n, N, T = size
    ids = [(7 * i) % 11 for i in range(n)]
    assert trained_on(windows(ids, N, T), 5) == the_book(ids, N, T, 5)


@pytest.mark.ptb
@pytest.mark.skipif(not os.environ.get("TINYGRAD_RNN_DATA"), reason="TINYGRAD_RNN_DATA does not name a folder")
def test_epochs_of_the_treebank_are_the_books():
    ids = ptb().train.ids
    found = trained_on(windows(ids[:1000], 10, 5), 100)
    assert found == the_book(ids[:1000].tolist(), 10, 5, 100)
    batches, size = windows(ids, 20, 35), len(ids) - 1
    assert len(batches) == 1327
    for k in (0, 1, 57, 99):
        xs, ts = next(iter(batches.epoch(k)))
        place = [[(row * (size // 20) + k * 1327 * 35 + t) % size for t in range(35)] for row in range(20)]
        assert xs.tolist() == ids[place].tolist() and ts.tolist() == ids[1:][place].tolist()


@given(SIZES, st.integers(0, 9), st.booleans())
def test_a_ring_of_words_reads_every_word_in_turn(size, k, tail):
    n, N, T = size
    batches = windows(np.arange(n), N, T, ring="words", tail=tail)
    for xs, ts in batches.epoch(k):
        assert ((xs + 1) % n == ts).all()
    inputs = np.concatenate([xs for epoch in (k, k + 1) for xs, _ in batches.epoch(epoch)], axis=1)
    assert ((inputs[:, 1:] - inputs[:, :-1]) % n == 1).all()


@given(SIZES, st.integers(0, 9))
def test_a_ring_of_pairs_has_only_pairs_of_the_text(size, k):
    n, N, T = size
    for xs, ts in windows(np.arange(n), N, T).epoch(k):
        assert (xs + 1 == ts).all()


def test_an_epoch_depends_on_its_number_alone():
    batches = windows(np.arange(100), 3, 4)
    later = trained_on(batches.epoch(7), 1)
    assert later == trained_on(batches, 8)[-len(batches) :] == trained_on(batches.epoch(3).epoch(4), 1)
    assert later == trained_on(windows(np.arange(100), 3, 4, start=7 * batches.steps), 1)


def test_a_picture_has_each_row_at_its_offset():
    assert draw_rows(windows(np.arange(1000), 3, 5), shown=2) == (
        "999 pairs (word, next word); N = 3 rows begin 333 pairs apart; a window is T = 5 pairs of every row; "
        "66 windows an epoch\n"
        "row  offset  window 0    window 1    ...\n"
        "  0       0  0 .. 4      5 .. 9      ...\n"
        "  1     333  333 .. 337  338 .. 342  ...\n"
        "  2     666  666 .. 670  671 .. 675  ...\n"
    )
    words = ("you", "say", "goodbye", "and", "i", "hello", ".")
    lines = draw_rows(windows(np.arange(7), 2, 2, tail=True), words, shown=9).splitlines()
    assert lines[1:] == [
        "row  offset  window 0  window 1",
        "  0       0  you say   goodbye",
        "  1       3  and i     hello",
    ]
    with pytest.raises(ValueError, match=r"^draw_rows: shown is 0, should be a positive int$"):
        draw_rows(windows(np.arange(7), 2, 2), shown=0)


def test_a_plot_has_a_box_for_each_window_where_it_lies(tmp_path):
    batches = windows(np.arange(81), 3, 8)  # 80 words of input, a word is 800 / 81 pixels; rows begin at 0, 26, 52
    plot_rows(batches, tmp_path / "rows.svg", epochs=3)
    svg = (tmp_path / "rows.svg").read_text()
    found = [(float(x), int(y), float(w)) for x, y, w in re.findall(r'<rect x="(.*?)" y="(.*?)" width="(.*?)" he', svg)]
    expected = []
    for k, epoch in enumerate(map(batches.epoch, range(3))):
        for row in range(3):
            for xs, _ in epoch:  # of arange: the words are their places
                ends = [t + 1 for t in range(7) if xs[row, t + 1] < xs[row, t]]
                for part in np.split(xs[row], ends):
                    width = len(part) * 800 / 81
                    expected.append((70 + part[0] * 800 / 81, 36 + k * 76 + row * 14, width))
    np.testing.assert_allclose(found, expected, atol=0.006)
    assert len(found) == 27 + 2 and svg.count("#D55E00") == 9 + 2  # two first windows run over the end
    ElementTree.fromstring(svg)
    plot_rows(batches, tmp_path / "again.svg", epochs=3)
    assert (tmp_path / "again.svg").read_text() == svg
    plot_rows(windows(np.arange(1000), 10, 5), tmp_path / "docs.svg")
    assert (tmp_path / "docs.svg").read_text() == (DOCS / "pictures" / "offsets.svg").read_text()
    with pytest.raises(ValueError, match=r"^plot_rows: epochs is 0, should be a positive int$"):
        plot_rows(batches, tmp_path / "rows.svg", epochs=0)


@pytest.mark.parametrize("k", [-1, 1.5, True])
def test_an_epoch_has_a_number_from_0(k):
    with pytest.raises(ValueError, match=rf"^epoch: k is {k}, should be an int from 0$"):
        windows(range(20), 2, 2).epoch(k)
    with pytest.raises(ValueError, match=rf"^windows: start is {k}, should be an int from 0$"):
        windows(range(20), 2, 2, start=k)


def test_another_ring_is_refused():
    text = "windows: ring is 'none', should be 'pairs' (the book's) or 'words'"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        windows(range(20), 2, 2, ring="none")
