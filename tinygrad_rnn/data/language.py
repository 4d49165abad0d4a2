"""A generated language, whose best possible perplexity is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..errors import InvalidValue
from .corpus import Corpus, integer
from .rules import Symbol, Table, check, decoder, parse, symbols
from .tokens import EOS


class Reading(NamedTuple):
    """The information of each word of a text for a reader who knows the grammar, in nats: float64 arrays ``(n,)``."""

    nats: np.ndarray  #: ``-log p(word | all the words before it)``: no model has a lower mean loss
    forgotten: np.ndarray  #: the additional loss of a model without memory; 0 at words that recall nothing


@dataclass(frozen=True, eq=False, repr=False)
class Grammar:
    """Stories drawn from rules: ``rules[name]`` are the alternatives of a rule, equally likely, written as text.

    In an alternative ``tea`` is a word, ``ROOM`` draws from the rule of that name, ``host=HOST`` draws and remembers
    the word in the slot ``host``, and ``host?`` recalls it. A story is the expansion of the rule ``start``, followed by
    ``<eos>``; a corpus is a sequence of independent stories.

    **The entropy is exact.** The alternatives of a rule begin with different words (the constructor checks it), so each
    next word of a text shows which alternative was drawn. Story and draws determine each other, and the entropy of a
    story is the expected sum of the entropies of its draws (chain rule: Cover & Thomas, *Elements of Information
    Theory*, 2nd ed., theorem 2.5.1). Stories are independent and ``<eos>`` ends each, so the entropy per token is ::

        entropy = E[sum of log(alternatives) over the draws of a story] / E[tokens of a story]

    (renewal-reward theorem: Ross, *Stochastic Processes*, 2nd ed., section 3.6). No model has a perplexity below
    ``exp(entropy)`` in the long run; a model that knows the rules and remembers the slots reaches it.

    Raises InvalidValue for a rule that is missing, empty or recursive; two alternatives of a rule that begin with the
    same word; a slot that is recalled before it is drawn, drawn from two rules, or drawn from a rule whose alternatives
    are not single words.
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
        """The parsed rules: ``table[rule][alternative]`` is a list of symbols."""
        return parse(self.rules)

    @cached_property
    def decoder(self) -> Mapping[str, Mapping[str, list[Symbol]]]:
        """``decoder[rule][word]`` is the alternative of ``rule`` that begins with ``word``."""
        return decoder(self.table)

    @cached_property
    def vocab(self) -> tuple[str, ...]:
        """All words in the order of the rules, then ``<eos>``: the same vocabulary for every sample."""
        return (*dict.fromkeys(symbol.word for symbol in symbols(self.table) if symbol.word), EOS)

    @cached_property
    def cost(self) -> Mapping[str, float]:
        """The loss of guessing each slot, in nats: the entropy of its rule."""
        return {s.slot: math.log(len(self.table[s.rule])) for s in symbols(self.table) if s.slot and s.rule}

    # ---- the text -------------------------------------------------------------------------------------------------

    def sample(self, n_tokens: int, rng: np.random.Generator) -> Corpus:
        """Draw a corpus of exactly ``n_tokens`` tokens, the last story cut if need be. Raises InvalidValue below 1."""
        n_tokens = integer("sample", "n_tokens", n_tokens)

        def choose(rule: str) -> list[Symbol]:
            # One random() for each draw is bits of PCG64 scaled to [0, 1); integers() may change its method some day.
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
        """The loss of the perfect model at each word of a text that begins with a story.

        ``nats.mean()`` tends to ``entropy``, ``(nats + forgotten).mean()`` to ``forgetful_entropy``. The mean loss of a
        model where ``forgotten > 0`` shows how well it remembers. Raises InvalidValue for a word that cannot be in its
        place.
        """
        nats, forgotten = [0.0], [0.0]  # the last entries belong to the next word

        def choose(rule: str) -> list[Symbol]:
            options = self.table[rule]
            nats[-1] += math.log(len(options))
            return self.decoder[rule].get(words[len(nats) - 1], options[0])  # a word that does not fit raises below

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

    # ---- its exact numbers ----------------------------------------------------------------------------------------

    def mean(self, value: Callable[[Symbol], float]) -> float:
        """The expected sum of ``value(symbol)`` over the symbols of a story, by one walk over the rules."""

        def total(symbol: Symbol) -> float:
            texts = self.table[symbol.rule] if symbol.rule else []
            return value(symbol) + sum(total(part) for text in texts for part in text) / max(len(texts), 1)

        return total(Symbol(rule=self.start))

    @cached_property
    def story_length(self) -> float:
        """The mean number of tokens of a story, ``<eos>`` included."""
        return self.mean(lambda symbol: 0.0 if symbol.rule else 1.0) + 1

    @cached_property
    def entropy(self) -> float:
        """Entropy of the language in nats per token: the lowest mean loss of any model."""
        return self.mean(lambda s: math.log(len(self.table[s.rule])) if s.rule else 0.0) / self.story_length

    @cached_property
    def forgetful_entropy(self) -> float:
        """Mean loss, in nats per token, of a model that knows the rules but guesses every recalled slot."""
        return self.entropy + self.mean(lambda s: 0.0 if s.rule or s.word else self.cost[s.slot]) / self.story_length

    @cached_property
    def recalled(self) -> float:
        """The fraction of the tokens that recall a slot."""
        return self.mean(lambda s: 0.0 if s.rule or s.word else 1.0) / self.story_length

    @property
    def perplexity(self) -> float:
        """The lowest perplexity of any model: ``exp(entropy)``."""
        return math.exp(self.entropy)

    @property
    def forgetful_perplexity(self) -> float:
        """The perplexity of a model that knows the rules but has no memory: ``exp(forgetful_entropy)``."""
        return math.exp(self.forgetful_entropy)
