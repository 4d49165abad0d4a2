"""A text as words, characters and bytes, in any encoding; a vocabulary of the most frequent tokens."""

import re
from collections import Counter
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tinygrad_rnn.data import BYTES, read_text

KOREAN = "나는 학교에 갔다 .\r\n\r\n오늘은 비가 온다 !\n끝"
#: Text that every line of a file may have: all of Unicode but NUL, and surrogates, which no encoding has.
ANY = st.text(st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"]), min_size=1, max_size=12)


def exactly(text: str) -> str:
    return f"^{re.escape(text)}$"


@pytest.fixture
def write(tmp_path):
    def write(text, encoding="utf-8", name="a.txt"):
        (tmp_path / name).write_bytes(text.encode(encoding))
        return tmp_path / name

    return write


# ---- characters and bytes ------------------------------------------------------------------------------------------


@given(text=ANY.filter(str.strip), block=st.integers(1, 5), tokens=st.sampled_from(["char", "byte"]))
@example(text=KOREAN, block=2, tokens="char")
@example(text="\r\n a\x85\u2028\n\n", block=1, tokens="byte")
@settings(max_examples=60)
def test_characters_and_bytes_give_the_text_back(tmp_path_factory, text, block, tokens):
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes(text.encode())
    with mock.patch("tinygrad_rnn.data.text.BLOCK", block):
        corpus = read_text(path, tokens=tokens)
    assert corpus.text() == text
    assert corpus.encode(text).tolist() == corpus.ids.tolist()
    if tokens == "byte":
        assert corpus.ids.tolist() == list(text.encode()) and corpus.vocab == BYTES
    else:
        assert corpus.vocab == tuple(dict.fromkeys(text)) and corpus.decode(corpus.ids) == list(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "euc-kr", "utf-16", "utf-32", "utf-16-le"])
@pytest.mark.parametrize("tokens", ["word", "char", "byte"])
def test_a_text_is_the_same_in_every_encoding(write, encoding, tokens):
    expected = read_text(write(KOREAN), tokens=tokens)
    with mock.patch("tinygrad_rnn.data.text.BLOCK", 3):
        corpus = read_text(write(KOREAN, encoding), tokens=tokens, encoding=encoding)
    assert corpus.ids.tolist() == expected.ids.tolist() and corpus.vocab == expected.vocab


@pytest.mark.parametrize("block", [1, 2, 3, 9])
def test_a_mark_of_the_byte_order_is_no_character(write, block, monkeypatch):
    monkeypatch.setattr("tinygrad_rnn.data.text.BLOCK", block)
    for tokens in ("char", "byte"):
        assert read_text(write("\ufeffab\n"), tokens=tokens).text() == "ab\n"
    assert read_text(write("a\ufeffb\n"), tokens="char").text() == "a\ufeffb\n"  # elsewhere it is one
    assert read_text(write("café\n", "latin-1"), tokens="char", encoding="latin-1").text() == "café\n"


def test_every_byte_has_a_name_of_its_own():
    assert len(dict.fromkeys(BYTES)) == 256 and BYTES[65] == "A" and BYTES[10] == "0x0a" and BYTES[0xED] == "0xed"


def test_what_a_model_writes_may_be_half_a_character(write):
    corpus = read_text(write("가나 다\n"), tokens="byte")
    assert corpus.text(corpus.ids[:4]) == "가\ufffd"
    assert repr(corpus) == "Corpus(11 tokens, 256 bytes)"
    assert repr(read_text(write("가나 다\n"), tokens="char")) == "Corpus(5 tokens, 5 characters)"


def test_a_text_in_one_line_of_five_megabytes(write):
    path = write(" ".join(f"{i % 977:040}" for i in range(125_000)))
    corpus = read_text(path)
    assert len(corpus) == 125_001 and corpus.vocab[-1] == "<eos>" and len(corpus.vocab) == 978
    np.testing.assert_array_equal(corpus.ids[:-1], np.arange(125_000) % 977)


# ---- a limited vocabulary ------------------------------------------------------------------------------------------


