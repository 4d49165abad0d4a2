"""One step of a cell, recorded on small random inputs (`record`)."""

from __future__ import annotations

import contextlib
import inspect
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..engine.tensor import value
from ..errors import InvalidType
from .called_functions import called, inner_locals_of
from .record import Recorder, record

#: The sizes of letters that the caller gives no size for: small, and all different.
SIZES = {"N": 1, "D": 3, "H": 5}


def letters(cell: Cell) -> list[str]:
    """The sizes of a cell, each once: N, D, those of the states, those of the parameters."""
    words = [*cell.words.values(), *(param.words for param in cell.params.values())]
    return list(dict.fromkeys(["N", "D", *itertools.chain(*words)]))


def size_texts(cell: Cell) -> dict[str, list[tuple[str, str]]]:
    """How Python reads the sizes of each argument: ``{"Wx": [("D", "shape[0]"), ("H", "shape[1] // 4")], ...}``."""
    words = {cell.input: ("N", "D"), **cell.words, **{name: param.words for name, param in cell.params.items()}}
    counts = {name: len(param.blocks) for name, param in cell.params.items()}
    texts: dict[str, list[tuple[str, str]]] = {}
    for name, letters_of in words.items():
        parts = [""] * (len(letters_of) - 1) + [f" // {counts[name]}" if counts.get(name, 0) > 1 else ""]
        texts[name] = [(letter, f"shape[{k}]{part}") for k, (letter, part) in enumerate(zip(letters_of, parts))]
    return texts


def sample(cell: Cell, rng: np.random.Generator, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Random float64 arguments of a cell by name, in the order of its signature; no parameter is zero."""
    known_letters = letters(cell)
    for name in sizes:
        if name not in known_letters:
            raise InvalidType(f"{cell.name}: {name} is not a size of this cell, which are {', '.join(known_letters)}")
    known = {**SIZES, **sizes}
    unasked = (prime for prime in (2, 7, 11, 13, 17, 19, 23, 29, 31) if prime not in known.values())
    full = {letter: known[letter] if letter in known else next(unasked) for letter in known_letters}
    param_sizes: dict[str, Any] = {word: full[word] for param in cell.params.values() for word in param.words}
    given = {cell.input: rng.standard_normal((full["N"], full["D"]))}
    for name in cell.states:
        given[name] = rng.standard_normal([full[word] for word in cell.words[name]])
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
