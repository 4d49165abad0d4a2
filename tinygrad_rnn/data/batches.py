"""Sequences of unequal length as batches: padded to one length, with their lengths, and grouped by length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import InvalidType, InvalidValue
from .corpus import integer

IGNORE = -1  #: the label of a padded target, which `softmax_cross_entropy` ignores
POOL = 50  #: batches that are sorted by length together


def pad(sequences: Sequence[Any], value: Any = 0) -> tuple[np.ndarray, np.ndarray]:
    """Sequences of unequal length as one array: ``padded`` (N, T) and ``lengths`` (N,), T the longest. Equal to::

        padded = np.full((N, T), value)
        for n, sequence in enumerate(sequences):
            padded[n, : len(sequence)] = sequence

    Sequences of vectors ``(length, D)`` give ``(N, T, D)``. Raises InvalidValue for no sequence, for an empty one, for
    elements of unequal shape, and for a ``value`` that the dtype of the sequences cannot hold; InvalidType for
    sequences that are not numbers.
    """
    return _padded(_arrays("pad", sequences), value)


def _arrays(where: str, sequences: Any) -> list[np.ndarray]:
    """The sequences as arrays of one dtype and rank, each with at least one element."""
    arrays = [np.asarray(sequence) for sequence in sequences]
    if not arrays:
        raise InvalidValue(f"{where}: there is no sequence, should be at least one")
    for i, array in enumerate(arrays):
        if array.dtype.kind not in "biuf":
            raise InvalidType(f"{where}: sequence {i} is {array.dtype}, should be numbers")
        if array.ndim == 0 or array.shape[1:] != arrays[0].shape[1:]:
            should = f"should be (length, {', '.join(map(str, arrays[0].shape[1:]))}".rstrip(", ") + ")"
            raise InvalidValue(f"{where}: sequence {i} has shape {array.shape}, {should}")
        if len(array) == 0:
            raise InvalidValue(f"{where}: sequence {i} is empty, should have at least one element")
    dtype = np.result_type(*dict.fromkeys(array.dtype for array in arrays))
    return [array.astype(dtype, copy=False) for array in arrays]


def _padded(arrays: list[np.ndarray], value: Any) -> tuple[np.ndarray, np.ndarray]:
    dtype, lengths = arrays[0].dtype, np.array([len(array) for array in arrays])
    with np.errstate(invalid="ignore"):
        if np.asarray(value).astype(dtype) != value and not (value != value and dtype.kind == "f"):
            raise InvalidValue(f"pad: value is {value!r}, should be one that {dtype} can hold")
    padded = np.full((len(arrays), lengths.max(), *arrays[0].shape[1:]), value, dtype)
    padded[np.arange(lengths.max()) < lengths[:, None]] = np.concatenate(arrays)
    return padded, lengths


@dataclass(frozen=True, eq=False, repr=False)
class Batches:
    """The batches ``(xs, ts, lengths)`` of one epoch, as :func:`batches` returns them; each iteration is the same."""

    inputs: list[np.ndarray]
    targets: list[np.ndarray] | np.ndarray
    N: int
    seed: int | None
    bucket: bool
    value: Any
    ignore: int
    k: int = 0

    def epoch(self, k: int) -> Batches:
        """The batches of epoch ``k``, from 0. Their order is a function of the seed and k alone."""
        return replace(self, k=integer("epoch", "k", k, least=0))

    def order(self) -> list[np.ndarray]:
        """The indices of the examples of each batch of this epoch."""
        n = len(self.inputs)
        if self.seed is None:
            return np.split(np.arange(n), range(self.N, n, self.N))
        # Sorted random() are bits of PCG64, the same in every version of NumPy; permutation() may change some day.
        rng = np.random.Generator(np.random.PCG64([self.seed, self.k]))
        places = np.argsort(rng.random(n), kind="stable")
        if self.bucket:
            lengths = np.array([len(sequence) for sequence in self.inputs])
            pools = np.split(places, range(self.N * POOL, n, self.N * POOL))
            places = np.concatenate([pool[np.argsort(-lengths[pool], kind="stable")] for pool in pools])
        groups = np.split(places, range(self.N, n, self.N))
        return [groups[i] for i in np.argsort(rng.random(len(groups)), kind="stable")] if self.bucket else groups

    def __len__(self) -> int:
        return -(-len(self.inputs) // self.N)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for group in self.order():
            xs, lengths = _padded([self.inputs[i] for i in group], self.value)
            if isinstance(self.targets, np.ndarray):
                yield xs, self.targets[group], lengths
            else:
                yield xs, _padded([self.targets[i] for i in group], self.ignore)[0], lengths

    def __repr__(self) -> str:
        return f"Batches({len(self)} of N={self.N}, {len(self.inputs)} examples)"


def batches(
    inputs: Sequence[Any] | np.ndarray,
    targets: Sequence[Any] | np.ndarray,
    N: int,
    *,
    seed: int | None = 0,
    bucket: bool = True,
    lengths: Any = None,
    value: Any = 0,
    ignore: int = IGNORE,
) -> Batches:
    """Cut sequences and their targets into batches ``(xs, ts, lengths)`` of N examples, in random order.

    ======================  ==================================  =====================================================
    task                    ``targets``                         ``ts``
    ======================  ==================================  =====================================================
    many-to-one             a label (or a vector) an example    ``(N,)``
    many-to-many            a label for each input              ``(N, T)``, padded with ``ignore``
    sequence to sequence    a sequence of another length        ``(N, T')``, padded with ``ignore``
    ======================  ==================================  =====================================================

    ``xs`` (N, T) is padded with ``value``, T being the longest of the batch, and ``lengths`` (N,) are the lengths of
    the inputs. Inputs that are padded already come with their ``lengths``; a target that is padded ends at its last
    element other than ``ignore``. Every example is in one batch of an epoch; the last batch may have fewer.

    With ``bucket``, 50 batches at a time are sorted by length, so that little is padded, and the batches are shuffled.
    The order of epoch k is a function of ``(seed, k)``: a run that is taken up in the middle of an epoch finds the same
    batches. ``seed=None``, for evaluation, keeps the order of the examples.

    Raises InvalidValue if N is not a positive int, if inputs, targets and lengths are not equally many, for an empty
    sequence, and for what :func:`pad` refuses.
    """
    N = integer("batches", "N", N)
    if seed is not None:
        seed = integer("batches", "seed", seed, least=0)
    arrays = _arrays("batches", inputs)
    ends = [len(array) for array in arrays] if lengths is None else _lengths(lengths, arrays)
    if len(targets) != len(arrays):
        raise InvalidValue(f"batches: there are {len(targets)} targets, should be {len(arrays)}, one for each input")
    rows = _targets(targets, ignore, [len(array) for array in arrays], ends)
    return Batches([array[:end] for array, end in zip(arrays, ends)], rows, N, seed, bucket, value, ignore)


def _lengths(lengths: Any, arrays: list[np.ndarray]) -> list[int]:
    """The lengths as ints; raises InvalidValue unless each is from 1 to the length of its row."""
    if np.shape(lengths) != (len(arrays),):
        raise InvalidValue(f"batches: lengths has shape {np.shape(lengths)}, should be ({len(arrays)},)")
    for i, (length, array) in enumerate(zip(lengths, arrays)):
        if not 1 <= length <= len(array):
            raise InvalidValue(f"batches: the length of input {i} is {length}, should be from 1 to {len(array)}")
    return [int(length) for length in lengths]


def _targets(targets: Any, ignore: int, widths: list[int], ends: list[int]) -> list[np.ndarray] | np.ndarray:
    """Labels or vectors as one array; sequences of labels as a list of arrays without the padding at their ends."""
    if all(np.ndim(target) == 0 for target in targets):
        return np.asarray(targets)
    arrays = _arrays("batches", targets)
    if arrays[0].dtype.kind == "f":
        if any(len(array) != len(arrays[0]) for array in arrays):
            raise InvalidValue("batches: targets are floats of unequal length, should be integers, or equally long")
        return np.stack(arrays)
    if all(len(array) == width and (array[end:] == ignore).all() for array, width, end in zip(arrays, widths, ends)):
        return [array[:end] for array, end in zip(arrays, ends)]  # a label for each input
    last = [np.flatnonzero((array != ignore).reshape(len(array), -1).any(axis=1)) for array in arrays]
    return [array[: places[-1] + 1 if len(places) else 1] for array, places in zip(arrays, last)]
