"""Tasks of counting and calculating."""

from __future__ import annotations

import math
from itertools import accumulate

from ..corpus import integer
from .task import FIXED, Space, Task

BITS = ("0", "1")
START = "_"  #: starts a decoder, as in the book


def bits(T: int, i: int) -> list[str]:
    """The binary digits of ``i``, the highest first, T of them."""
    return list(f"{i:0{T}b}")


def count_ones(T: int = 12, *, sizes: tuple[int, int, int] = (2000, 500, 500), seed: int = 0) -> Task:
    """Many-to-one: how many of T bits are 1. The id of a bit is its value, and the label is the number, 0 to T.

    ``"0110 ..." -> "2"``. Every sequence of T bits is equally likely, so the number has the binomial distribution:
    chance is ``C(T, T // 2) / 2^T``, and the best fixed number, ``T / 2``, has the mean squared error ``T / 4``.
    """
    T = integer("count_ones", "T", T)
    levels = {FIXED: math.comb(T, T // 2) / 2**T}
    labels = [str(k) for k in range(T + 1)]
    space = Space(2**T, lambda i: (bits(T, i), str(i.bit_count())), BITS, labels, levels)
    return space.draw("count_ones", sizes, seed)


def parity(
    T: int = 12, *, running: bool = False, sizes: tuple[int, int, int] = (2000, 500, 500), seed: int = 0
) -> Task:
    """Is the number of ones even or odd: of all T bits (many-to-one), or, ``running``, of the bits so far
    (many-to-many).

    ``"0110 ..." -> "even"``, or ``"even odd even even ..."``. Chance is 1/2. Who knows the present bit alone has 1/2 of
    the whole, and of the running parity ``(1 + (T - 1) / 2) / T``, as the first is right; no proper part of the bits
    tells the parity.
    """
    T = integer("parity", "T", T)
    names = ("even", "odd")

    def example(i: int) -> tuple[list[str], str | list[str]]:
        tokens = bits(T, i)
        sums = list(accumulate(map(int, tokens)))
        return tokens, [names[s % 2] for s in sums] if running else names[sums[-1] % 2]

    levels = {FIXED: 0.5, "the present bit": (1 + (T - 1) / 2) / T if running or T == 1 else 0.5}
    space = Space(2**T, example, BITS, names, levels, {"separator": " "})
    return space.draw("parity", sizes, seed)


def addition(digits: int = 3, *, sizes: tuple[int, int, int] = (45_000, 2500, 2500), seed: int = 0) -> Task:
    """Sequence to sequence: the sum of two numbers of up to ``digits`` digits, in the characters of the book's task.

    ``"57+5   " -> "62  "``, with spaces up to ``2 digits + 1`` and ``digits + 1`` characters, so all inputs and all
    targets have one length. Every pair of numbers is equally likely. ``start`` is ``"_"``, which the book writes before
    each answer. Chance, of the whole answer, is ``10^-digits``: the sum ``99..9`` has the most pairs. (*Deep Learning
    from Scratch 2*, section 7.2.)
    """
    digits = integer("addition", "digits", digits)
    top, vocab = 10**digits, "0123456789+ " + START

    def example(i: int) -> tuple[list[str], list[str]]:
        a, b = divmod(i, top)
        return list(f"{a}+{b}".ljust(2 * digits + 1)), list(str(a + b).ljust(digits + 1))

    options = {"width": 2 * digits + 1, "start": vocab.index(START)}
    return Space(top**2, example, vocab, vocab, {FIXED: 1 / top}, options).draw("addition", sizes, seed)
