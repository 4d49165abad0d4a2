"""A task: examples drawn from a numbered space without repetition, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import InvalidValue
from ..batches import IGNORE, Batches, batches, pad
from ..corpus import check_ids, integer
from ..encoder import look_up

FIXED = "a fixed answer"  #: the name of the lowest level: the best guess that does not read the input


@dataclass(frozen=True, eq=False, repr=False)
class Examples:
    """Examples of a task as integer arrays, which nobody should change."""

    inputs: np.ndarray  #: (n, T) ids of the input's tokens, padded with 0
    targets: np.ndarray  #: (n,) labels, or (n, T') labels padded with -1
    lengths: np.ndarray  #: (n,) number of tokens of each input

    def __len__(self) -> int:
        return len(self.inputs)

    def __repr__(self) -> str:
        return f"Examples({len(self)}, inputs {self.inputs.shape}, targets {self.targets.shape})"

    def batches(self, N: int, *, seed: int | None = 0, bucket: bool = True) -> Batches:
        """Batches ``(xs, ts, lengths)`` of N examples, as :func:`data.batches` makes them."""
        return batches(self.inputs, self.targets, N, seed=seed, bucket=bucket, lengths=self.lengths)


@dataclass(frozen=True, eq=False, repr=False)
class Task:
    """Examples for training, validation and test. No input is in two of them, or twice in one."""

    name: str
    train: Examples
    valid: Examples
    test: Examples
    vocab: tuple[str, ...]  #: the token of each id of an input
    labels: tuple[str, ...]  #: the token of each id of a target
    #: The accuracy that a guesser reaches on average over all inputs, by what it may look at.
    levels: Mapping[str, float]
    separator: str = ""  #: between the tokens of a text
    width: int = 0  #: texts are filled with spaces up to this length
    start: int | None = None  #: id of the token that starts a decoder; it is in no target
    end: int | None = None  #: id of the token at the end of each target, where targets have unequal lengths

    @property
    def chance(self) -> float:
        """The accuracy of the best fixed answer: a model that does not read its input has no more on average."""
        return self.levels[FIXED]

    def __repr__(self) -> str:
        sizes = ", ".join(str(len(part)) for part in (self.train, self.valid, self.test))
        return f"Task({self.name}: {sizes} examples, {len(self.vocab)} tokens, {len(self.labels)} labels, " \
               f"chance {self.chance:.3g})"  # fmt: skip

    def encode(self, text: str) -> np.ndarray:
        """The ids (length,) of an input written as text. Raises InvalidValue for a token that is not in ``vocab``."""
        tokens = text.split(self.separator) if self.separator else list(text.ljust(self.width))
        ids = {token: i for i, token in enumerate(self.vocab)}
        return np.array(look_up(f"{self.name}: encode", tokens, ids, "tokens"))

    def decode(self, ids: Any) -> str:
        """The text of the ids (length,) of an input, without those of the padding."""
        return self.separator.join(self.vocab[i] for i in check_ids("decode", ids, len(self.vocab)).tolist())

    def decode_target(self, ids: Any) -> str:
        """The text of a label, or of the labels (length,) of a target; labels of -1 are left out."""
        kept = np.atleast_1d(ids)
        kept = check_ids("decode_target", kept[kept != IGNORE], len(self.labels)).tolist()
        return self.separator.join(self.labels[i] for i in kept)


@dataclass(frozen=True, eq=False)
class Space:
    """All examples of a task: number ``i`` below ``count`` is ``example(i)``, and no two have the same input."""

    count: int
    example: Callable[[int], tuple[Sequence[str], Any]]  #: tokens, and the label, or a label each (None: ignored)
    vocab: Sequence[str]
    labels: Sequence[str]
    levels: Mapping[str, float]
    options: Mapping[str, Any] = field(default_factory=dict)  #: further attributes of the task

    def draw(self, name: str, sizes: tuple[int, int, int], seed: int) -> Task:
        """A task of so many examples for training, validation and test, all different, every example equally likely."""
        seed = integer(name, "seed", seed, least=0)
        if not isinstance(sizes, (tuple, list)) or len(sizes) != 3:
            raise InvalidValue(f"{name}: sizes is {sizes!r}, should be three ints: of train, valid and test")
        ends = np.cumsum([integer(name, "a size", size) for size in sizes]).tolist()
        if ends[-1] > self.count:
            raise InvalidValue(f"{name}: sizes are {ends[-1]} together, should be at most {self.count}, "
                               "as there are no more different examples")  # fmt: skip
        numbers = distinct(self.count, ends[-1], np.random.Generator(np.random.PCG64(seed)))
        examples = [self.example(i) for i in numbers]
        train, valid, test = (self.arrays(examples[a:b]) for a, b in zip([0, *ends], ends))
        return Task(name, train, valid, test, tuple(self.vocab), tuple(self.labels), self.levels, **self.options)

    def arrays(self, examples: Sequence[tuple[Sequence[str], Any]]) -> Examples:
        """The examples as arrays of ids."""
        ids = {token: i for i, token in enumerate(self.vocab)}
        labels: dict[str | None, int] = {label: i for i, label in enumerate(self.labels)}
        labels[None] = IGNORE
        inputs, lengths = pad([[ids[token] for token in tokens] for tokens, _ in examples])
        if isinstance(examples[0][1], str):
            return Examples(inputs, np.array([labels[label] for _, label in examples]), lengths)
        targets, _ = pad([[labels[label] for label in target] for _, target in examples], IGNORE)
        return Examples(inputs, targets, lengths)


def distinct(count: int, n: int, rng: np.random.Generator) -> list[int]:
    """``n`` different numbers below ``count``, in random order, all equally likely."""
    if count < 4 * n:
        places: list[int] = np.argsort(rng.random(count), kind="stable")[:n].tolist()
        return places
    words = count.bit_length() // 48 + 2  # digits of 48 bits; at least 48 more than are needed, for a uniform remainder
    numbers: dict[int, None] = {}
    while len(numbers) < n:
        digits = (rng.random((words, n)) * 2**48).astype(np.int64).astype(object)
        numbers.update(dict.fromkeys((sum(digit << 48 * k for k, digit in enumerate(digits)) % count).tolist()))
    return list(numbers)[:n]
