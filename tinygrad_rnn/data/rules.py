"""The notation of a grammar: productions as text, how they are parsed and checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ..errors import InvalidValue
from .tokens import EOS


class Symbol(NamedTuple):
    """A piece of a production: a word, a rule to draw from (with the slot that remembers it), or a recalled slot."""

    word: str = ""
    rule: str = ""
    slot: str = ""


Table = Mapping[str, list[list[Symbol]]]  #: rule -> alternatives -> symbols


def parse(rules: Mapping[str, Sequence[str]]) -> Table:
    """Parse rules: ``tea`` is a word, ``ROOM`` a rule, ``host=HOST`` a rule with a slot, ``host?`` a recalled slot.

    Raises InvalidValue for a rule without an alternative, or an alternative without a word.
    """
    table: dict[str, list[list[Symbol]]] = {}
    for name, texts in rules.items():
        table[name] = [[_symbol(piece) for piece in text.split()] for text in texts]
        if not table[name] or not all(table[name]):
            raise InvalidValue(f"Grammar: rule {name} has nothing to draw, every alternative should have a word")
    return table


def _symbol(piece: str) -> Symbol:
    if piece.endswith("?") and len(piece) > 1:
        return Symbol(slot=piece[:-1])
    slot, _, rule = piece.rpartition("=")
    return Symbol(rule=rule, slot=slot) if rule.isupper() else Symbol(word=piece)


def symbols(table: Table) -> Iterator[Symbol]:
    """Every symbol of a table, in the order of the rules."""
    return (symbol for texts in table.values() for text in texts for symbol in text)


def check(table: Table, start: str) -> None:
    """Raise InvalidValue unless every story from ``start`` ends, recalls only drawn slots, and shows its draws."""
    sources: dict[str, str] = {}
    for symbol in symbols(table):
        if symbol.word == EOS:
            raise InvalidValue(f"Grammar: {EOS} is written in a rule, it should not be: it ends every story by itself")
        if symbol.slot and symbol.rule:
            if sources.setdefault(symbol.slot, symbol.rule) != symbol.rule:
                raise InvalidValue(f"Grammar: {symbol.slot} is drawn from {sources[symbol.slot]} and {symbol.rule}, "
                                 "it should have one rule")  # fmt: skip
            if not all(len(text) == 1 and text[0].word for text in table.get(symbol.rule, ())):
                raise InvalidValue(f"Grammar: {symbol.slot} remembers {symbol.rule}, whose alternatives should be "
                                 "single words")  # fmt: skip
    _follow(table, Symbol(rule=start), (), ())
    decoder(table)


def _follow(table: Table, symbol: Symbol, path: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    """The slots that are certainly drawn after ``symbol``, if those in ``known`` are drawn before it."""
    if symbol.word:
        return known
    if not symbol.rule:
        if symbol.slot not in known:
            raise InvalidValue(f"Grammar: {symbol.slot}? of rule {path[-1]} is recalled before it is drawn for certain")
        return known
    if symbol.rule not in table:
        raise InvalidValue(f"Grammar: there is no rule {symbol.rule}, it should be in rules")
    if symbol.rule in path:
        raise InvalidValue(f"Grammar: rule {symbol.rule} is recursive, every story should end")
    outcomes = []
    for text in table[symbol.rule]:
        after = known
        for part in text:
            after = _follow(table, part, (*path, symbol.rule), after)
        outcomes.append(after)
    certain = tuple(slot for slot in outcomes[0] if all(slot in outcome for outcome in outcomes))
    return (*certain, symbol.slot) if symbol.slot else certain


def decoder(table: Table) -> Mapping[str, Mapping[str, list[Symbol]]]:
    """``decoder(table)[rule][word]`` is the alternative of ``rule`` that begins with ``word``.

    Raises InvalidValue for two alternatives that begin with the same word: a text would not show which was drawn.
    """
    sources = {symbol.slot: symbol.rule for symbol in symbols(table) if symbol.slot and symbol.rule}

    def firsts(symbol: Symbol) -> list[str]:
        rule = symbol.rule or sources.get(symbol.slot)
        return [word for text in table[rule] for word in firsts(text[0])] if rule else [symbol.word]

    alternatives: dict[str, dict[str, list[Symbol]]] = {}
    for rule, texts in table.items():
        alternatives[rule] = {}
        for text in texts:
            for word in firsts(text[0]):
                if alternatives[rule].setdefault(word, text) is not text:
                    raise InvalidValue(f"Grammar: two alternatives of {rule} begin with {word!r}, a text should tell "
                                     "by its next word which was drawn")  # fmt: skip
    return alternatives
