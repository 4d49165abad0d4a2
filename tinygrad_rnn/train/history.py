"""The curves of a training: rows of numbers, and their plot."""

from __future__ import annotations

import math
import os
from typing import Any

from ..figures import figure

TRAINING, VALIDATION = "#0072B2", "#D55E00"  # for colour-blind readers (Okabe and Ito 2008)


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


def _curves(axes: Any, rows: list[dict[str, Any]], ylim: tuple[float, float] | None) -> None:
    epochs = [row for row in rows if "batch" not in row]
    parts = [row for row in rows if "batch" in row] or epochs
    places = [row["epoch"] - 1 + row["batch"] / row["batches"] if "batch" in row else row["epoch"] for row in parts]
    marker = "o" if parts is epochs else None
    axes.plot(places, [row["perplexity"] for row in parts], color=TRAINING, marker=marker, lw=1, label="training")
    valid = [row for row in epochs if "valid" in row]
    if valid:
        values = [row["valid_perplexity"] for row in valid]
        axes.plot([row["epoch"] for row in valid], values, color=VALIDATION, marker="s", label="validation")
    axes.set(xlabel="epoch", ylabel="perplexity")
    shown = [row["perplexity"] for row in parts] + [row["valid_perplexity"] for row in valid]
    if ylim:
        axes.set_ylim(*ylim)
    elif shown and max(shown) > 10 * min(shown):
        axes.set_yscale("log")
    lr = [row["lr"] for row in parts]
    if shown and min(lr) < max(lr):
        rate = axes.twinx()
        rate.plot(places, lr, color="gray", linestyle=":", lw=1)
        rate.spines["right"].set_visible(True)
        rate.set(ylabel="learning rate (dotted)", yscale="log")
    if shown:
        axes.legend(frameon=False)
