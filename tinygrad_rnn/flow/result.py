"""The result of `gradient_flow` as plain data, and its verdict in words."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

TENFOLD = math.log(10.0)  # a norm that changes by less, over all steps and over SPAN steps, is steady
SPAN = 20


@dataclass
class Layer:
    """The steps of one cell: a layer, or one direction of it. All lists are in the order in which the steps ran.

    ``times``: the places of the steps on the time axis, which a reversed layer goes through backwards.
    ``states``: ‖dh_t‖ by the name of the state; dh_t is the gradient by the state after step t, over all paths and the
    whole batch. ``initial``: the norms for the states before the first step that need a gradient.
    ``gates``: the share, 0 to 1, of each gate's elements that are saturated.
    ``weights``: ‖dWx_t‖, step t's part of the gradient by each weight; ``gradients``: the norm of their sum.
    ``jacobian``: the spectral radius of ∂(states after step t)/∂(states before it) in batch row 0; None if left out.
    ``singular``: the singular values of that matrix, the largest first: by how much a step stretches a gradient at most
    and at least. The radius decides over many steps, the largest singular value bounds a single one.
    ``slopes``: the mean slope dy/dx of each gate's elements, such as 1 - y² of tanh.
    ``carried``: the states that the next step uses; the verdict is about them.
    ``nan``: the steps, as indices of the lists, after which the gradient by a state *is* NaN, by the state's name. Any
    other NaN is a number that is unknown.
    """

    name: str
    times: list[int]
    states: dict[str, list[float]]
    initial: dict[str, float]
    gates: dict[str, list[float]]
    weights: dict[str, list[float]]
    gradients: dict[str, float]
    jacobian: list[float] | None
    carried: list[str]
    nan: dict[str, list[int]] = field(default_factory=dict)
    slopes: dict[str, list[float]] = field(default_factory=dict)
    singular: list[list[float]] | None = None

    @property
    def rates(self) -> dict[str, float]:
        """The factor by which the norm changes with each step back, by state: a line through its logarithm."""
        return {name: rate(self.states[name]) for name in self.carried}

    @property
    def strongest(self) -> str | None:
        """The state whose gradient keeps most of its norm on the way back; None if no rate is known."""
        known = {name: rate for name, rate in self.rates.items() if not math.isnan(rate)}
        return max(known, key=lambda name: known[name], default=None)

    @property
    def verdict(self) -> str:
        """How the norm of the strongest state changes: "vanishing" or "exploding" if tenfold, else "steady".

        The change is over all steps, but at least 20: a factor of 0.89 or 1.12 with each step. "unknown" where
        gradients are NaN, or fewer than two steps have one.
        """
        if self._broken(math.isinf):
            return "exploding"
        if self.strongest is None or self._broken(math.isnan):
            return "unknown"
        change = math.log(self.rates[self.strongest]) * max(self._back(self.strongest), SPAN)
        return "vanishing" if change < -TENFOLD else "exploding" if change > TENFOLD else "steady"

    def _back(self, name: str) -> int:
        """How many steps the gradient goes back: from the newest step that it reaches to the first step."""
        return max((t for t, norm in enumerate(self.states[name]) if norm != 0), default=0)

    def _broken(self, is_so: Callable[[float], bool]) -> list[str]:
        """A text for each carried state whose gradient is NaN or infinite: where first on the way back."""
        texts = []
        for name in self.carried:
            steps = [t for t, norm in enumerate(self.states[name]) if math.isinf(norm) or t in self.nan.get(name, ())]
            if steps and is_so(at := self.states[name][steps[-1]]):
                what = "NaN" if math.isnan(at) else "inf"
                more = f", and at {len(steps) - 1} more on the way back" if len(steps) > 1 else ""
                texts.append(f"‖d{name}‖ is {what} after step {self.times[steps[-1]]}{more}")
        return texts

    @property
    def sentence(self) -> str:
        """The verdict, with its numbers."""
        name, broken = self.strongest, self._broken(lambda norm: not math.isfinite(norm))
        if broken:
            return f"{self.name}: {self.verdict}: {'; '.join(broken)}"
        if name is None:
            return f"{self.name}: unknown: fewer than two steps have a gradient by a state that is carried on"
        steps, others = self._back(name), [state for state in self.carried if state != name]
        more = "".join(f"; ‖d{state}‖ by {self.rates[state]:.3g}" for state in others)
        rate = self.rates[name]
        total = math.exp(min(math.log(rate) * steps, 700.0))
        return (f"{self.name}: {self.verdict}: ‖d{name}‖ changes by a factor of {rate:.3g} with each step back, "
                f"of {total:.2g} over {steps}{more}")  # fmt: skip


@dataclass
class Flow:
    """The result of `gradient_flow` as plain data: it keeps no array and no graph.

    ``layers``: a `Layer` for every cell and direction, in the order in which they began. ``truncation[k]``: the cosine
    between the full gradient by all weights, and that gradient with the states detached before every k-th step.
    """

    title: str
    layers: list[Layer]
    truncation: dict[int, float]
    notes: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> dict[str, str]:
        """The verdict on each layer by its name."""
        return {layer.name: layer.verdict for layer in self.layers}

    def table(self) -> str:
        """A text for a terminal: one line a step, at most 40 steps of a layer, and the verdicts in words."""
        from .table import table

        return table(self)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """A matplotlib Figure, written to ``path`` if one is given (.svg, .png, .pdf); needs no display.

        It shows for every layer the norms on a logarithmic axis, the saturation and the mean slopes of the gates, the
        parts of the weight gradients, and the Jacobians, then the cosines of truncation.
        Equal flows give equal SVG files. Raises MissingDependency without matplotlib.
        """
        from .plot import plot

        return plot(self, path)

    def to_json(self) -> str:
        """The whole flow as JSON; NaN and infinite numbers, which JSON lacks, are null."""
        data = asdict(self)
        for fields, layer in zip(data["layers"], self.layers):
            fields |= {"rates": layer.rates, "verdict": layer.verdict, "sentence": layer.sentence}
        text = json.dumps(_plain(data), ensure_ascii=False, indent=1)
        return text.encode("utf-8", "backslashreplace").decode()  # half of a surrogate pair is written as JSON has it

    def __str__(self) -> str:
        return self.table()


def rate(norms: list[float]) -> float:
    """The factor with each step back: e to the slope of the line through ln ‖dh_t‖, by least squares.

    Steps without a gradient, or with an infinite one, are left out; NaN if fewer than two steps are left.
    """
    points = [(-t, math.log(norm)) for t, norm in enumerate(norms) if 0 < norm < math.inf]
    if len(points) < 2:
        return math.nan
    t, height = np.array(points).T
    t = t - t.mean()
    return math.exp(float(t @ height / (t @ t)))


def _plain(x: Any) -> Any:
    if isinstance(x, dict):
        return {str(key): _plain(entry) for key, entry in x.items()}
    if isinstance(x, list):
        return [_plain(entry) for entry in x]
    return None if isinstance(x, float) and not math.isfinite(x) else x
