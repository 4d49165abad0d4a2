"""Schedules: they set the learning rate of an optimiser as the training goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from ..engine.tensor import Tensor
from ..errors import InvalidType, InvalidValue, NumericalError
from .optimizer import Optimizer
from .params import within
from .state import exactly, number


class Schedule:
    """Base class: after t steps the learning rate is ``factor(t)`` times the initial rate of the optimiser.

    Create it after the optimiser, and call `step` after each step of the optimiser::

        schedule = optim.Cosine(optimizer, steps=epochs * len(batches))
        for batch in batches:
            ...
            optimizer.step()
            schedule.step()

    ``per_step`` says whether `step` is called without a metric, after each step of the optimiser, and ``needs_metric``
    whether it is called as ``step(metric)`` after each epoch. A subclass implements ``factor(t)``.
    """

    per_step = True
    needs_metric = False
    #: the attributes that are the state
    numbers: tuple[str, ...] = ("base", "t")

    def __init__(self, optimizer: Optimizer):
        if not isinstance(optimizer, Optimizer):
            what = f"a {type(optimizer).__name__}, should be an Optimizer"
            raise InvalidType(f"{type(self).__name__}: optimizer is {what}")
        within(type(self).__name__, "the optimizer's lr", optimizer.lr, zero=False)
        self.optimizer, self.base, self.t = optimizer, optimizer.lr, 0

    def factor(self, t: int) -> float:
        """What the initial learning rate is multiplied by after t steps."""
        raise InvalidType(f"{type(self).__name__} has no rule, should define factor(self, t)")

    def step(self, metric: float | Tensor | None = None) -> None:
        """Count a step, and set the learning rate of the next step."""
        self.advance(metric)
        self.optimizer.lr = self.base * self.factor(self.t)

    def advance(self, metric: float | Tensor | None = None) -> None:
        """Count a step, without setting the learning rate."""
        if metric is not None:
            raise InvalidType(f"{type(self).__name__}: step got a metric, should be step() after each step")
        self.t += 1

    def state_dict(self) -> dict[str, Any]:
        """The state as a flat dict of numbers."""
        return {name: getattr(self, name) for name in self.numbers}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set the state from what `state_dict` returned, and the learning rate by it.

        Raises InvalidValue if a name is missing or unknown, or a value is no number; then nothing is set.
        """
        where, wanted = f"{type(self).__name__}.load_state_dict", list(self.state_dict())
        exactly(where, wanted, state, f"exactly {', '.join(wanted)}")
        self._restore({name: number(f"{where}: {name}", state[name]) for name in wanted})
        self.optimizer.lr = self.base * self.factor(self.t)

    def _restore(self, state: Mapping[str, Any]) -> None:
        vars(self).update({name: state[name] for name in self.numbers})


class Constant(Schedule):
    """The learning rate stays as it is.  factor(t) = 1."""

    def factor(self, t: int) -> float:
        return 1.0


