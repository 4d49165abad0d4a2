"""A language that is generated, so that the best possible perplexity is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..errors import InvalidValue
from .corpus import EOS, Corpus
from .rules import Symbol, Table, check, decoder, parse, symbols


class Reading(NamedTuple):
    """What each word of a text costs a reader who knows the grammar, in nats; both are float64 arrays ``(n,)``."""

    nats: np.ndarray  #: ``-log p(word | all the words before it)``: no model can do better on the average
    forgotten: np.ndarray  #: what it costs more where it must be remembered and is not; 0 at every other word


@dataclass(frozen=True, eq=False, repr=False)
class Grammar:
    """Stories drawn from rules: ``rules[name]`` are the alternatives of a rule, equally likely, written as text.

    In an alternative ``tea`` is a word, ``ROOM`` draws from that rule, ``host=HOST`` draws and remembers, ``host?``
    recalls. A story is what ``start`` becomes, and ``<eos>``; a corpus is stories drawn independently, in a row.

    **The entropy is exact.** The alternatives of a rule begin with different words (the constructor checks it), so
    a text tells, word by word, which one was drawn: story and draws determine each other, and the entropy of a story
    is the expected sum of the entropies of its draws (chain rule: Cover & Thomas, *Elements of Information Theory*,
    2nd ed., theorem 2.5.1). Stories are independent and ``<eos>`` ends each, so that per token it is ::

        entropy = E[sum of log(alternatives) over the draws of a story] / E[tokens of a story]

    (renewal-reward theorem: Ross, *Stochastic Processes*, 2nd ed., section 3.6). No model has a perplexity below
    ``exp(entropy)`` in the long run, and the one that knows the rules and remembers has just that.

    Errors: a rule that is missing, empty, or comes back to itself; two alternatives of a rule that begin with the same
    word; a slot recalled before it is drawn, or drawn from two rules, or from one that has more than single words.
    """

    rules: Mapping[str, Sequence[str]]
    start: str = "STORY"

    def __post_init__(self) -> None:
        check(self.table, self.start)

    def __repr__(self) -> str:
        return (
            f"Grammar({len(self.vocab)} words, {self.story_length:.1f} tokens a story, "
            f"best perplexity {self.perplexity:.3f})"
        )

    @cached_property
    def table(self) -> Table:
        """The rules, parsed: ``table[rule][alternative]`` is a list of symbols."""
        return parse(self.rules)

    @cached_property
    def decoder(self) -> Mapping[str, Mapping[str, list[Symbol]]]:
        """``decoder[rule][word]`` is the alternative of ``rule`` that begins with ``word``."""
        return decoder(self.table)

    @cached_property
    def vocab(self) -> tuple[str, ...]:
        """All the words, in the order of the rules, and ``<eos>``: the same for every sample."""
        return (*dict.fromkeys(symbol.word for symbol in symbols(self.table) if symbol.word), EOS)

    @cached_property
    def cost(self) -> Mapping[str, float]:
        """What forgetting a slot costs when it is recalled: the entropy of its rule, nats."""
        return {s.slot: math.log(len(self.table[s.rule])) for s in symbols(self.table) if s.slot and s.rule}

    # ---- the text -------------------------------------------------------------------------------------------------

    def sample(self, n_tokens: int, rng: np.random.Generator) -> Corpus:
        """Draw a corpus of exactly ``n_tokens``; the last story is cut where they end."""
        if isinstance(n_tokens, bool) or not isinstance(n_tokens, (int, np.integer)) or n_tokens < 1:
            raise InvalidValue(f"sample: n_tokens is {n_tokens!r}, should be a positive int")

        def choose(rule: str) -> list[Symbol]:
            # One random() a draw: bits of PCG64 scaled to [0, 1), where integers() could choose another method one day.
            return self.table[rule][int(rng.random() * len(self.table[rule]))]

        words: list[str] = []
        while len(words) < n_tokens:
            words += [word for word, _ in self.story(choose)]
        ids = {word: i for i, word in enumerate(self.vocab)}
        return Corpus(np.array([ids[word] for word in words[:n_tokens]]), self.vocab)

    def story(self, choose: Callable[[str], list[Symbol]]) -> Iterator[tuple[str, Symbol]]:
        """The words of one story, each with its symbol; ``choose(rule)`` picks an alternative of ``table[rule]``."""
        memory: dict[str, str] = {}
        stack = [Symbol(rule=self.start)]
        while stack:
            symbol = stack.pop()
            if symbol.rule:
                chosen = choose(symbol.rule)
                if symbol.slot:
                    memory[symbol.slot] = chosen[0].word
                stack += reversed(chosen)
            else:
                yield symbol.word or memory[symbol.slot], symbol
        yield EOS, Symbol(word=EOS)

    def read(self, words: Sequence[str]) -> Reading:
        """Read a text that begins with a story as the perfect model does: what does each word cost?

        ``nats.mean()`` tends to ``entropy``, ``(nats + forgotten).mean()`` to ``forgetful_entropy``. The mean loss of
        a model where ``forgotten > 0`` tells how well it remembers. Errors: a word that cannot be in its place.
        """
        nats, forgotten = [0.0], [0.0]  # the last entry is that of the word about to be read

        def choose(rule: str) -> list[Symbol]:
            options = self.table[rule]
            nats[-1] += math.log(len(options))
            return self.decoder[rule].get(words[len(nats) - 1], options[0])  # a word that does not fit is found below

        while len(nats) <= len(words):
            for word, symbol in self.story(choose):
                at = len(nats) - 1
                if words[at] != word:
                    raise InvalidValue(f"read: word {at} is {words[at]!r}, should be one like {word!r}")
                forgotten[-1] = 0.0 if symbol.word else self.cost[symbol.slot]
                nats.append(0.0)
                forgotten.append(0.0)
                if len(nats) > len(words):
                    break
        return Reading(np.array(nats[:-1]), np.array(forgotten[:-1]))

    # ---- its numbers, exact ---------------------------------------------------------------------------------------

    def mean(self, value: Callable[[Symbol], float]) -> float:
        """The expected sum of ``value(symbol)`` over the symbols of a story: linear, so one walk over the rules."""

        def total(symbol: Symbol) -> float:
            texts = self.table[symbol.rule] if symbol.rule else []
            return value(symbol) + sum(total(part) for text in texts for part in text) / max(len(texts), 1)

        return total(Symbol(rule=self.start))

    @cached_property
    def story_length(self) -> float:
        """The mean number of tokens of a story, its ``<eos>`` counted."""
        return self.mean(lambda symbol: 0.0 if symbol.rule else 1.0) + 1

    @cached_property
    def entropy(self) -> float:
        """Nats per token of the language: the lowest mean loss that a model can have."""
        return self.mean(lambda s: math.log(len(self.table[s.rule])) if s.rule else 0.0) / self.story_length

    @cached_property
    def forgetful_entropy(self) -> float:
        """Nats per token of a model that knows the rules, but guesses whenever a slot is recalled."""
        return self.entropy + self.mean(lambda s: 0.0 if s.rule or s.word else self.cost[s.slot]) / self.story_length

    @cached_property
    def recalled(self) -> float:
        """The share of the tokens that recall a slot, in 0 .. 1."""
        return self.mean(lambda s: 0.0 if s.rule or s.word else 1.0) / self.story_length

    @property
    def perplexity(self) -> float:
        """The lowest perplexity that a model can have: ``exp(entropy)``."""
        return math.exp(self.entropy)

    @property
    def forgetful_perplexity(self) -> float:
        """The perplexity of a model that knows everything but what it should remember."""
        return math.exp(self.forgetful_entropy)
