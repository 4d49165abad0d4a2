"""A corpus: a text as word ids, and its vocabulary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import InvalidType, InvalidValue

EOS = "<eos>"  #: ends a line of a text, or a story of the grammar
UNK = "<unk>"  #: stands for every word that is not in the vocabulary


@dataclass(frozen=True, eq=False, repr=False)
class Corpus:
    """A text as numbers: word ``t`` of the text is ``vocab[ids[t]]``.

    ``ids`` is a read-only int32 array ``(n,)``, a copy of what was given; ``vocab`` is the tuple of words in the order
    of their ids. One model can read all corpora with the same ``vocab``.

    Raises InvalidValue for ``ids`` of another rank or outside of the vocabulary, and for a word that is twice in
    ``vocab``; InvalidType for ``ids`` that are no integers.
    """

    ids: np.ndarray
    vocab: tuple[str, ...]

    def __post_init__(self) -> None:
        vocab = tuple(self.vocab)
        ids = check_ids("Corpus", self.ids, len(vocab)).astype(np.int32)  # astype copies
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
        return f"Corpus({len(self)} tokens, {len(self.vocab)} words)"

    def encode(self, words: str | Iterable[str]) -> np.ndarray:
        """The ids, int32 ``(n,)``, of ``words``: an iterable of words, or a text, which is split at whitespace.

        An unknown word becomes ``<unk>``. Raises InvalidValue for it if the vocabulary has no ``<unk>``.
        """
        word_list = words.split() if isinstance(words, str) else list(words)
        return np.array(look_up("encode", word_list, self.word_to_id), dtype=np.int32)

    def decode(self, ids: Any) -> list[str]:
        """The words of ``ids`` (n,), as a list; ``" ".join(corpus.decode(ids))`` is the text."""
        return [self.vocab[i] for i in check_ids("decode", ids, len(self.vocab)).tolist()]


def look_up(where: str, words: list[str], word_to_id: Mapping[str, int]) -> list[int]:
    """The id of each word, that of ``<unk>`` for an unknown word. Without ``<unk>`` raises InvalidValue for it."""
    unk = word_to_id.get(UNK, -1)
    ids = [word_to_id.get(word, unk) for word in words]
    if -1 in ids:
        raise InvalidValue(
            f"{where}: {words[ids.index(-1)]!r} is not in the vocabulary of {len(word_to_id)} words, "
            f"it should be, or the vocabulary should have {UNK} for such words"
        )
    return ids


def check_ids(where: str, ids: Any, n_words: int | None = None) -> np.ndarray:
    """``ids`` as an array ``(n,)``; raises unless they are integers, and below ``n_words`` where that is given."""
    array = np.asarray(ids)
    if array.ndim != 1:
        raise InvalidValue(f"{where}: ids has shape {array.shape}, should have one axis")
    if array.size == 0:
        return array.astype(np.int32)  # NumPy calls an empty list float64
    if not np.issubdtype(array.dtype, np.integer):
        raise InvalidType(f"{where}: ids is {array.dtype}, should be integers")
    if n_words is None:
        return array
    wrong = array[(array < 0) | (array >= n_words)]
    if wrong.size:
        raise InvalidValue(f"{where}: id {wrong[0]} is not in the vocabulary, should be in 0 .. {n_words - 1}")
    return array


def positive(where: str, name: str, value: Any) -> int:
    """``value`` as an int; raises InvalidValue unless it is an integer from 1."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InvalidValue(f"{where}: {name} is {value!r}, should be a positive int")
    return int(value)
