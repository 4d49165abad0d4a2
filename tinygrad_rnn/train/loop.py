"""The loop of `fit`: it trains, and returns numbers; it neither prints nor keeps weights."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..engine.debug import trace_nans
from ..engine.tensor import Tensor, detach
from ..errors import InvalidType, InvalidValue, NanError, NumericalError
from ..optim import Optimizer, clip_grad_norm
from .evaluate import mean_loss
from .history import History, exp, metric
from .losses import Loss, targets_in
from .progress import Meter, Position, Progress

EVERY = 20  #: batches of a row of the history: the book's ``eval_interval``


class Loop:
    """The loop of `fit`, which does not print and keeps no weights."""

    def __init__(self, model: Any, batches: Any, optimizer: Optimizer, loss: Loss, epochs: int, max_norm: float | None,
                 schedule: Any, start: Position, history: History):  # fmt: skip
        self.model, self.batches, self.optimizer, self.loss = model, batches, optimizer, loss
        self.epochs, self.max_norm, self.schedule, self.history = epochs, max_norm, schedule, history
        self.place = Position(**vars(start))
        self.meter = Meter()
        if not 0 <= start.batch <= len(batches):
            raise InvalidValue(f"fit: start is after batch {start.batch}, should be from 0 to {len(batches)}")

    def stale(self, patience: int | None) -> bool:
        """Have the last ``patience`` epochs been no better than the best before them?"""
        best = self.history.best
        return patience is not None and best is not None and self.place.epoch - best["epoch"] >= patience

    def batches_of_epoch(self) -> Iterator[Progress]:
        """Train on the batches of the epoch that are left; yields the progress after each."""
        place, count = self.place, len(self.batches)
        batches = self.batches.epoch(place.epoch) if hasattr(self.batches, "epoch") else self.batches
        getattr(self.model, "train", lambda: None)()
        self.meter = Meter()
        for batch in itertools.islice(batches, place.batch, None):
            value, norm, lr = self.step(batch)
            targets = targets_in(batch)
            place.batch, place.targets = place.batch + 1, place.targets + targets
            place.loss, place.norm = place.loss + value * targets, place.norm + norm
            loss, speed, each = self.meter.add(value, targets)
            if place.batch % EVERY == 0 or place.batch == count:
                self.add_row(lr, speed)
            left = (self.epochs - place.epoch) * count - place.batch
            yield Progress(place.epoch + 1, self.epochs, place.batch, count, loss, exp(loss), speed, norm, lr,
                           left * each, Position(**vars(place)))  # fmt: skip
        if place.batch != count:
            what = f"batches gave {place.batch} in epoch {place.epoch + 1}, should give len(batches) = {count}"
            raise InvalidValue(f"fit: {what} each time that it is iterated over")

    def step(self, batch: Any) -> tuple[float, float, float]:
        """One step of the optimiser; returns the loss, the norm of the gradients, and the learning rate."""
        draws = generator_states(self.model)
        before, lr = self.place.state, self.optimizer.lr
        self.optimizer.zero_grad()
        loss, state = self.loss(batch, before)
        value = float(loss)
        if not isinstance(loss, Tensor):
            what = f"loss returned a {type(loss).__name__}, should return a Tensor computed by the model"
            raise InvalidType(f"fit: {what}; it is called as loss(*batch)")
        if not math.isfinite(value):
            raise self.diagnosed(f"the loss is {value}", batch, before, draws)
        loss.backward()
        try:
            norm = clip_grad_norm(self.optimizer, self.max_norm or math.inf)
        except NumericalError as error:
            raise self.diagnosed(str(error).removeprefix("clip_grad_norm: "), batch, before, draws) from None
        self.optimizer.step()
        if self.schedule is not None and getattr(self.schedule, "per_step", True):
            self.schedule.step()
        self.place.state = detach(state)
        return value, norm, lr

    def diagnosed(self, what: str, batch: Any, state: Any, draws: dict[str, Any]) -> NumericalError:
        """The error, with the operation that made the number: the batch is run again with the same random numbers."""
        restore_generators(self.model, draws)
        where = f"fit: {what}, in epoch {self.place.epoch + 1}, batch {self.place.batch + 1}"
        try:
            with trace_nans():
                self.loss(batch, state)[0].backward()
        except NanError as error:
            where = f"{where}: {error}"
        restore_generators(self.model, draws)
        return NumericalError(f"{where}; a smaller learning rate or max_norm may help")

    def add_row(self, lr: float, speed: float) -> None:
        """Append a row for the batches since the last row."""
        place, mean = self.place, self.place.loss / max(self.place.targets, 1)
        batches = place.batch - next((row.get("batch", 0) for row in reversed(self.history.rows)), 0)
        self.history.rows.append({
            "epoch": place.epoch + 1, "batch": place.batch, "batches": len(self.batches), "loss": mean,
            "perplexity": exp(mean), "norm": place.norm / batches, "lr": lr, "targets": place.targets,
            "tokens_per_second": speed,
        })  # fmt: skip
        place.loss, place.targets, place.norm = 0.0, 0, 0.0

    def end_epoch(self, valid: Iterable[Any] | None) -> dict[str, Any]:
        """Measure the validation, append the row of the epoch, and step the schedule; returns the row."""
        parts = [row for row in self.history.rows if row["epoch"] == self.place.epoch + 1]
        targets = sum(row["targets"] for row in parts)
        mean = sum(row["loss"] * row["targets"] for row in parts) / max(targets, 1)
        steps = [row["batch"] - before for row, before in zip(parts, [0, *(row["batch"] for row in parts)])]
        norm = sum(row["norm"] * n for row, n in zip(parts, steps)) / len(self.batches)
        row = {"epoch": self.place.epoch + 1, "loss": mean, "perplexity": exp(mean)}
        if valid is not None:
            row["valid"] = mean_loss(self.model, valid, self.loss.loss)
            row["valid_perplexity"] = exp(row["valid"])
            if not math.isfinite(row["valid"]):
                raise NumericalError(f"fit: the validation loss is {row['valid']}; a smaller learning rate may help")
        row |= {"norm": norm, "lr": parts[-1]["lr"], "targets": targets, "tokens_per_second": self.meter.speed()}
        self.history.rows.append(row)
        if getattr(self.schedule, "needs_metric", False):
            self.schedule.step(exp(metric(row)))
        self.place.epoch, self.place.batch = self.place.epoch + 1, 0
        return row


def generator_states(model: Any) -> dict[str, Any]:
    """The state of every random number generator in the model, by its path."""
    return {path: rng.bit_generator.state for path, rng in getattr(model, "rngs", {}).items()}


def restore_generators(model: Any, states: Mapping[str, Any]) -> None:
    """Set the generators of the model to ``states``; raises InvalidValue if these are of other generators."""
    rngs = getattr(model, "rngs", {})
    if list(rngs) != list(states):
        raise InvalidValue(f"the generators are {', '.join(states) or 'none'}, should be {', '.join(rngs) or 'none'}")
    for path, rng in rngs.items():
        rng.bit_generator.state = states[path]
