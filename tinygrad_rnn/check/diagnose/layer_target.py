"""A layer as a subject: its gradients by hand beside those of a graph, its own forward's or a reference cell's.

A forward that is written in NumPy runs on Tensors as it is, unless it writes into arrays of its own (``hs[:, t] = h``)
or asks what a Tensor cannot answer. Then a cell can be named that it should be equal to; its outputs are held against
the layer's before anything is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...cells.sizes import length
from ...engine.tensor import Tensor, value
from ...errors import ShapeError
from ...tracing.sample import codes
from ..layers.adapter import Adapter
from ..layers.arguments import attributes
from ..numeric.compare import Problem
from ..numeric.inputs import by_name
from ..report import distance
from .case import Case
from .cases import moved
from .tape import Tape, taped
from .targets import Loop, Subject


class NoReference(Exception):
    """No graph to compare a layer with; the text says why."""


class LayerCase(Case):
    """A case of a layer: on which inputs, with which cotangents, and the outputs of the graph."""

    layer: Adapter
    dys: Sequence[Any]
    made: Sequence[Any]


class OfLayer(Subject):
    """A layer and what it is compared with."""

    def __init__(self, hand: Adapter, cell: Cell | None, seed: int):
        self.hand, self.cell, self.first, self.name = hand, cell, seed, type(hand.layer).__name__
        shapes = [np.shape(x) for x in hand.inputs]
        self.states = sum(np.asarray(x).dtype.kind == "f" for x in hand.inputs) > 1
        self.long = bool(shapes) and len(shapes[0]) == 3
        self.letters = ("N", "T") if self.long else ("N",)

    def case(self, seed: int, small: Mapping[str, int] | None = None, still: bool = False) -> Case:
        """A case from a seed: with the user's inputs at the first one; the first rows and steps in a smaller one."""
        rng = np.random.default_rng(seed)
        inputs = [self._cut(x, **(small or {})) for x in self.hand.inputs]
        if seed != self.first:
            inputs = [moved(x, rng) for x in inputs]
        if still:
            inputs = [x if k == 0 or np.asarray(x).dtype.kind != "f" else 0 * x for k, x in enumerate(inputs)]
        hand = self.hand.with_inputs(inputs)
        outputs = hand.run().outputs
        dys = [rng.standard_normal(np.shape(y)) for y in outputs]
        case = self._own(hand, dys) if self.cell is None else self._cells(hand, dys)
        case.layer, case.dys = hand, dys
        self._same(case, outputs)
        return case

    def _cut(self, x: Any, N: int | None = None, T: int | None = None) -> Any:
        x = x[:N] if np.ndim(x) else x
        return x[:, :T] if self.long and np.ndim(x) > 1 and T is not None else x

    def ask(self, case: Case) -> dict[str, Any]:
        assert isinstance(case, LayerCase)
        found = case.layer.gradients(case.layer.run(case.layer.floats, case.dys))
        return {f"d{name}": g for name, g in found.items()}

    def _same(self, case: LayerCase, outputs: Sequence[Any]) -> None:
        """Hold the outputs of the graph against the layer's."""
        for k, (mine, theirs) in enumerate(zip(case.made, outputs)):
            far = distance(np.asarray(value(mine)), theirs)
            if far > 1e-6:
                what = f"the cell {self.cell.name}" if self.cell else "its own forward on Tensors"
                raise NoReference(f"output {k} of forward differs from that of {what} by {far:.2g} of its size")

    # -- its own forward

    def _own(self, hand: Adapter, dys: Sequence[Any]) -> LayerCase:
        """The layer's forward on Tensors."""
        made: list[Any] = []

        def forward(**floats: Any) -> Any:
            made[:] = hand.on_tensors(floats)
            return tuple(made)

        kinds = {name: "input" if name in hand.input_names else "parameter" for name in hand.floats}
        try:
            tape, result = taped(forward, hand.floats, kinds, hand.codes(), _outputs, hand.input_names)
        except Exception as error:
            raise NoReference(f"its forward does not run on Tensors: {type(error).__name__}: {error}") from error
        if not all(isinstance(one, Tensor) and one.node is not None for one in result):
            raise NoReference("its forward writes into an array of its own, through which no gradient is recorded")
        groups = {f"d{name}": {tape.number(one): dy} for (name, one), dy in zip(_outputs(result).items(), dys)}
        return self._made(hand, tape, groups, result, False, {})

    # -- a cell

    def _cells(self, hand: Adapter, dys: Sequence[Any]) -> LayerCase:
        """The reference cell, by the names of the layer."""
        cell = self.cell
        assert cell is not None
        params = attributes(hand.layer, list(cell.params))
        mine = {id(p): name for name, p in zip(hand.param_names, hand.params)}
        names = {name: mine.get(id(p), "") for name, p in params.items()}
        if len(names) != len(cell.params) or "" in names.values():
            raise NoReference(f"its parameters {', '.join(hand.param_names)} are not those of the cell {cell.name}: "
                              f"{', '.join(cell.params)}")  # fmt: skip
        order = ["xs" if self.long else cell.input, *cell.states]
        inputs = {name: mine for name, mine in zip(order, hand.input_names) if mine in hand.floats}
        loop = Loop(cell, {}) if self.long else by_name(cell)

        def results(made: Any) -> dict[str, Any]:
            new = made[1:] if self.long else made if isinstance(made, tuple) else (made,)
            return {f"{name}'": one for name, one in zip(cell.states, new)}

        kinds = dict.fromkeys(names.values(), "parameter") | dict.fromkeys(inputs.values(), "state")
        try:
            tape, made = taped(_renamed(cell, loop, {**inputs, **names}), hand.floats, kinds, codes(cell), results,
                               [cell.input, *cell.states])  # fmt: skip
        except ShapeError as error:
            raise NoReference(f"its parameters do not fit the cell {cell.name}: {error}") from error
        made = made if isinstance(made, tuple) else (made,)
        groups = self._groups(cell, tape, loop, made, dys)
        blocks = {np.shape(params[name])[-1]: p.blocks for name, p in cell.params.items() if p.blocks}
        return self._made(hand, tape, groups, made, self.long, blocks)

    def _groups(self, cell: Cell, tape: Tape, function: Any, made: Any, dys: Sequence[Any]) -> dict[str, Any]:
        """The cotangents of the outputs that the layer has, by the values of the cell."""
        names = ["dhs"] * self.long + [f"d{name}" for name in cell.states]
        groups: dict[str, Any] = {}
        for name, one, dy in zip(names, made, dys):
            if np.shape(value(one)) != np.shape(dy):
                raise NoReference(f"its outputs are {[np.shape(dy) for dy in dys]}, those of the cell {cell.name} "
                                  f"{[np.shape(value(one)) for one in made]}")  # fmt: skip
            if name == "dhs":
                groups[name] = {tape.number(h): dy[:, t] for t, h in enumerate(function.hs)}
            else:
                groups[name] = {tape.number(one): dy}
        return groups

    def _made(self, hand: Adapter, tape: Tape, groups: Any, made: Any, timed: bool, blocks: Any) -> LayerCase:
        x = hand.inputs[0] if hand.inputs else np.zeros(1)
        counts = {"N": len(x) if np.ndim(x) else 1, "T": np.shape(x)[1] if self.long else 1}
        case = LayerCase(Given(hand, groups), tape, groups, counts, timed, blocks)
        case.made = made
        return case


def _renamed(cell: Cell, function: Any, names: Mapping[str, str]) -> Callable[..., Any]:
    """The cell as a function of arrays by the layer's ``names`` for its arguments; states that have none are zeros."""

    def forward(**floats: Any) -> Any:
        given = {theirs: floats[name] for theirs, name in names.items()}
        sizes = cell.sizes({name: given[name] for name in cell.params})
        sizes["N"] = len(next(iter(given.values())))
        for state in cell.states:
            if state not in given:
                given[state] = np.zeros([length(word, sizes) for word in cell.words[state]])
        return function(**given)

    return forward


class Given(Problem):
    """The names and arrays of a layer, as a `Case` wants them."""

    def __init__(self, hand: Adapter, groups: Mapping[str, Any]):
        self.names, self.arrays = list(hand.floats), dict(hand.floats)
        self.dys = [next(iter(group.values())) for group in groups.values()]


def _outputs(made: Any) -> dict[str, Any]:
    every = list(made) if isinstance(made, (tuple, list)) else [made]
    return dict(zip(["y"] if len(every) == 1 else [f"y{k}" for k in range(len(every))], every))
