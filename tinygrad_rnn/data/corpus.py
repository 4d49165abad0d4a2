"""A corpus: a text as word ids, and its vocabulary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import InvalidType, InvalidValue
from .encoder import look_up
from .tokens import BYTES, TOKENS, check_tokens

CHUNK = 1 << 20  #: ids that are checked, or changed, at once


@dataclass(frozen=True, eq=False, repr=False)
class Corpus:
    """A text as numbers: token ``t`` of the text is ``vocab[ids[t]]``.

    ``ids`` is a read-only int32 array ``(n,)``, a copy of what was given, unless that is a read-only memory map of
    int32; ``vocab`` is the tuple of tokens in the order
    of their ids; ``tokens`` says what they are: ``"word"``, ``"char"`` or ``"byte"``. One model can read all corpora
    with the same ``vocab``.

    Raises InvalidValue for ``ids`` of another rank or outside of the vocabulary, for a word that is twice in ``vocab``,
    for another ``tokens``, and for bytes with another vocabulary than ``BYTES``; InvalidType for ``ids`` that are no
    integers.
    """

    ids: np.ndarray
    vocab: tuple[str, ...]
    tokens: str = "word"

    def __post_init__(self) -> None:
        vocab = tuple(self.vocab)
        check_tokens("Corpus", self.tokens)
        if self.tokens == "byte" and vocab != BYTES:
            raise InvalidValue(f"Corpus: vocab has {len(vocab)} tokens, should be data.BYTES where tokens is 'byte'")
        ids = check_ids("Corpus", self.ids, len(vocab))
        if not isinstance(self.ids, np.memmap) or ids.dtype != np.int32 or ids.flags.writeable:
            ids = ids.astype(np.int32)  # a copy
            ids.flags.writeable = False
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "vocab", vocab)
        if len(self.word_to_id) < len(vocab):
            twice = next(word for i, word in enumerate(vocab) if self.word_to_id[word] != i)
            raise InvalidValue(f"Corpus: {twice!r} is in vocab more than once, every word should be there once")

    @cached_property
    def word_to_id(self) -> Mapping[str, int]:
        """The id of every word: ``word_to_id[vocab[i]] == i``."""
        return {word: i for i, word in enumerate(self.vocab)}

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Corpus({len(self)} tokens, {len(self.vocab)} {TOKENS[self.tokens].unit})"

    def encode(self, text: str | Iterable[str]) -> np.ndarray:
        """The ids, int32 ``(n,)``, of a text or of an iterable of tokens; words are split at whitespace.

        An unknown token becomes ``<unk>``. Raises InvalidValue for it if the vocabulary has no ``<unk>``.
        """
        kind = TOKENS[self.tokens]
        if not isinstance(text, str):
            tokens = list(text)
        elif self.tokens == "word":
            tokens = text.split()  # without an <eos> at the end: the text is a piece of a line
        else:
            tokens = [token for part in kind.split([text]) for token in part]
        return np.array(look_up("encode", tokens, self.word_to_id, kind.unit), dtype=np.int32)

    def decode(self, ids: Any) -> list[str]:
        """The tokens of ``ids`` (n,), as a list."""
        return [self.vocab[i] for i in check_ids("decode", ids, len(self.vocab)).tolist()]

    def text(self, ids: Any = None) -> str:
        """The text of ``ids`` (n,), by default that of the whole corpus.

        Words are separated by spaces, ``<eos>`` is a newline. Characters and bytes give the text back exactly; bytes
        that are not UTF-8, as a model may write, become U+FFFD.
        """
        return TOKENS[self.tokens].join(self.decode(self.ids if ids is None else ids))


def check_ids(where: str, ids: Any, n_words: int | None = None) -> np.ndarray:
    """``ids`` as an array ``(n,)``; raises unless they are integers, and below ``n_words`` where that is given."""
    if isinstance(ids, Corpus):
        raise InvalidType(f"{where}: ids is a Corpus, should be an array of ids, as corpus.ids is")
    array = np.asarray(ids)
    if array.ndim != 1:
        raise InvalidValue(f"{where}: ids has shape {array.shape}, should have one axis")
    if array.size == 0:
        return array.astype(np.int32)  # NumPy calls an empty list float64
    if not np.issubdtype(array.dtype, np.integer):
        raise InvalidType(f"{where}: ids is {array.dtype}, should be integers")
    if n_words is None:
        return array
    for start in range(0, len(array), CHUNK):
        part = array[start : start + CHUNK]
        wrong = part[(part < 0) | (part >= n_words)]
        if wrong.size:
            raise InvalidValue(f"{where}: id {wrong[0]} is not in the vocabulary, should be in 0 .. {n_words - 1}")
    return array


def integer(where: str, name: str, value: Any, least: int = 1) -> int:
    """``value`` as an int; raises InvalidValue unless it is an integer from ``least``, which is 1 or 0."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        should = "a positive int" if least else "an int from 0"
        raise InvalidValue(f"{where}: {name} is {value!r}, should be {should}")
    return int(value)
