"""Does the forward of a layer equal a cell? Its outputs are compared with the cell's, in every usual layout.

The order of the axes, the orientation of the weights and the order of the gates are not asked for but tried: on random
numbers only the right layout gives the outputs of the layer. If no layout does, the forward is "other" if its arrays
have the shapes of the cell's, else "unknown".
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...cells.sizes import length
from ...engine.pytree import flatten
from ...engine.tensor import value
from ...errors import ShapeError
from ..numeric.inputs import paths
from ..report import distance
from .adapter import Adapter
from .arguments import plain
from .calls import is_tree, tops
from .copies import arrays_by_path

SAME = 1e-5  # relative to the norm of an output, which may have been computed in float32

Arrays = Mapping[str, np.ndarray]


@dataclass
class Forward:
    """The result of the comparison: "same", "other" or "unknown"; ``text`` is the layout, or the difference.

    ``reference`` are the outputs of the cell in the layout in which most fit.
    """

    kind: str
    text: str = ""
    reference: list[np.ndarray] = field(default_factory=list)


def compared_forward(adapter: Adapter, cell: Cell, result: Any) -> Forward:
    """Compare the ``result`` of a layer's forward with the outputs of a cell."""
    outputs, best, text = _by_output(result), (-1, -math.inf), ""
    nearest: tuple[int, list[np.ndarray]] = (-1, [])  # of equal ones the usual layout, which comes first
    for params_text, params in _parameters(adapter, cell):
        for layout, reference in _references(adapter, cell, params):
            firsts = reference[:: len(cell.states)]  # the first output is of the first state
            offs, arrays = zip(*(_nearest(y, reference if k else firsts) for k, y in enumerate(outputs)))
            fits, shapes = sum(off <= SAME for off in offs), max(offs) < math.inf
            if fits == len(outputs):
                return Forward("same", ", ".join(filter(None, [layout, params_text])), list(arrays))
            nearest = max(nearest, (fits if shapes else -1, list(arrays)), key=lambda pair: pair[0])
            first = next(k for k, off in enumerate(offs) if off > SAME)
            if shapes and (fits, -offs[first]) > best:
                best = fits, -offs[first]
                text = f"output {first} of forward differs from that of the cell {cell.name} by {offs[first]:.2g}"
    if not text:
        shapes_text = ", ".join(f"{name} {x.shape}" for name, x in adapter.floats.items())
        return Forward("unknown", f"forward cannot be compared with the cell {cell.name}: no reading of {shapes_text} "
                                  f"gives outputs of shape {', '.join(str(y.shape) for y in outputs)}")  # fmt: skip
    return Forward("other", f"{text} of its size, in every order of axes and gates", nearest[1])


def _by_output(result: Any) -> list[np.ndarray]:
    """The floating outputs; a list with an array for each step is one output."""
    outputs = []
    for top in [result] if isinstance(result, list) else tops(result):
        leaves = [x for x in map(np.asarray, flatten(top)[0]) if x.dtype.kind == "f"]
        steps = isinstance(top, list) and all(x.shape == leaves[0].shape for x in leaves)
        outputs += [np.stack(leaves)] if steps and leaves else leaves
    return outputs


def _nearest(y: np.ndarray, reference: Sequence[np.ndarray]) -> tuple[float, np.ndarray]:
    """The array of the cell that is nearest to an output, with axes in any order, and the error; inf if none fits."""
    y = np.asarray(y, np.float64)
    plain = [x.squeeze() for x in reference]
    turned = [x.transpose(axes) for x in plain for axes in itertools.permutations(range(x.ndim))]
    fitting = [x.reshape(y.shape) for x in turned if x.shape == y.squeeze().shape]
    pairs = [(distance(y, x), x) for x in fitting]
    return min(pairs, key=lambda pair: pair[0], default=(math.inf, y))


# -- the parameters ----------------------------------------------------------------------------------------------------


def _parameters(adapter: Adapter, cell: Cell) -> Iterator[tuple[str, Arrays]]:
    """The possible readings of the parameters, as (text, arrays by the cell's names); unchanged first."""
    floats = {name: adapter.floats[name] for name in adapter.param_names if name in adapter.floats}
    blocks = max((p.blocks or () for p in cell.params.values()), key=len)
    for text, params in _layouts_of_weights(adapter, cell, floats):
        with contextlib.suppress(ShapeError, ValueError, TypeError):
            cell.sizes(params)
            for order in itertools.permutations(blocks):
                stacked = f"gates {' '.join(order)}" if order != tuple(blocks) else ""
                yield ", ".join(filter(None, [text, stacked])), _in_order(cell, params, order)


