"""Is a layer's forward that of a cell? Its outputs are held against the cell's, in every layout that people use.

Which axis is which, which way the weights lie and in what order their gates are stacked is not asked but tried: on
random numbers only the right reading gives the layer's outputs. Where none does, the forward is another one, if all
its arrays are of the cell's shapes, and cannot be compared if they are not.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...engine.pytree import flatten
from ...engine.tensor import value
from ...errors import ShapeError
from ..numeric.inputs import paths
from ..report import distance
from .adapter import Hand
from .calls import is_tree, tops
from .copies import arrays_in
from .guess_cell import attributes

SAME = 1e-5  # of the size of an output: it may have been computed in float32

Arrays = Mapping[str, np.ndarray]


@dataclass
class Forward:
    """What came of the comparison: "same", "other" or "unknown"; how it had to be read, or what differs."""

    kind: str
    text: str = ""


def compared_forward(hand: Hand, cell: Cell, result: Any) -> Forward:
    """What a layer's forward returns against what a cell does."""
    best, least, where, outputs = -1, math.inf, "", _by_output(result)
    for text, params in _parameters(hand, cell):
        for layout, reference in _references(hand, cell, params):
            firsts = reference[:: len(cell.states)]  # the first output is of the first state
            offs = [_off(y, reference if k else firsts) for k, y in enumerate(outputs)]
            fits = sum(off <= SAME for off in offs)
            if fits == len(outputs):
                return Forward("same", ", ".join(filter(None, [layout, text])))
            first = next(k for k, off in enumerate(offs) if off > SAME)
            if max(offs) < math.inf and (fits, -offs[first]) > (best, -least):
                best, least = fits, offs[first]
                where = f"output {first} of forward differs from that of the cell {cell.name} by {least:.2g}"
    if best < 0:
        shapes = ", ".join(f"{name} {x.shape}" for name, x in hand.floats.items())
        return Forward("unknown", f"forward cannot be compared with the cell {cell.name}: no reading of {shapes} gives "
                                  f"outputs of shape {', '.join(str(y.shape) for y in outputs)}")  # fmt: skip
    return Forward("other", f"{where} of its size, in every order of axes and gates")


def _by_output(result: Any) -> list[np.ndarray]:
    """The floating outputs; a list of arrays, one for each step, is one."""
    found = []
    for top in [result] if isinstance(result, list) else tops(result):
        leaves = [x for x in map(np.asarray, flatten(top)[0]) if x.dtype.kind == "f"]
        steps = isinstance(top, list) and all(x.shape == leaves[0].shape for x in leaves)
        found += [np.stack(leaves)] if steps and leaves else leaves
    return found


def _off(y: np.ndarray, reference: Sequence[np.ndarray]) -> float:
    """How far an output is from the nearest array of the cell, its axes in any order; inf where no shape fits."""
    y = np.asarray(y, np.float64).squeeze()
    plain = [x.squeeze() for x in reference]
    turned = [x.transpose(axes) for x in plain for axes in itertools.permutations(range(x.ndim))]
    return min((distance(y, x) for x in turned if x.shape == y.shape), default=math.inf)


# -- the parameters ----------------------------------------------------------------------------------------------------


def _parameters(hand: Hand, cell: Cell) -> Iterator[tuple[str, Arrays]]:
    """The parameters by the cell's names, as they may be meant, and how: those as they stand first."""
    floats = {name: hand.floats[name] for name in hand.param_names if name in hand.floats}
    for text, params in _ways(hand, cell, floats):
        try:
            cell.sizes(params)
        except (ShapeError, ValueError, TypeError):
            continue
        blocks = max((p.blocks or () for p in cell.params.values()), key=len)
        for order in itertools.permutations(blocks):
            stacked = f"gates {' '.join(order)}" if order != tuple(blocks) else ""
            yield ", ".join(filter(None, [text, stacked])), _in_order(cell, params, order)


