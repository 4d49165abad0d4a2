"""The sentences of a grammar, numbered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..rules import Table, parse


@dataclass(frozen=True, eq=False)
class Derivations:
    """All sentences of ``rules``, in the notation of `Grammar` without slots: number ``i`` below ``count`` is
    ``sentence(i)``.

    A rule is chosen as often as it has sentences, so every sentence is equally likely. The grammar must not be
    recursive.
    """

    rules: Mapping[str, Sequence[str]]
    start: str

    @cached_property
    def table(self) -> Table:
        """The parsed rules."""
        return parse(self.rules)

    @cached_property
    def counts(self) -> dict[str, int]:
        """The number of sentences of each rule."""
        counts: dict[str, int] = {}

        def count(rule: str) -> int:
            if rule not in counts:
                counts[rule] = sum(math.prod(count(s.rule) for s in text if s.rule) for text in self.table[rule])
            return counts[rule]

        for rule in self.table:
            count(rule)
        return counts

    @property
    def count(self) -> int:
        """The number of sentences."""
        return self.counts[self.start]

    @cached_property
    def vocab(self) -> tuple[str, ...]:
        """The words, in the order of the rules."""
        words = (s.word for texts in self.table.values() for text in texts for s in text if s.word)
        return tuple(dict.fromkeys(words))

    def sentence(self, i: int) -> list[tuple[str, str]]:
        """The words of sentence ``i``, each with the rule in which it is written."""
        result: list[tuple[str, str]] = []
        self._write(self.start, i, result)
        return result

    def _write(self, rule: str, i: int, result: list[tuple[str, str]]) -> None:
        for text in self.table[rule]:
            size = math.prod(self.counts[symbol.rule] for symbol in text if symbol.rule)
            if i < size:
                break
            i -= size
        for symbol in text:
            if symbol.rule:
                i, part = divmod(i, self.counts[symbol.rule])
                self._write(symbol.rule, part, result)
            else:
                result.append((symbol.word, rule))
