"""One step of a cell, recorded on small random inputs (`record`)."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..cells.probe import SIZES, choose, letters
from ..cells.sizes import length, parsed
from ..engine.tensor import value
from .called_functions import called, inner_locals_of
from .record import Recorder, record


def size_texts(cell: Cell) -> dict[str, list[tuple[str, str]]]:
    """How Python reads the sizes of each argument: ``{"Wx": [("D", "shape[0]"), ("H", "shape[1] // 4")], ...}``.

    A sum such as D+H is not read: it does not tell a letter.
    """
    words = {cell.input: ("N", "D"), **cell.words, **{name: param.words for name, param in cell.params.items()}}
    counts = {name: len(param.blocks) for name, param in cell.params.items()}
    texts: dict[str, list[tuple[str, str]]] = {}
    for name, axes in words.items():
        texts[name] = []
        for k, word in enumerate(axes):
            size, blocks = parsed(word), counts.get(name, 1) if k == len(axes) - 1 else 1
            if len(size.counts) == 1 and not size.number:
                ((letter, count),) = size.counts.items()
                parts = max(blocks, 1) * count
                texts[name].append((letter, f"shape[{k}]" + f" // {parts}" * (parts > 1)))
    return texts


def sample(
    cell: Cell, rng: np.random.Generator, sizes: Mapping[str, int], defaults: Mapping[str, int] = SIZES
) -> dict[str, np.ndarray]:
    """Random float64 arguments of a cell by name, in the order of its signature; no parameter is zero.

    ``sizes`` are those that the user asks for. The others are chosen so that the equations accept them (`choose`).
    """
    full = choose(cell, sizes, defaults)
    given = {cell.input: rng.standard_normal((full["N"], full["D"]))}
    for name in cell.states:
        given[name] = rng.standard_normal([length(word, full) for word in cell.words[name]])
    param_sizes: dict[str, Any] = {letter: size for letter, size in full.items() if letter in letters(cell)[1:]}
    for name, parameter in cell.init(rng, dtype=np.float64, **param_sizes).items():
        given[name] = value(parameter) + 0.1 * rng.standard_normal(parameter.shape)
    return given


def record_step(cell: Cell, given: Mapping[str, Any], recorder: Recorder | None = None) -> Recorder:
    """One step of ``cell`` on arguments by name; its outputs are the new states, in their order."""
    recorder = recorder or Recorder()
    kinds = {cell.input: "input", **dict.fromkeys(cell.states, "state"), **dict.fromkeys(cell.params, "parameter")}
    order = [cell.input, *cell.states]

    def call(**tensors: Any) -> Any:
        with inner_locals_of(called(cell), recorder):
            return cell(*[tensors.pop(name) for name in order], **tensors)

    _, new = record(call, given, kinds, codes(cell), recorder)
    new = new if isinstance(new, tuple) else (new,)
    recorder.finish({f"{name}'": state for name, state in zip(cell.states, new)}, order)
    return recorder


def record_sample(cell: Cell, sizes: Mapping[str, int]) -> Recorder | None:
    """One step of ``cell`` on random arguments of ``sizes``, for its names; None if the cell cannot run on them."""
    if any(default is inspect.Parameter.empty for default in cell.config.values()):
        return None
    with contextlib.suppress(Exception):  # names are not worth an error: a cell may refuse random numbers
        return record_step(cell, sample(cell, np.random.default_rng(0), sizes))
    return None


def codes(f: Any) -> list[Any]:
    """The code of a function, or of a cell and of the cells that it wraps."""
    layers = []
    while f is not None:
        layers.append(getattr(getattr(f, "function", f), "__code__", None))
        f = getattr(f, "inner", None)
    return layers
