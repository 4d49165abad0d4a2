"""Training: any model with a loss, any batches, epoch after epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ..optim import ASGD, Optimizer
from .arguments import check_batches, check_numbers, check_optimizer
from .console import Console
from .history import History
from .loop import Loop
from .losses import Loss
from .progress import Position, Progress


def fit(
    model: Any,
    batches: Any,
    optimizer: Optimizer,
    *,
    loss: Callable[..., Any] | None = None,
    epochs: int = 1,
    max_norm: float | None = None,
    schedule: Any = None,
    valid: Iterable[Any] | None = None,
    patience: int | None = None,
    report: Callable[[Progress], None] | bool = True,
    after_epoch: Callable[[dict[str, Any]], None] = lambda row: None,
    start: Position | None = None,
    history: History | None = None,
    best: Any = None,
) -> History:
    """Train ``model`` on ``batches`` and return the `History` of it. Equal to::

        state = None
        for epoch in range(epochs):
            for batch in batches:                            # or batches.epoch(epoch), if it has that
                optimizer.zero_grad()
                loss, state = model.loss(*batch, detach(state))  # or without a state
                loss.backward()
                clip_grad_norm(optimizer, max_norm)
                optimizer.step()
                schedule.step()

    ``batches`` is iterated over once an epoch and has a length; a batch is a tuple of arrays, inputs first, targets
    second. ``loss`` is by default ``model.loss``; if it has a parameter ``state``, the detached state is carried from
    batch to batch, through all epochs (truncated BPTT). ``max_norm=None`` does not clip.

    After an epoch the mean loss over the batches ``valid`` is measured in evaluation mode. A ``schedule`` that
    ``needs_metric`` gets the perplexity then: `ReduceOnPlateau` is the book's lr / 4 when validation is no better.
    With ``valid``, the best weights are kept and are loaded at the end. ``patience=k`` ends the training after k epochs
    that are no better. An optimiser that averages, `ASGD`, begins after the first epoch that is no better; from then on
    the averages are validated and kept (Merity et al. 2018).

    ``report(progress)`` is called after every batch; True shows a bar on a terminal, and a line every ten seconds
    elsewhere; False shows nothing. ``after_epoch(row)`` gets the new row of the history, and may add to it. An
    exception that they raise ends the training between two batches.

    To continue an earlier training, ``start=progress.position`` is the last that was reported, and ``history`` that of
    the earlier one; the optimiser, the schedule and the model are as they were. ``best`` keeps the best weights
    elsewhere than in memory, by its methods ``keep(model, row)`` and ``restore(model)``.

    Raises NumericalError, a FloatingPointError, for a loss or a gradient that is not finite, before it changes a
    parameter; it names the operation and the time step. Before the first batch, raises InvalidType for batches that can
    be iterated over only once, and for what is no optimiser or schedule; InvalidValue for an optimiser of another
    model, a schedule of another optimiser, numbers out of range, and a ``start`` that is not in the epoch.
    """
    check_batches(batches, valid)
    check_numbers(epochs, max_norm, patience)
    check_optimizer(model, optimizer, schedule)
    loop = Loop(model, batches, optimizer, Loss(loss or model.loss), epochs, max_norm, schedule,
                Position() if start is None else start, History() if history is None else history)  # fmt: skip
    keeper = best or (Best() if valid is not None else None)
    with Console(report) as console:
        while loop.place.epoch < epochs and not loop.stale(patience):
            for progress in loop.batches_of_epoch():
                console.batch(progress)
            with averaged(optimizer):
                row = loop.end_epoch(valid)
                if keeper and loop.history.best is row:
                    keeper.keep(model, row)
            if loop.history.best is not row:
                begin_average(optimizer)
            console.epoch(row)
            after_epoch(row)
    if keeper:
        keeper.restore(model)
    return loop.history


def averaged(optimizer: Optimizer) -> AbstractContextManager[None]:
    """Inside, the parameters are the averages of an optimiser that has them."""
    return optimizer.averaged() if isinstance(optimizer, ASGD) else nullcontext()


def begin_average(optimizer: Optimizer) -> None:
    """Let an optimiser that averages begin, unless it has begun."""
    if isinstance(optimizer, ASGD) and optimizer.t0 < 0:
        optimizer.trigger()


class Best:
    """The best weights of a training, in memory."""

    def __init__(self) -> None:
        self.weights: dict[str, Any] | None = None

    def keep(self, model: Any, row: dict[str, Any]) -> None:
        """Copy the weights; ``row`` is that of the history."""
        self.weights = model.state_dict()

    def restore(self, model: Any) -> None:
        """Load the weights that were kept, if there are any."""
        if self.weights is not None:
            model.load_state_dict(self.weights)
