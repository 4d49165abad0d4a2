"""The tokens of a text: words, characters, or bytes. The text comes in blocks, cut anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ..errors import InvalidValue

EOS = "<eos>"  #: ends a line of a text, or a story of the grammar
UNK = "<unk>"  #: stands for every token that is not in the vocabulary
#: The vocabulary of bytes, by value: a printable ASCII character is its own name, another byte is ``0x0a`` and so on.
BYTES = tuple(chr(byte) if 32 <= byte < 127 else f"0x{byte:02x}" for byte in range(256))


def words(blocks: Iterable[str]) -> Iterator[list[str]]:
    """The words of a text, split at whitespace, with ``<eos>`` for every newline, and at the end of the last line."""
    rest, last = "", ""
    for block in blocks:
        text, last = rest + block, block[-1:] or last
        cut = max(map(text.rfind, " \n\t")) + 1
        rest = text[cut:]
        yield text[:cut].replace("\n", f" {EOS} ").split()
    yield [*rest.split(), *[EOS] * (last != "\n")]


def join_words(tokens: Iterable[str]) -> str:
    """Words separated by spaces; ``<eos>`` is a newline."""
    lines: list[list[str]] = [[]]
    for word in tokens:
        if word == EOS:
            lines.append([])
        else:
            lines[-1].append(word)
    return "\n".join(map(" ".join, lines))


def join_bytes(tokens: Iterable[str]) -> str:
    """The bytes read as UTF-8; bytes that are no character become U+FFFD."""
    values = {name: value for value, name in enumerate(BYTES)}
    return bytes(values[name] for name in tokens).decode("utf-8", "replace")


class Tokens(NamedTuple):
    """A way to read a text."""

    split: Callable[[Iterable[str]], Iterator[list[str]]]  #: blocks of text -> lists of tokens
    join: Callable[[Iterable[str]], str]  #: tokens -> text
    unit: str  #: what the tokens are, in the plural
    always: tuple[str, ...]  #: tokens that a limited vocabulary keeps


#: The inverse of ``split`` is ``join``: exactly for characters and bytes, up to whitespace for words.
TOKENS = {
    "word": Tokens(words, join_words, "words", (UNK, EOS)),
    "char": Tokens(lambda blocks: map(list, blocks), "".join, "characters", (UNK,)),
    "byte": Tokens(lambda blocks: ([BYTES[b] for b in t.encode()] for t in blocks), join_bytes, "bytes", BYTES),
}


def check_tokens(where: str, tokens: str) -> Tokens:
    """The row of ``TOKENS``; raises InvalidValue for a name that is not there."""
    if tokens not in TOKENS:
        raise InvalidValue(f"{where}: tokens is {tokens!r}, should be 'word', 'char' or 'byte'")
    return TOKENS[tokens]
