"""A corpus is a text as numbers: words in, words out."""

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.data import Corpus

VOCAB = ("you", "say", "goodbye", "and", "i", "hello", ".")


@pytest.fixture
def hello() -> Corpus:
    return Corpus(np.array([0, 1, 2, 3, 4, 1, 5, 6]), VOCAB)


@given(st.lists(st.integers(0, len(VOCAB) - 1)))
def test_encode_inverts_decode(ids):
    corpus = Corpus([], VOCAB)
    assert corpus.encode(corpus.decode(ids)).tolist() == ids


def test_a_text_is_split_into_words(hello):
    assert hello.encode("i say goodbye").tolist() == [4, 1, 2]
    assert hello.encode(iter(["i", "say"])).dtype == np.int32
    assert " ".join(hello.decode(hello.ids)) == "you say goodbye and i say hello ."


def test_a_corpus_says_its_size(hello):
    assert len(hello) == 8
    assert repr(hello) == "Corpus(8 tokens, 7 words)"
    assert hello.word_to_id["hello"] == 5


def test_nobody_changes_a_corpus_from_outside(hello):
    mine = np.array([0, 1, 2])
    corpus = Corpus(mine, VOCAB)
    mine[0] = 6
    assert corpus.ids.tolist() == [0, 1, 2] and corpus.ids.dtype == np.int32
    with pytest.raises(ValueError, match="read-only"):
        corpus.ids[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        corpus.vocab = ()


@pytest.mark.parametrize(("mode", "dtype", "copied"), [("r", "i4", False), ("r+", "i4", True), ("r", "i8", True)])
def test_only_a_map_that_nobody_writes_to_is_not_copied(tmp_path, mode, dtype, copied):
    np.arange(7, dtype=dtype).tofile(tmp_path / "ids")
    corpus = Corpus(np.memmap(tmp_path / "ids", dtype, mode), VOCAB)
    assert isinstance(corpus.ids.base, np.memmap) != copied
    assert corpus.ids.dtype == np.int32 and not corpus.ids.flags.writeable and corpus.ids.tolist() == list(range(7))


def test_an_unknown_word_is_unk_where_there_is_one(hello):
    with_unk = Corpus([], (*VOCAB, "<unk>"))
    assert with_unk.encode("i say zebra").tolist() == [4, 1, 7]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda c: c.encode("i say zebra"),
            ValueError,
            "encode: 'zebra' is not in the vocabulary of 7 words, it should be, "
            "or the vocabulary should have <unk> for such words",
        ),
        (lambda c: c.decode([1, 7]), ValueError, "decode: id 7 is not in the vocabulary, should be in 0 .. 6"),
        (lambda c: c.decode([-1]), ValueError, "decode: id -1 is not in the vocabulary, should be in 0 .. 6"),
        (lambda c: c.decode([[1]]), ValueError, "decode: ids has shape (1, 1), should have one axis"),
        (lambda c: c.decode(1), ValueError, "decode: ids has shape (), should have one axis"),
        (lambda c: c.decode([1.0]), TypeError, "decode: ids is float64, should be integers"),
        (lambda c: c.decode([True]), TypeError, "decode: ids is bool, should be integers"),
        (lambda c: Corpus([9], VOCAB), ValueError, "Corpus: id 9 is not in the vocabulary, should be in 0 .. 6"),
        (lambda c: Corpus([0.5], VOCAB), TypeError, "Corpus: ids is float64, should be integers"),
        (lambda c: Corpus([0], ("a",), "letter"), ValueError,
         "Corpus: tokens is 'letter', should be 'word', 'char' or 'byte'"),
        (lambda c: Corpus([0], ("a",), "byte"), ValueError,
         "Corpus: vocab has 1 tokens, should be data.BYTES where tokens is 'byte'"),
        (lambda c: Corpus([], ("a",), "char").encode("ab"), ValueError,
         "encode: 'b' is not in the vocabulary of 1 characters, it should be, "
         "or the vocabulary should have <unk> for such characters"),
        (
            lambda c: Corpus([0], ("a", "b", "a")),
            ValueError,
            "Corpus: 'a' is in vocab more than once, every word should be there once",
        ),
    ],
)  # fmt: skip
def test_errors_say_what_is_and_what_should_be(hello, call, error, text):
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        call(hello)