def _ways(hand: Hand, cell: Cell, floats: Arrays) -> Iterator[tuple[str, Arrays]]:
    """As they stand; transposed; one matrix for x and h, above each other in either order."""
    given = attributes(hand.layer, list(cell.params))
    names = {id(p): name for name, p in zip(hand.param_names, hand.params)}
    mine = {name: floats[names[id(p)]] for name, p in given.items() if names.get(id(p)) in floats}
    if len(mine) == len(floats) == len(cell.params):
        flat = {name: np.ravel(x) if len(cell.params[name].words) == 1 else x for name, x in mine.items()}
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
    """The cell's order of gates, of parameters that have them in ``order``."""
    made = {}
    for name, x in params.items():
        blocks = cell.params[name].blocks or ()
        mine = [gate for gate in order if gate in blocks]
        parts = dict(zip(mine, np.split(x, len(blocks), axis=-1))) if blocks else {}
        made[name] = np.concatenate([parts[gate] for gate in blocks], axis=-1) if blocks else x
    return made


# -- the inputs --------------------------------------------------------------------------------------------------------


def _references(hand: Hand, cell: Cell, params: Arrays) -> Iterator[tuple[str, list[np.ndarray]]]:
    """What the cell gives on the layer's inputs, each reading of them: all that a layer may return of it."""
    sizes = cell.sizes(params)
    arguments = [_one_array(hand, tree, name) for name, tree in zip(hand.arguments, hand.trees)]
    arrays = [x for x in arguments if x is not None and x.dtype.kind == "f"]
    for layout, xs in _layouts(arrays[0], sizes.get("D", 0)) if arrays else ():
        for states in _states(hand, cell, arrays[1:], {**sizes, "N": len(xs)}):
            yield layout, _run(cell, xs, states, params)


def _one_array(hand: Hand, tree: Any, name: str) -> np.ndarray | None:
    """An input as one array: a list of arrays, one for each step, is stacked."""
    leaves = [hand.floats[leaf] for leaf, _ in paths(name, tree) if leaf in hand.floats]
    if not leaves or any(x.shape != leaves[0].shape for x in leaves):
        return None
    return np.stack(leaves) if is_tree(tree) else leaves[0]


def _layouts(x: np.ndarray, D: int) -> Iterator[tuple[str, np.ndarray]]:
    """An input as (N, T, D), and what it was; first the usual."""
    letters = {3: ("NTD", "TND", "DNT", "TDN", "NDT", "DTN"), 2: ("ND", "TD", "DN", "DT"), 1: ("D",)}.get(x.ndim, ())
    for word in letters:
        if x.shape[word.index("D")] != D:
            continue
        order = [word.index(letter) for letter in "NTD" if letter in word]
        missing = tuple(k for k, letter in enumerate("NTD") if letter not in word)
        usual = word in ("NTD", "ND")
        yield "" if usual else f"x ({', '.join(word)})", np.expand_dims(x.transpose(order), missing)


def _states(hand: Hand, cell: Cell, given: Sequence[np.ndarray], sizes: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """The states that the layer starts from: those it is handed, else zeros, else what it holds of that shape."""
    shapes = {name: tuple(sizes[word] for word in cell.words[name]) for name in cell.states}
    start: dict[str, Any] = {}
    for (name, shape), x in zip(shapes.items(), given):
        fitting = [turned for turned in (x, x.T, x[None]) if turned.shape == shape]
        if not fitting:
            return
        start[name] = fitting[0]
    zeros = {name: np.zeros(shape) for name, shape in shapes.items() if name not in start}
    yield {**zeros, **start}
    held = {name: [x for x in arrays_in(hand.layer) if x.shape == shapes[name] and x.any()] for name in zeros}
    for found in itertools.islice(itertools.product(*held.values()), 0 if not zeros else 16):
        yield {**dict(zip(zeros, found)), **start}


def _run(cell: Cell, xs: np.ndarray, states: Mapping[str, Any], params: Arrays) -> list[np.ndarray]:
    """Each state of all steps (N, T, H), and the last."""
    steps, state = [], [np.asarray(states[name], np.float64) for name in cell.states]
    params = {name: np.asarray(x, np.float64) for name, x in params.items()}
    with np.errstate(all="ignore"):
        for t in range(xs.shape[1]):
            new = cell(np.asarray(xs[:, t], np.float64), *state, **params)
            state = [np.asarray(value(one)) for one in (new if isinstance(new, tuple) else (new,))]
            steps.append(state)
    return [np.stack(one, axis=1) for one in zip(*steps)] + (state if steps else [])