@given(
    text=st.lists(st.lists(st.sampled_from("abcdefg"), min_size=2, max_size=5), min_size=1, max_size=8),
    size=st.integers(3, 10),
    unk=st.booleans(),
)
@settings(max_examples=60)
def test_a_limited_vocabulary_is_that_of_the_text_without_rare_words(tmp_path_factory, text, size, unk):
    text = [[*line, *["<unk>"] * unk] for line in text]
    (path := tmp_path_factory.mktemp("text") / "a.txt").write_text("".join(" ".join(line) + "\n" for line in text))
    corpus = read_text(path, max_vocab=size)
    words = [word for line in text for word in [*line, "<eos>"]]
    ranked = sorted(Counter(words), key=lambda word: (-words.count(word), words.index(word)))
    kept = [word for word in ranked if word not in ("<eos>", "<unk>")][: size - 2]
    replaced = [word if word in [*kept, "<eos>"] else "<unk>" for word in words]
    assert corpus.decode(corpus.ids) == replaced
    assert corpus.vocab == tuple(dict.fromkeys([*replaced, "<unk>"]))
    assert len(corpus.vocab) <= size


def test_a_large_limit_changes_nothing_but_adds_unk(write):
    path = write("a b a\nc\n")
    assert read_text(path, max_vocab=9).ids.tolist() == read_text(path).ids.tolist()
    assert read_text(path, max_vocab=9).vocab == (*read_text(path).vocab, "<unk>")
    assert read_text(path, max_vocab=3, tokens="char").text() == "a <unk> a<unk><unk><unk>"


# ---- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("나는학교에갔다\n오늘은비가온다\n", "2 words of 7.0 characters in 2 lines"),
        ("\n\nword\n\nby\nword\n", "3 words of 3.3 characters in 3 lines"),
        (f"{'ACGT' * 40} {'TTAG' * 40}\n", "2 words of 160.0 characters in 1 lines"),
        ("我" * 1_500_000, "a word of more than 1,000,000 characters"),
    ],
)
def test_a_text_without_spaces_is_refused_with_what_to_do(write, text, what):
    path = write(text)
    should = "should have spaces between words; tokens='char' reads its characters, tokens='byte' its bytes"
    with pytest.raises(ValueError, match=exactly(f"read_text: {path} has {what}, {should}")):
        read_text(path)
    path.write_text(text[:99])
    assert read_text(path, tokens="char").text() == text[:99]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"tokens": "words"}, "tokens is 'words', should be 'word', 'char' or 'byte'"),
        ({"encoding": "utf9"},
         "encoding is 'utf9', should be a text encoding of Python, such as 'utf-8', 'cp949' or 'latin-1'"),
        ({"encoding": "hex"},
         "encoding is 'hex', should be a text encoding of Python, such as 'utf-8', 'cp949' or 'latin-1'"),
        ({"encoding": None},
         "encoding is None, should be a text encoding of Python, such as 'utf-8', 'cp949' or 'latin-1'"),
        ({"max_vocab": 2}, "max_vocab is 2, should be an int from 3, of which 2 for <unk> and <eos>"),
        ({"max_vocab": 1, "tokens": "char"}, "max_vocab is 1, should be an int from 2, of which 1 for <unk>"),
        ({"max_vocab": True}, "max_vocab is True, should be an int from 3, of which 2 for <unk> and <eos>"),
        ({"max_vocab": 9.0}, "max_vocab is 9.0, should be an int from 3, of which 2 for <unk> and <eos>"),
        ({"max_vocab": 9, "tokens": "byte"}, "max_vocab is 9, should be None: there are always 256 bytes"),
        ({"max_vocab": 9, "vocab": ("a", "<eos>")}, "max_vocab is 9, should be None: the size of vocab is fixed"),
    ],
)  # fmt: skip
def test_an_option_that_cannot_be_is_refused(write, options, text):
    with pytest.raises(ValueError, match=exactly(f"read_text: {text}")):
        read_text(write("a b\n"), **options)


def test_a_wrong_encoding_names_the_line(write):
    path = write("abc\nde\n나 다\n", "cp949")
    with pytest.raises(ValueError, match=r"has byte 0xb3 in line 3, it should be UTF-8 text; encoding= names another$"):
        read_text(path)
    with pytest.raises(ValueError, match=r"has byte 0xb3 in line 3, it should be ascii text; encoding= names another$"):
        read_text(path, encoding="ascii")
    (path.parent / "b.txt").write_bytes("가".encode()[:2])
    with pytest.raises(ValueError, match=r"has byte 0xea in line 1, it should be UTF-8 text; encoding= names another$"):
        read_text(path.parent / "b.txt")
