"""The curves of a training: rows of numbers, and their plot."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

from ..errors import InvalidValue
from ..figures import figure

#: for colour-blind readers (Okabe and Ito 2008)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
TRAINING, VALIDATION = COLOURS[:2]
MARKERS = "sov^Dx"


class History:
    """What `fit` measured, as a list of dicts that JSON can hold.

    A row with ``batch`` has the means over the last batches of training; a row without it those of a whole epoch:

    ``loss``, ``perplexity`` (its exp), ``valid`` (mean loss of the validation) and ``valid_perplexity``, ``norm`` (mean
    norm of the gradients before clipping), ``lr``, ``targets`` (their number), ``saturated`` (share by gate),
    ``seconds`` and ``tokens_per_second``.
    """

    def __init__(self, rows: list[dict[str, Any]] | None = None):
        self.rows: list[dict[str, Any]] = [] if rows is None else rows

    @property
    def epochs(self) -> list[dict[str, Any]]:
        """The rows of complete epochs."""
        return [row for row in self.rows if "batch" not in row]

    @property
    def best(self) -> dict[str, Any] | None:
        """The row of the epoch with the lowest validation loss (training loss without validation), the first of equals.

        None before the first complete epoch.
        """
        return min(self.epochs, key=metric, default=None)

    def plot(self, path: str | os.PathLike[str] | None = None, *, ylim: tuple[float, float] | None = None) -> Any:
        """A matplotlib Figure of training and validation perplexity over epochs, and of the learning rate if it varies.

        It is also written to ``path`` if given, as SVG, PNG or PDF by its ending. ``ylim`` limits the perplexity. The
        axis is logarithmic if the perplexities span more than a factor of 10. Raises MissingDependency without
        matplotlib.
        """
        with figure(7, 4.5, path) as drawn:
            _curves(drawn.subplots(), self.rows, ylim)
        return drawn

    def __repr__(self) -> str:
        best = self.best
        return f"History({len(self.epochs)} epochs" + (f", best in epoch {best['epoch']})" if best else ")")


def metric(row: dict[str, Any]) -> float:
    """The loss by which an epoch is judged: that of the validation if there is one, else that of the training."""
    value: float = row.get("valid", row["loss"])
    return value if math.isfinite(value) else math.inf


def exp(loss: float) -> float:
    """The perplexity of a mean loss; of a loss above 700, which would overflow, that of 700."""
    return math.exp(min(loss, 700.0))


def plot_histories(
    histories: Mapping[str, History],
    path: str | os.PathLike[str] | None = None,
    *,
    ylim: tuple[float, float] | None = None,
) -> Any:
    """A matplotlib Figure of the perplexities of several trainings over epochs, to compare them.

    Each history has a colour: a thin line of the training perplexity, and the validation perplexity of each epoch as a
    line with marks. ``path``, ``ylim`` and the axis are those of `History.plot`. Raises InvalidValue for a history
    without a row.
    """
    for name, history in histories.items():
        if not history.rows:
            raise InvalidValue(f"plot_histories: {name} has no rows, should have at least one")
    with figure(7, 4.5, path) as drawn:
        axes, shown = drawn.subplots(), []
        for k, (name, history) in enumerate(histories.items()):
            color, places, parts = COLOURS[k % len(COLOURS)], *_parts(history.rows)
            valid = [row for row in history.epochs if "valid" in row]
            training = [row["perplexity"] for row in parts]
            values = [row["valid_perplexity"] for row in valid]
            axes.plot(places, training, color=color, lw=0.7, label=None if valid else f"{name} (training)")
            if valid:
                axes.plot([row["epoch"] for row in valid], values, color=color, marker=MARKERS[k % len(MARKERS)],
                          label=name)  # fmt: skip
            shown += training + values
        axes.set(xlabel="epoch", ylabel="validation perplexity (thin: training)")
        _scale(axes, shown, ylim)
        axes.legend()
    return drawn


def _curves(axes: Any, rows: list[dict[str, Any]], ylim: tuple[float, float] | None) -> None:
    epochs = [row for row in rows if "batch" not in row]
    places, parts = _parts(rows)
    marker = "o" if parts == epochs else None
    axes.plot(places, [row["perplexity"] for row in parts], color=TRAINING, marker=marker, lw=1, label="training")
    valid = [row for row in epochs if "valid" in row]
    if valid:
        values = [row["valid_perplexity"] for row in valid]
        axes.plot([row["epoch"] for row in valid], values, color=VALIDATION, marker="s", label="validation")
    axes.set(xlabel="epoch", ylabel="perplexity")
    shown = [row["perplexity"] for row in parts] + [row["valid_perplexity"] for row in valid]
    _scale(axes, shown, ylim)
    lr = [row["lr"] for row in parts]
    if shown and min(lr) < max(lr):
        rate = axes.twinx()
        rate.plot(places, lr, color="gray", linestyle=":", lw=1)
        rate.spines["right"].set_visible(True)
        rate.set(ylabel="learning rate (dotted)", yscale="log")
    if shown:
        axes.legend(frameon=False)


def _parts(rows: list[dict[str, Any]]) -> tuple[list[float], list[dict[str, Any]]]:
    """The rows of the training, of batches or else of epochs, and their places on the axis of epochs."""
    parts = [row for row in rows if "batch" in row] or rows
    places = [row["epoch"] - 1 + row["batch"] / row["batches"] if "batch" in row else row["epoch"] for row in parts]
    return places, parts


def _scale(axes: Any, shown: list[float], ylim: tuple[float, float] | None) -> None:
    """Set the range of the perplexity, and a logarithmic axis where it spans more than a factor of 10."""
    if ylim:
        axes.set_ylim(*ylim)
    elif shown and max(shown) > 10 * min(shown):
        axes.set_yscale("log")
