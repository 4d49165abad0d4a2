"""Reading text files, and what is said of files that are none."""

import os
import re
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.data import read_text
from tinygrad_rnn.data.load import read_splits

WORDS = st.text(alphabet="abcdé.<>'", min_size=1, max_size=4)


@pytest.fixture
def write(tmp_path):
    def write(data, name="a.txt"):
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return write


def test_ids_are_in_the_order_of_first_appearance(write):
    corpus = read_text(write("you say goodbye\nand i say hello .\n"))
    assert corpus.vocab == ("you", "say", "goodbye", "<eos>", "and", "i", "hello", ".")
    assert corpus.ids.tolist() == [0, 1, 2, 3, 4, 5, 1, 6, 7, 3]


@pytest.mark.parametrize("text", ["a b\nc\n", "a b\nc", "a b\nc ", " a  b \n\tc \n", "a b\r\nc\r\n", "\ufeffa b\nc\n"])
def test_only_words_and_line_ends_count(write, text):
    corpus = read_text(write(text))
    assert corpus.decode(corpus.ids) == ["a", "b", "<eos>", "c", "<eos>"]


def test_a_blank_line_is_a_line(write):
    corpus = read_text(write("a c\n\nb\n"))
    assert corpus.decode(corpus.ids) == ["a", "c", "<eos>", "<eos>", "b", "<eos>"]


def test_a_form_feed_is_whitespace_and_no_line_end(write):
    corpus = read_text(write("a\x0cb\x85c\u2028d\n"))
    assert corpus.decode(corpus.ids) == ["a", "b", "c", "d", "<eos>"]


@given(lines=st.lists(st.lists(WORDS, min_size=1), min_size=1), block=st.integers(1, 9))
def test_reading_inverts_writing(tmp_path_factory, lines, block):
    lines[0] *= 2 + len(lines)  # in most lines of a text, spaces separate words
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_text("".join(" ".join(line) + "\n" for line in lines), encoding="utf-8", newline="")
    with mock.patch("tinygrad_rnn.data.text.BLOCK", block):
        corpus = read_text(path)
    assert corpus.decode(corpus.ids) == [word for line in lines for word in [*line, "<eos>"]]
    assert corpus.text() == path.read_text(encoding="utf-8")


def test_a_given_vocabulary_is_used(write):
    train = read_text(write("a b <unk>\n"))
    other = read_text(write("b zebra a\n", "b.txt"), train.vocab)
    assert other.vocab == train.vocab
    assert other.decode(other.ids) == ["b", "<unk>", "a", "<eos>"]


def test_an_unknown_word_is_named_with_its_line(write):
    train, path = read_text(write("a b\n")), write("a\nb zebra\n", "b.txt")
    text = (
        f"read_text: {path}, line 2: 'zebra' is not in the vocabulary of 3 words, it should be, "
        "or the vocabulary should have <unk> for such words (max_vocab= adds it)"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        read_text(path, train.vocab)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "is empty, it should have at least one word"),
        (b" \n\n", "is empty, it should have at least one word"),
        (b"a\nb\0c\n", "has a NUL byte in line 2, it should be UTF-8 text; encoding= names another"),
        (b"a\nb\ncaf\xe9 d\n", "has byte 0xe9 in line 3, it should be UTF-8 text; encoding= names another"),
        ("a b\n".encode("utf-16"), "has byte 0xff in line 1, it should be UTF-8 text; encoding= names another"),
    ],
)
def test_a_file_that_is_no_text_is_refused(write, data, text):
    path = write(data)
    with pytest.raises(ValueError, match=f"^{re.escape(f'read_text: {path} {text}')}$"):
        read_text(path)


def test_a_pipe_or_a_device_that_never_ends_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "train.txt").symlink_to("/dev/zero")
    for path, kind in [(tmp_path / "pipe", "pipe"), (tmp_path / "train.txt", "device")]:
        with pytest.raises(OSError, match=f"^{re.escape(f'read_text: {path} is a {kind}, should be a text file')}$"):
            read_text(path)
    (tmp_path / "ptb.train.txt").symlink_to("/dev/zero")
    with pytest.raises(OSError, match=r"^load: .*ptb.train.txt is a device, should be a text file$"):
        read_splits([tmp_path / "ptb.train.txt"], {"ptb.train.txt": ""})


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    text = f"read_text: there is no file {tmp_path / 'a.txt'}, it should be a text file"
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(text)}$"):
        read_text(tmp_path / "a.txt")
    with pytest.raises(IsADirectoryError, match=re.escape(f"read_text: {tmp_path} is a folder, should be a text file")):
        read_text(tmp_path)
