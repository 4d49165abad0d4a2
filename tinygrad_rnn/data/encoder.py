"""Tokens become ids, and a vocabulary comes about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import InvalidValue
from .tokens import BYTES, UNK, Tokens


def look_up(where: str, tokens: Sequence[str], token_to_id: Mapping[str, int], unit: str = "words") -> list[int]:
    """The id of each token, that of ``<unk>`` for an unknown one. Without ``<unk>`` raises InvalidValue for it."""
    unk = token_to_id.get(UNK, -1)
    ids = [token_to_id.get(token, unk) for token in tokens]
    if -1 in ids:
        raise InvalidValue(
            f"{where}: {tokens[ids.index(-1)]!r} is not in the vocabulary of {len(token_to_id)} {unit}, "
            f"it should be, or the vocabulary should have {UNK} for such {unit}"
        )
    return ids


class Encoder:
    """Numbers the tokens of a text, block after block: by ``vocab``, or in the order in which they first appear."""

    def __init__(self, kind: Tokens, vocab: Sequence[str] | None = None):
        self.kind = kind
        self.growing = vocab is None and kind.always != BYTES
        self.token_to_id = {token: i for i, token in enumerate(vocab or (() if self.growing else BYTES))}
        self.counts = np.zeros(0, np.int64)  #: how often each id was seen, of a growing vocabulary

    def encode(self, where: str, tokens: list[str]) -> np.ndarray:
        """The ids of the next tokens, int32 (n,). Raises InvalidValue for a token that a given vocabulary lacks."""
        table = self.token_to_id
        if not self.growing:
            return np.array(look_up(where, tokens, table, self.kind.unit), dtype=np.int32)
        ids = np.array([table.setdefault(token, len(table)) for token in tokens], dtype=np.int32)
        counts = np.bincount(ids, minlength=len(table))
        counts[: len(self.counts)] += self.counts
        self.counts = counts
        return ids

    def limit(self, max_vocab: int) -> tuple[tuple[str, ...], np.ndarray]:
        """A vocabulary of at most ``max_vocab`` tokens, and the new id of each old id, int32 ``(V,)``.

        The most frequent tokens stay; of equally frequent ones, those that appear first. The others become ``<unk>``.
        Ids go by first appearance in the text that results; an ``<unk>`` that is not in it is the last.
        """
        always = [token for token in self.kind.always if token in self.token_to_id or token == UNK]
        names = list(self.token_to_id)
        ranked = [names[i] for i in np.argsort(-self.counts, kind="stable") if names[i] not in always]
        kept = dict.fromkeys([*always, *ranked[: max_vocab - len(always)]])
        new: dict[str, int] = {}
        renamed = [new.setdefault(name if name in kept else UNK, len(new)) for name in names]
        new.setdefault(UNK, len(new))
        return tuple(new), np.array(renamed, dtype=np.int32)