def _layouts_of_weights(adapter: Adapter, cell: Cell, floats: Arrays) -> Iterator[tuple[str, Arrays]]:
    """The weights unchanged; transposed; or one matrix for x and h, stacked in either order."""
    mine = {plain(name): x for name, x in floats.items()}
    params = {name: mine[plain(name)] for name in cell.params if plain(name) in mine}
    params = params if len(params) == len(floats) else dict(zip(cell.params, floats.values()))
    if len(floats) == len(cell.params):
        flat = {name: np.ravel(x) if len(cell.params[name].words) == 1 else x for name, x in params.items()}
        yield "", flat
        yield "weights (out, in)", {name: x.T for name, x in flat.items()}
    matrices = [x for x in floats.values() if x.ndim == 2 and min(x.shape) > 1]
    vectors = [x for x in floats.values() if x.size == max(x.shape, default=0)]
    if list(cell.params) == ["Wx", "Wh", "b"] and len(matrices) == len(vectors) == 1 and len(floats) == 2:
        b, gates = np.ravel(vectors[0]), max(len(cell.params["b"].blocks or ()), 1)
        for text, W in (("", matrices[0]), (" (out, in)", matrices[0].T)):
            H = W.shape[-1] // gates
            yield f"one weight{text} for [h, x]", {"Wx": W[H:], "Wh": W[:H], "b": b}
            yield f"one weight{text} for [x, h]", {"Wx": W[:-H], "Wh": W[-H:], "b": b}


def _in_order(cell: Cell, params: Arrays, order: Sequence[str]) -> dict[str, np.ndarray]:
    """The parameters with their gates reordered from ``order`` to the cell's order."""
    stacked = {}
    for name, x in params.items():
        blocks = cell.params[name].blocks or ()
        gates = [gate for gate in order if gate in blocks]
        parts = dict(zip(gates, np.split(x, len(blocks), axis=-1))) if blocks else {}
        stacked[name] = np.concatenate([parts[gate] for gate in blocks], axis=-1) if blocks else x
    return stacked


# -- the inputs --------------------------------------------------------------------------------------------------------


def _references(adapter: Adapter, cell: Cell, params: Arrays) -> Iterator[tuple[str, list[np.ndarray]]]:
    """The outputs of the cell for each possible layout of the layer's inputs, as (layout, arrays)."""
    sizes = cell.sizes(params)
    arguments = [_one_array(adapter, tree, name) for name, tree in zip(adapter.arguments, adapter.trees)]
    arrays = [x for x in arguments if x is not None and x.dtype.kind == "f"]
    for layout, xs in _layouts(arrays[0], sizes.get("D", 0)) if arrays else ():
        for states in _states(adapter, cell, arrays[1:], {**sizes, "N": len(xs)}):
            yield layout, _run(cell, xs, states, params)


def _one_array(adapter: Adapter, tree: Any, name: str) -> np.ndarray | None:
    """An input as one array: a list with an array for each step is stacked. None if that is impossible."""
    leaves = [adapter.floats[leaf] for leaf, _ in paths(name, tree) if leaf in adapter.floats]
    if not leaves or any(x.shape != leaves[0].shape for x in leaves):
        return None
    return np.stack(leaves) if is_tree(tree) else leaves[0]


def _layouts(x: np.ndarray, D: int) -> Iterator[tuple[str, np.ndarray]]:
    """The possible readings of an input, as (layout, array (N, T, D)); the usual one first."""
    letters = {3: ("NTD", "TND", "DNT", "TDN", "NDT", "DTN"), 2: ("ND", "TD", "DN", "DT"), 1: ("D",)}.get(x.ndim, ())
    for axes in letters:
        if x.shape[axes.index("D")] != D:
            continue
        order = [axes.index(letter) for letter in "NTD" if letter in axes]
        missing = tuple(k for k, letter in enumerate("NTD") if letter not in axes)
        usual = axes in ("NTD", "ND")
        yield "" if usual else f"x ({', '.join(axes)})", np.expand_dims(x.transpose(order), missing)


def _states(adapter: Adapter, cell: Cell, arrays: list[np.ndarray], sizes: Mapping[str, int]) -> Iterator[Arrays]:
    """The possible initial states: those that the layer is handed; others are zeros, or arrays of that shape in it."""
    shapes = {name: tuple(length(word, sizes) for word in cell.words[name]) for name in cell.states}
    start: dict[str, np.ndarray] = {}
    for (name, shape), x in zip(shapes.items(), arrays):
        fitting = [turned for turned in (x, x.T, x[None]) if turned.shape == shape]
        if not fitting:
            return
        start[name] = fitting[0]
    zeros = {name: np.zeros(shape) for name, shape in shapes.items() if name not in start}
    yield {**zeros, **start}
    held = {name: [x for _, x in arrays_by_path(adapter.layer) if x.shape == shapes[name] and x.any()]
            for name in zeros}  # fmt: skip
    for kept in itertools.islice(itertools.product(*held.values()), 0 if not zeros else 16):
        yield {**dict(zip(zeros, kept)), **start}


def steps_of(cell: Cell, xs: Any, state: Sequence[Any], params: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """The states after each step of a cell over time."""
    for t in range(np.shape(value(xs))[1]):
        x = xs[:, t]
        if getattr(x, "node", None) is not None:
            x.name = cell.input
        new = cell(x, *state, **params)
        state = new if isinstance(new, tuple) else (new,)
        yield state


def _run(cell: Cell, xs: np.ndarray, states: Arrays, params: Arrays) -> list[np.ndarray]:
    """Each state of all steps (N, T, H), then the last states."""
    state = [np.asarray(states[name], np.float64) for name in cell.states]
    params = {name: np.asarray(x, np.float64) for name, x in params.items()}
    with np.errstate(all="ignore"):
        steps = [[np.asarray(value(x)) for x in new] for new in steps_of(cell, np.asarray(xs, float), state, params)]
    return [np.stack(arrays, axis=1) for arrays in zip(*steps)] + (steps[-1] if steps else state)
