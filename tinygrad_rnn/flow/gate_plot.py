"""Gate values as a picture: for each gate its units over the words, and its mean."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..figures import figure
from .plot import shown

if TYPE_CHECKING:
    from .gate_values import GateValues


def plot(seen: GateValues, words: Sequence[str], path: str | os.PathLike[str] | None, row: int) -> Any:
    """A matplotlib Figure of batch row ``row``, which is also written to ``path`` if given."""
    units = {name: values[row].reshape(len(words), -1) for name, values in seen.gates.items()}
    means = seen.by_step(row)
    order = np.argsort(-np.nan_to_num(next(iter(units.values())).mean(axis=0)), kind="stable")
    with figure(max(5.0, 0.42 * len(words) + 2.2), 1.5 * len(units) + 1.0, path) as drawn:
        axes = drawn.subplots(len(units), 1, squeeze=False, sharex=True)[:, 0]
        for ax, (name, values) in zip(axes, units.items()):
            sortable = values.shape[1] == len(order)
            _panel(ax, name, values[:, order] if sortable else values, seen.limits[name], means[name])
        axes[-1].set_xticks(range(len(words)), [shown(word, 16) for word in words], rotation=45, ha="right",
                            rotation_mode="anchor")  # fmt: skip
        drawn.suptitle(f"gates of {shown(seen.cell, 80)}: a row for each unit, means below", fontsize=10)
    return drawn


def _panel(ax: Any, name: str, values: np.ndarray, limits: tuple[float, float] | None, means: np.ndarray) -> None:
    """The units of a gate (T, H) as colours between its limits, with its mean at every step."""
    known = values[np.isfinite(values)]
    low, high = limits or (float(known.min(initial=0.0)), float(known.max(initial=1.0)))
    signed = low < 0
    image = ax.imshow(values.T, aspect="auto", vmin=low, vmax=high, cmap="RdBu_r" if signed else "cividis",
                      interpolation="nearest")  # fmt: skip
    ax.set_ylabel(shown(name, 20), rotation=0, ha="right", va="center")
    ax.set_yticks([])
    for t, mean in enumerate(means):
        if np.isfinite(mean):
            ax.text(t, values.shape[1] - 0.3, f"{mean:.2f}".replace("0.", "."), ha="center", va="top", fontsize=6.5)
    ax.tick_params(axis="x", length=0, pad=10)
    ax.figure.colorbar(image, ax=ax, ticks=[low, (low + high) / 2, high], pad=0.01, aspect=8)
