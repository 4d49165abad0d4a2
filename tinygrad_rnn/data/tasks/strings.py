"""Tasks of strings of symbols: turn them round; remember them."""

from __future__ import annotations

from ...errors import InvalidValue
from ..corpus import integer
from ..tokens import EOS
from .numbers import START
from .task import FIXED, Space, Task

BLANK, GO = ".", ">"  #: nothing to read, and the sign to write, of the copy task


def word(symbols: str, length: int, i: int) -> list[str]:
    """The string of number ``i`` among those of ``length`` symbols."""
    return [symbols[i // len(symbols) ** k % len(symbols)] for k in range(length)]


def check_symbols(where: str, symbols: str, reserved: str) -> None:
    """Raise InvalidValue unless there are two symbols, all different, and none is reserved."""
    if len(symbols) < 2 or len(dict.fromkeys(symbols)) < len(symbols) or any(sign in symbols for sign in reserved):
        should = f"should be at least two different characters without {' and '.join(map(repr, reserved))}"
        raise InvalidValue(f"{where}: symbols is {symbols!r}, {should}")


def reversal(
    symbols: str = "abcdefgh", *, shortest: int = 3, longest: int = 6,
    sizes: tuple[int, int, int] = (20_000, 1000, 1000), seed: int = 0,
) -> Task:  # fmt: skip
    """Sequence to sequence: a string backwards, then ``<eos>``: ``"abca" -> "acba<eos>"``.

    Every string of ``shortest`` to ``longest`` symbols is equally likely, so most have the longest length. ``start`` is
    ``"_"``, ``end`` is ``<eos>``. Chance, of the whole answer, is one over the number of strings.
    """
    check_symbols("reversal", symbols, START)
    shortest, longest = integer("reversal", "shortest", shortest), integer("reversal", "longest", longest)
    if longest < shortest:
        raise InvalidValue(f"reversal: longest is {longest}, should be at least shortest, {shortest}")
    counts = {length: len(symbols) ** length for length in range(shortest, longest + 1)}

    def example(i: int) -> tuple[list[str], list[str]]:
        length = shortest
        while i >= counts[length]:
            i, length = i - counts[length], length + 1
        tokens = word(symbols, length, i)
        return tokens, [*tokens[::-1], EOS]

    vocab, total = (*symbols, START, EOS), sum(counts.values())
    options = {"start": vocab.index(START), "end": vocab.index(EOS)}
    return Space(total, example, vocab, vocab, {FIXED: 1 / total}, options).draw("reversal", sizes, seed)


def copy(
    length: int = 5, delay: int = 10, *, symbols: str = "abcdefgh",
    sizes: tuple[int, int, int] = (10_000, 500, 500), seed: int = 0,
) -> Task:  # fmt: skip
    """Many-to-many: remember ``length`` symbols over ``delay`` steps, then write them.

    ``"badca..........>....."``: the symbols, ``delay`` blanks, the sign to write, and ``length - 1`` blanks. The
    targets of the sign and of the steps after it are the symbols; all before are ignored (-1). Every string is equally
    likely, and chance, of each symbol, is one over the number of symbols. (The memory task of Hochreiter and
    Schmidhuber 1997, in the form of Arjovsky, Shah and Bengio 2016, section 4.1.)
    """
    check_symbols("copy", symbols, BLANK + GO)
    length, delay = integer("copy", "length", length), integer("copy", "delay", delay)

    def example(i: int) -> tuple[list[str], list[str | None]]:
        tokens = word(symbols, length, i)
        rest = [*BLANK * delay, GO, *BLANK * (length - 1)]
        return [*tokens, *rest], [*[None] * (length + delay), *tokens]

    space = Space(len(symbols) ** length, example, (*symbols, BLANK, GO), tuple(symbols), {FIXED: 1 / len(symbols)})
    return space.draw("copy", sizes, seed)
