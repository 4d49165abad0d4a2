"""Read a text file as a corpus."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidValue
from ..files import check_regular
from .corpus import Corpus
from .encoder import Encoder
from .tokens import BYTES, EOS, TOKENS, Tokens, check_tokens

BLOCK = 1 << 20  #: bytes that are read at once
LONGEST = 1_000_000  #: characters of a word at most


def read_text(
    path: str | os.PathLike[str],
    vocab: Sequence[str] | None = None,
    *,
    tokens: str = "word",
    encoding: str = "utf-8",
    max_vocab: int | None = None,
) -> Corpus:
    """Read a text file as words, characters or bytes. With words equal to::

        words = [word for line in open(path) for word in line.split() + ["<eos>"]]

    ==================  =========================================================================================
    ``tokens="word"``   whitespace separates the words, and every line ends with ``<eos>``, also the last
    ``tokens="char"``   every character, line ends and spaces included, exactly as in the file
    ``tokens="byte"``   the bytes of the text in UTF-8: the id of a byte is its value, and the vocabulary is ``BYTES``
    ==================  =========================================================================================

    Without ``vocab`` the tokens are numbered in the order in which they first appear (the book's ``load_data``). With
    ``vocab`` its ids are used, and an unknown token becomes ``<unk>``. With ``max_vocab`` the vocabulary has at most so
    many tokens, ``<unk>`` and ``<eos>`` among them: the most frequent ones stay (of equally frequent ones those that
    appear first), and all others become ``<unk>``, which is then always in the vocabulary. ``encoding`` is any text
    encoding of Python, such as ``"cp949"`` or ``"latin-1"``; a byte order mark is dropped.

    Raises FileNotFoundError for no such file, OSError for a folder, a pipe or a device (which may never end).
    Raises InvalidValue for a file without words; for bytes that are not text in the encoding (the line is named); for
    words that no spaces separate, as in Chinese or DNA; for an unknown token where ``vocab`` has no ``<unk>`` (token
    and line are named); and for an unknown encoding, another ``tokens``, or a ``max_vocab`` that is too small or stands
    beside ``vocab`` or bytes.
    """
    reader = Reader("read_text", path, vocab, tokens, encoding, max_vocab)
    ids = np.concatenate(list(reader))
    new_vocab, new_ids = reader.vocabulary()
    return Corpus(ids if new_ids is None else new_ids[ids], new_vocab, tokens)


class Reader:
    """One pass over a text file: an iterable of arrays of ids. After it, ``vocabulary`` has the vocabulary."""

    def __init__(self, where: str, path: Any, vocab: Any, tokens: str, encoding: str, max_vocab: int | None):
        self.where, self.path, self.encoding, self.max_vocab = where, Path(path), encoding, max_vocab
        self.kind, self.given, self.spaces = check_tokens(where, tokens), vocab is not None, Spaces(where, path)
        self.encoder = Encoder(self.kind, vocab)
        check_encoding(where, encoding)
        if max_vocab is not None:
            check_limit(where, max_vocab, self.given, self.kind)
        if not self.path.exists():
            raise FileNotFoundError(f"{where}: there is no file {path}, it should be a text file")

    def __iter__(self) -> Iterator[np.ndarray]:
        blocks = text_blocks(self.where, self.path, self.encoding)
        if self.kind is not TOKENS["word"]:
            yield from map(self._encode, self.kind.split(blocks))
            return
        for words in self.kind.split(self.spaces.watch(blocks)):
            ids = self._encode(words)
            self.spaces.count(words, ids == self.encoder.token_to_id.get(EOS, -1))
            yield ids
        if not self.given:
            self.spaces.check()

    def _encode(self, tokens: list[str]) -> np.ndarray:
        try:
            return self.encoder.encode(self.where, tokens)
        except InvalidValue as error:
            unknown = next(token for token in tokens if token not in self.encoder.token_to_id)
            place = f"{self.where}: {self.path}, line {self._line(unknown)}"
            raise InvalidValue(f"{place}{str(error).removeprefix(self.where)} (max_vocab= adds it)") from None

    def _line(self, token: str) -> int:
        """The first line with the token, which is in the file; an ``<eos>`` that is not known is in every line."""
        with open(self.path, encoding=self.encoding, newline="\n") as file:
            lines = (line.removeprefix("\ufeff") for line in file)
            split = self.kind.split
            return next(i for i, line in enumerate(lines, 1) if any(token in part for part in split([line])))

    def vocabulary(self) -> tuple[tuple[str, ...], np.ndarray | None]:
        """The vocabulary of the ids, and the new id of each if it is limited."""
        return self.encoder.limit(self.max_vocab) if self.max_vocab else (tuple(self.encoder.token_to_id), None)


class Spaces:
    """Do spaces separate the words of a text? Not if there is one word in nearly every line, or words are very long."""

    def __init__(self, where: str, path: Any):
        self.where, self.path = where, path
        self.lines = self.words = self.characters = 0
        self.ended = True  # was the last word that was counted an <eos>?

    def watch(self, blocks: Iterable[str]) -> Iterator[str]:
        """The same blocks; raises InvalidValue after a million characters without a space."""
        run = 0
        for block in blocks:
            cut = max(map(block.rfind, " \n\t")) + 1
            run = len(block) - cut + (0 if cut else run)
            if run > LONGEST:
                raise self._error(f"a word of more than {LONGEST:,} characters")
            yield block

    def count(self, words: list[str], ends: np.ndarray) -> None:
        """Count words and lines; ``ends`` is True for each ``<eos>``. A blank line is not counted."""
        before = np.concatenate(([self.ended], ends))
        self.lines += int(np.count_nonzero(ends & ~before[:-1]))
        self.words += int(np.count_nonzero(~ends))
        self.characters += sum(map(len, words)) - int(np.count_nonzero(ends)) * len(EOS)
        self.ended = bool(before[-1])

    def check(self) -> None:
        """Raise InvalidValue for fewer than 1.05 words a line, or more than 50 characters a word."""
        if self.words < 1.05 * self.lines or self.characters > 50 * self.words:
            mean = self.characters / max(self.words, 1)
            raise self._error(f"{self.words:,} words of {mean:.1f} characters in {self.lines:,} lines")

    def _error(self, what: str) -> InvalidValue:
        should = "should have spaces between words; tokens='char' reads its characters, tokens='byte' its bytes"
        return InvalidValue(f"{self.where}: {self.path} has {what}, {should}")


def check_encoding(where: str, encoding: str) -> None:
    """Raise InvalidValue unless Python has the text encoding."""
    try:
        "".encode(encoding)
    except (LookupError, TypeError):
        should = "should be a text encoding of Python, such as 'utf-8', 'cp949' or 'latin-1'"
        raise InvalidValue(f"{where}: encoding is {encoding!r}, {should}") from None


def check_limit(where: str, max_vocab: int, given: bool, kind: Tokens) -> None:
    """Raise InvalidValue unless ``max_vocab`` is an int with room for a token, and the vocabulary is not given."""
    if given or kind.always == BYTES:
        why = "the size of vocab is fixed" if given else "there are always 256 bytes"
        raise InvalidValue(f"{where}: max_vocab is {max_vocab!r}, should be None: {why}")
    least = len(kind.always) + 1
    if isinstance(max_vocab, bool) or not isinstance(max_vocab, (int, np.integer)) or max_vocab < least:
        should = f"should be an int from {least}, of which {len(kind.always)} for {' and '.join(kind.always)}"
        raise InvalidValue(f"{where}: max_vocab is {max_vocab!r}, {should}")


def text_blocks(where: str, path: Path, encoding: str) -> Iterator[str]:
    """The text of the file in blocks; a byte order mark is dropped."""
    check_regular(path, where, should="a text file")
    decoder, first, line, empty = codecs.getincrementaldecoder(encoding)(), True, 1, True
    with open(path, "rb") as file:
        while data := file.read(BLOCK):
            block = _decoded(where, path, encoding, decoder, data, line)
            block, first = block.removeprefix("\ufeff") if first else block, first and not block
            line, empty = line + block.count("\n"), empty and not block.strip()
            yield block
        yield _decoded(where, path, encoding, decoder, b"", line)
    if empty:
        raise InvalidValue(f"{where}: {path} is empty, it should have at least one word")


def _decoded(where: str, path: Path, encoding: str, decoder: codecs.IncrementalDecoder, data: bytes, line: int) -> str:
    """The next block of text, which begins in ``line``; raises InvalidValue for what is no text."""
    try:
        text = decoder.decode(data, final=not data)
        what = "a NUL byte" if "\0" in text else ""
        line += text[: text.find("\0")].count("\n")
    except UnicodeDecodeError as error:
        what = f"byte 0x{error.object[error.start]:02x}"
        line += error.object.count(b"\n", 0, error.start)
    if what:
        should = f"it should be {'UTF-8' if encoding == 'utf-8' else encoding} text; encoding= names another"
        raise InvalidValue(f"{where}: {path} has {what} in line {line}, {should}")
    return text
