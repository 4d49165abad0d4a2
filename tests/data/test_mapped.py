"""A text in a memory map: the same corpus and windows as in memory, in memory that does not grow with the text."""

import os
import re
import tracemalloc
from unittest import mock

import numpy as np
import pytest

from tinygrad_rnn.data import map_text, open_map, read_text, windows

TEXT = "나는 학교에 갔다 .\r\n\r\n오늘은 비가 온다 !\n나는 비가 좋다\n끝"


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr("tinygrad_rnn.data.text.BLOCK", 7)
    monkeypatch.setattr("tinygrad_rnn.data.mapped.CHUNK", 3)
    monkeypatch.setattr("tinygrad_rnn.data.corpus.CHUNK", 3)


@pytest.mark.parametrize("options", [{}, {"max_vocab": 5}, {"tokens": "char"}, {"tokens": "char", "max_vocab": 6},
                                     {"tokens": "byte"}, {"encoding": "cp949"}])  # fmt: skip
def test_a_mapped_text_is_the_text_that_is_read(tmp_path, options):
    (tmp_path / "a.txt").write_bytes(TEXT.encode(options.get("encoding", "utf-8")))
    expected = read_text(tmp_path / "a.txt", **options)
    for corpus in (map_text(tmp_path / "a.txt", tmp_path / "a.npy", **options), open_map(tmp_path / "a.npy")):
        np.testing.assert_array_equal(corpus.ids, expected.ids)
        assert (corpus.vocab, corpus.tokens, corpus.text()) == (expected.vocab, expected.tokens, expected.text())
        assert corpus.ids.dtype == np.int32 and not corpus.ids.flags.writeable
        assert isinstance(corpus.ids.base, np.memmap)
        for found, wanted in zip(windows(corpus.ids, 2, 3).epoch(4), windows(expected.ids, 2, 3).epoch(4), strict=True):
            np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), expected.ids)
    assert sorted(os.listdir(tmp_path)) == ["a.npy", "a.txt"]


def test_another_text_is_read_in_the_same_vocabulary(tmp_path):
    (tmp_path / "a.txt").write_text("a b <unk>\n")
    (tmp_path / "b.txt").write_text("b c a\n")
    train = map_text(tmp_path / "a.txt", tmp_path / "a.npy")
    assert map_text(tmp_path / "b.txt", tmp_path / "b.npy", train.vocab).text() == "b <unk> a\n"


def test_memory_does_not_grow_with_the_text(tmp_path, monkeypatch):
    for name in ("text.BLOCK", "mapped.CHUNK", "corpus.CHUNK"):
        monkeypatch.setattr(f"tinygrad_rnn.data.{name}", 1 << 12)

    def peak(lines, read):
        (tmp_path / "a.txt").write_text("".join(f"a word of line {i % 50}\n" for i in range(lines)))
        tracemalloc.start()
        corpus = read(tmp_path / "a.txt")
        for xs, _ in windows(corpus.ids, 4, 50).epoch(1):
            assert xs.shape == (4, 50)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    mapped = [peak(n, lambda path: map_text(path, tmp_path / "a.npy", max_vocab=40)) for n in (500, 1000, 8000)]
    assert mapped[2] < 1.1 * mapped[1]
    assert peak(8000, read_text) > 2 * peak(1000, read_text)


def test_a_text_that_cannot_be_read_leaves_the_old_file(tmp_path):
    (tmp_path / "a.txt").write_text("a b\n")
    map_text(tmp_path / "a.txt", tmp_path / "a.npy")
    (tmp_path / "b.txt").write_bytes(b"some words \xff\n")
    with pytest.raises(ValueError, match=r"^map_text: .*b.txt has byte 0xff in line 1, it should be UTF-8 text"):
        map_text(tmp_path / "b.txt", tmp_path / "a.npy")
    with pytest.raises(FileNotFoundError, match=r"^map_text: there is no file .*c.txt, it should be a text file$"):
        map_text(tmp_path / "c.txt", tmp_path / "c.npy")
    assert open_map(tmp_path / "a.npy").text() == "a b\n"
    assert sorted(os.listdir(tmp_path)) == ["a.npy", "a.txt", "b.txt"]


def test_the_text_itself_is_not_overwritten(tmp_path):
    (tmp_path / "a.txt").write_text("a b\n")
    (tmp_path / "link").symlink_to("a.txt")
    text = f"map_text: to is {tmp_path / 'link'}, the text itself, should be another file"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        map_text(tmp_path / "a.txt", tmp_path / "link")
    assert (tmp_path / "a.txt").read_text() == "a b\n"


def damage(data):
    """Damaged copies of a file: cut at any place, or with other content."""
    yield from (data[:end] for end in range(0, len(data), 7))
    yield b"a b c\n" * 100
    for place in (128, 129, 133, 140, len(data) - 4):  # ids, and a word
        yield data[:place] + bytes([data[place] ^ 3]) + data[place + 1 :]


def test_a_file_that_is_cut_or_another_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("a b c d\n" * 9)
    path = tmp_path / "a.npy"
    map_text(tmp_path / "a.txt", path)
    data, seen = path.read_bytes(), 0
    for content in damage(data):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"^open_map: .*a.npy (is another file, or cut|has another check)"):
            open_map(path)
        seen += 1
    assert seen > 40
    path.write_bytes(data.replace(b'"crc32": ', b'"crc32": 1'))
    text = f"open_map: {path} has another checksum than it should have: it was altered"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        open_map(path)
    path.write_bytes(data.replace(b'"format": 1', b'"format": 2'))
    text = f"open_map: {path} has format 2, should be 1: a later version wrote it"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        open_map(path)


def test_no_file_and_a_folder_are_named(tmp_path):
    text = f"open_map: there is no file {tmp_path / 'a.npy'}, it should be one that map_text wrote"
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(text)}$"):
        open_map(tmp_path / "a.npy")
    text = f"open_map: {tmp_path} is a folder, should be a file that map_text wrote"
    with pytest.raises(IsADirectoryError, match=f"^{re.escape(text)}$"):
        open_map(tmp_path)


def test_a_full_disk_leaves_nothing(tmp_path):
    (tmp_path / "a.txt").write_text("a b\n")
    full = mock.patch("os.fsync", side_effect=OSError(28, "No space left on device"))
    with full, pytest.raises(OSError, match="space"):
        map_text(tmp_path / "a.txt", tmp_path / "a.npy")
    assert os.listdir(tmp_path) == ["a.txt"]
