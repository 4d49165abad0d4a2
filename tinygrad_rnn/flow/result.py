"""What was found, as plain data, and what it comes to in words."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

TENFOLD = math.log(10.0)  # a norm that changes by less, over all steps and over 20 of them, is steady
SPAN = 20


@dataclass
class Layer:
    """The steps of one cell: a layer, or one direction of it. All lists are in the order in which the steps ran.

    ``times``: the places of the steps on the time axis, which a reversed layer goes through backwards.
    ``states``: ‖dh_t‖ by the name of the state, dh_t the gradient by the state after step t, over all paths and all of
    the batch; ``initial`` the same of the states before the first step that need a gradient.
    ``gates``: the share, 0 to 1, of each gate's elements that are saturated.
    ``weights``: ‖dWx_t‖, step t's part of the gradient by each weight; ``gradients``: the norm of their sum.
    ``jacobian``: the spectral radius of ∂(states after step t)/∂(states before it) in batch row 0; None if left out.
    ``carried``: the states that the next step uses; the verdict is about those.
    ``nan``: the steps, counted as in the lists, after which the gradient by a state *is* NaN, by the state's name. Any
    other NaN is a number that cannot be known.
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

    @property
    def rates(self) -> dict[str, float]:
        """The factor by which the norm changes with each step back, by state: a line through its logarithm."""
        return {name: rate(self.states[name]) for name in self.carried}

    @property
    def strongest(self) -> str | None:
        """The state by which most of the gradient gets back."""
        known = {name: one for name, one in self.rates.items() if not math.isnan(one)}
        return max(known, key=lambda name: known[name], default=None)

    @property
    def verdict(self) -> str:
        """How the norm of the strongest state changes: "vanishing" or "exploding" if tenfold, else "steady"; "unknown".

        That is, over as many steps as there are, but at least 20: a factor of 0.89 or 1.12 with each step.
        """
        if self._broken(math.isinf):
            return "exploding"
        if self.strongest is None or self._broken(math.isnan):
            return "unknown"
        change = math.log(self.rates[self.strongest]) * max(self._back(self.strongest), SPAN)
        return "vanishing" if change < -TENFOLD else "exploding" if change > TENFOLD else "steady"

    def _back(self, name: str) -> int:
        """How many steps the gradient goes back: from the newest step that it reaches to the first one."""
        return max((t for t, one in enumerate(self.states[name]) if one != 0), default=0)

    def _broken(self, is_so: Callable[[float], bool]) -> list[str]:
        """Which gradients by states that are carried on are NaN or infinite, and where first on the way back."""
        found = []
        for name in self.carried:
            steps = [t for t, one in enumerate(self.states[name]) if math.isinf(one) or t in self.nan.get(name, ())]
            if steps and is_so(at := self.states[name][steps[-1]]):
                what = "NaN" if math.isnan(at) else "inf"
                more = f", and at {len(steps) - 1} more on the way back" if len(steps) > 1 else ""
                found.append(f"‖d{name}‖ is {what} after step {self.times[steps[-1]]}{more}")
        return found

    @property
    def sentence(self) -> str:
        """The verdict, with its numbers."""
        name, broken = self.strongest, self._broken(lambda one: not math.isfinite(one))
        if broken:
            return f"{self.name}: {self.verdict}: {'; '.join(broken)}"
        if name is None:
            return f"{self.name}: unknown: fewer than two steps have a gradient by a state that is carried on"
        steps, others = self._back(name), [one for one in self.carried if one != name]
        more = "".join(f"; ‖d{one}‖ by {self.rates[one]:.3g}" for one in others)
        rate = self.rates[name]
        total = math.exp(min(math.log(rate) * steps, 700.0))
        return (f"{self.name}: {self.verdict}: ‖d{name}‖ changes by a factor of {rate:.3g} with each step back, "
                f"of {total:.2g} over {steps}{more}")  # fmt: skip


@dataclass
class Flow:
    """What `gradient_flow` found, as plain data: it keeps no array and no graph.

    ``layers``: one `Layer` for every cell and direction, in the order in which they began. ``truncation[k]``: the
    cosine of the gradient by all weights, had the states been detached before every k-th step, to the full one.
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
        """For a terminal: one line a step, 40 steps of a layer at most, and the verdicts in words."""
        from .table import table

        return table(self)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """A matplotlib Figure, written to ``path`` if one is given (.svg, .png, .pdf); needs no display.

        For every layer the norms on a logarithmic axis, saturation and the parts of the weight gradients, then what
        truncation keeps. Equal flows give equal SVG files.
        """
        from .plot import plot

        return plot(self, path)

    def to_json(self) -> str:
        """Everything, as JSON; a number that JSON has no word for is null."""
        data = asdict(self)
        for one, layer in zip(data["layers"], self.layers):
            one |= {"rates": layer.rates, "verdict": layer.verdict, "sentence": layer.sentence}
        text = json.dumps(_plain(data), ensure_ascii=False, indent=1)
        return text.encode("utf-8", "backslashreplace").decode()  # half of a surrogate pair is written as JSON has it

    def __str__(self) -> str:
        return self.table()


def rate(norms: list[float]) -> float:
    """The factor with each step back: e to the slope of the line through ln ‖dh_t‖, by least squares.

    Steps that no gradient reaches are left out, as are infinite ones; NaN if fewer than two are left.
    """
    points = [(-t, math.log(one)) for t, one in enumerate(norms) if 0 < one < math.inf]
    if len(points) < 2:
        return math.nan
    t, height = np.array(points).T
    t = t - t.mean()
    return math.exp(float(t @ height / (t @ t)))


def _plain(x: Any) -> Any:
    if isinstance(x, dict):
        return {str(key): _plain(one) for key, one in x.items()}
    if isinstance(x, list):
        return [_plain(one) for one in x]
    return None if isinstance(x, float) and not math.isfinite(x) else x