class StepDecay(Schedule):
    """Every so many steps the learning rate is multiplied by γ.  factor(t) = γ^⌊t / every⌋ (PyTorch's StepLR)."""

    def __init__(self, optimizer: Optimizer, every: int, gamma: float = 0.1):
        super().__init__(optimizer)
        within("StepDecay", "every", every, least=1)
        within("StepDecay", "gamma", gamma, zero=False)
        self.every, self.gamma = every, gamma

    def factor(self, t: int) -> float:
        return self.gamma ** (t // self.every)


class Cosine(Schedule):
    """Half a cosine from the first learning rate down to ``min_lr`` (Loshchilov and Hutter 2017, equation 5).

    lr(t) = min_lr + (lr(0) - min_lr) (1 + cos(π t / steps)) / 2 (PyTorch's CosineAnnealingLR); ``min_lr`` from
    ``steps`` on.
    """

    def __init__(self, optimizer: Optimizer, steps: int, min_lr: float = 0.0):
        super().__init__(optimizer)
        within("Cosine", "steps", steps, least=1)
        within("Cosine", "min_lr", min_lr)
        self.steps, self.min_lr = steps, min_lr

    def factor(self, t: int) -> float:
        least = self.min_lr / self.base
        return least + (1 - least) * (1 + math.cos(math.pi * min(t / self.steps, 1))) / 2


class WarmUp(Schedule):
    """The learning rate rises in a line from ``start`` times itself in ``steps`` steps; then ``after`` begins.

    factor(t) = start + (1 - start) t / steps for t < steps, then that of ``after`` at t - steps; 1 without ``after``.
    Equal to PyTorch's LinearLR followed by another in a SequentialLR. Use::

        schedule = optim.WarmUp(optimizer, steps=100, after=optim.Cosine(optimizer, steps=900))
    """

    def __init__(self, optimizer: Optimizer, steps: int, after: Schedule | None = None, start: float = 0.1):
        super().__init__(optimizer)
        within("WarmUp", "steps", steps, least=1)
        within("WarmUp", "start", start, below=1)
        if after is not None and after.optimizer is not optimizer:
            raise InvalidValue("WarmUp: after is a schedule of another optimizer, should be of the same")
        self.steps, self.start, self.after = steps, start, after or Constant(optimizer)
        self.needs_metric = self.after.needs_metric
        optimizer.lr = self.base * self.factor(0)

    def factor(self, t: int) -> float:
        rise = self.start + (1 - self.start) * min(t / self.steps, 1)
        return rise * self.after.factor(self.after.t)

    def advance(self, metric: float | Tensor | None = None) -> None:
        if metric is not None:
            self.after.advance(metric)
            return
        self.t += 1
        if self.t > self.steps and self.after.per_step:
            self.after.advance()

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), **{f"after.{name}": x for name, x in self.after.state_dict().items()}}

    def _restore(self, state: Mapping[str, Any]) -> None:
        super()._restore(state)
        self.after._restore({name: state[f"after.{name}"] for name in self.after.state_dict()})


class ReduceOnPlateau(Schedule):
    """The learning rate is divided when the metric is no better than its best (the book's lr / 4).

    ``step(metric)`` after each epoch, for example with the validation perplexity; less is better. After more than
    ``patience`` epochs in a row that are no better, lr ← max(lr / divide, min_lr), and the count begins anew. Equal to
    PyTorch's ReduceLROnPlateau with threshold 0. Raises NumericalError, a FloatingPointError, for a metric of NaN.
    """

    per_step, needs_metric = False, True
    numbers = ("base", "t", "best", "bad", "scale")

    def __init__(self, optimizer: Optimizer, divide: float = 4.0, patience: int = 0, min_lr: float = 0.0):
        super().__init__(optimizer)
        within("ReduceOnPlateau", "divide", divide, least=1, zero=False)
        within("ReduceOnPlateau", "patience", patience)
        within("ReduceOnPlateau", "min_lr", min_lr)
        self.divide, self.patience, self.min_lr = divide, patience, min_lr
        self.best, self.bad, self.scale = math.inf, 0, 1.0

    def factor(self, t: int) -> float:
        return self.scale

    def advance(self, metric: float | Tensor | None = None) -> None:
        if metric is None:
            raise InvalidType("ReduceOnPlateau: step got no metric, should be step(metric) after each epoch")
        if not isinstance(metric, (Real, Tensor)):
            raise InvalidType(f"ReduceOnPlateau: the metric is a {type(metric).__name__}, should be a number")
        metric = float(metric)
        if math.isnan(metric):
            raise NumericalError("ReduceOnPlateau: the metric is nan, should be a number")
        self.t += 1
        self.bad = 0 if metric < self.best else self.bad + 1
        self.best = min(self.best, metric)
        if self.bad > self.patience:
            self.scale, self.bad = max(self.scale / self.divide, min(self.scale, self.min_lr / self.base)), 0


def _warm(steps: int) -> int:
    """The steps of a warm-up: a twentieth of the run."""
    return max(1, steps // 20)


#: The schedules by name, as a command line takes them: each is called with the optimiser and the number of its steps in
#: the whole run. "step" divides by 10 after each third of the run.
SCHEDULES: dict[str, Callable[[Optimizer, int], Schedule]] = {
    "constant": lambda optimizer, steps: Constant(optimizer),
    "step": lambda optimizer, steps: StepDecay(optimizer, every=max(1, -(-steps // 3))),
    "cosine": lambda optimizer, steps: Cosine(optimizer, max(1, steps)),
    "warmup": lambda optimizer, steps: WarmUp(optimizer, _warm(steps)),
    "warmup-cosine": lambda optimizer, steps: WarmUp(
        optimizer, _warm(steps), Cosine(optimizer, max(1, steps - _warm(steps)))
    ),
    "plateau": lambda optimizer, steps: ReduceOnPlateau(optimizer),
}
