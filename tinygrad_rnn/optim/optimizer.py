"""`Optimizer`: the step, in blocks and in place, and the state of an optimiser by name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..engine.graph import clock
from ..engine.row_gradient import RowGradient, held
from ..engine.tensor import Tensor
from ..engine.versions import bump
from ..errors import InvalidType, InvalidValue
from .params import BLOCK, Parameters, blocks, named, within
from .state import exactly, like, number


class Optimizer:
    """Base class: ``step()`` changes the parameters in place by their gradients, ``zero_grad()`` clears the gradients.

    ``params`` is a dict, a list or a `Module`; ``optimizer.params`` has each parameter once, by name. A parameter
    without a gradient is left as it is. ``lr`` may be changed between steps. ``weight_decay`` λ adds λ p to the
    gradient of p; in a subclass with ``decoupled = True`` it multiplies p by 1 - lr λ before the update instead
    (Loshchilov and Hutter 2019). A backward pass through a graph recorded before a step raises MutationError, since its
    arrays have changed.

    A subclass implements ``update(self, p, g, ...)``. Its arguments after p and g name what is kept for each parameter:
    arrays that begin as zeros, and ``t``, the number of the step for this parameter, from 1.
    """

    decoupled = False
    #: the attributes that are numbers of the state
    numbers: tuple[str, ...] = ("lr",)

    def __init__(self, params: Parameters, lr: float, weight_decay: float = 0.0):
        within(type(self).__name__, "lr", lr, zero=False)
        within(type(self).__name__, "weight_decay", weight_decay)
        self.params, self.lr, self.weight_decay = named(params), lr, weight_decay
        if not self.params:
            raise InvalidValue(f"{type(self).__name__}: there are no parameters, should be at least one")
        #: what `update` keeps for each parameter, by name; created at its first step with a gradient
        self.state: dict[str, dict[str, Any]] = {name: {} for name in self.params}

    def slots(self) -> tuple[str, ...]:
        """The names of what `update` keeps for each parameter: those of its arguments after p and g."""
        return _slots(type(self).update)

    def _gradient(self, tensor: Tensor) -> Any:
        """What `step` reads of a gradient: the array. A rule that changes nothing where g is 0 may read rows."""
        return tensor.grad

    def update(self, p: np.ndarray, g: np.ndarray, *args: Any, **kept: Any) -> None:
        """Change p, a block of a parameter, in place by its gradient g and the blocks of what is kept for it.

        All have the same shape. p and the kept arrays may be changed, g may not. The rule works element by element: a
        large parameter comes in several blocks.
        """
        raise InvalidType(f"{type(self).__name__} has no update rule, should define update(self, p, g)")

    def step(self) -> None:
        """Update every parameter that has a gradient, in place."""
        slots = self.slots()
        for name, tensor in self.params.items():
            if held(tensor.node) is None:
                continue
            p, grad, state = tensor._array, self._gradient(tensor), self.state[name]
            for slot in slots if len(state) < len(slots) else ():
                state.setdefault(slot, 0 if slot == "t" else np.zeros_like(p))
            if "t" in state:
                state["t"] += 1
            if isinstance(grad, RowGradient):
                rows = p[grad.ids]
                self.update(rows, grad.values)
                p[grad.ids] = rows
            elif p.size <= BLOCK:
                self._decay_and_update(p, grad, state)
            else:
                self._in_blocks(p, grad, state)
            bump(p, clock())

    def _in_blocks(self, p: np.ndarray, g: np.ndarray, state: Mapping[str, Any]) -> None:
        """The update of a large parameter, block after block."""
        kept = {slot: array for slot, array in state.items() if slot != "t"}
        for part, grad, *parts in blocks(p, g, *kept.values()):
            self._decay_and_update(part, grad, {**state, **dict(zip(kept, parts))})

    def _decay_and_update(self, p: np.ndarray, g: np.ndarray, state: Mapping[str, Any]) -> None:
        if self.weight_decay and self.decoupled:
            p *= 1 - self.lr * self.weight_decay
        elif self.weight_decay:
            g = g + self.weight_decay * p
        self.update(p, g, **state)

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to None."""
        for tensor in self.params.values():
            if held(tensor.node) is not None:
                tensor.grad = None

    # -- the state ---------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The state as a flat dict: ``lr``, and ``W.m`` for what is kept as m for the parameter W; arrays are copies.

        With it and the parameters, another optimiser of the same options goes on bit for bit. A parameter that has had
        no gradient yet has no entries.
        """
        state: dict[str, Any] = {name: getattr(self, name) for name in self.numbers}
        for name, kept in self.state.items():
            state |= {f"{name}.{slot}": np.array(x) if isinstance(x, np.ndarray) else x for slot, x in kept.items()}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set the state from what `state_dict` returned; a number may also be an array of shape ().

        Raises InvalidValue if a name is missing or unknown, or an array has another shape or dtype; then nothing is
        set.
        """
        where, slots = f"{type(self).__name__}.load_state_dict", self.slots()
        known = {f"{name}.{slot}": (name, slot) for name in self.params for slot in slots}
        begun = [name for name in self.params if any(f"{name}.{slot}" in state for slot in slots)]
        wanted = [*self.numbers, *(key for key, (name, _) in known.items() if name in begun)]
        keeps = f"the state of {type(self).__name__}, which keeps {', '.join(slots) or 'nothing'}"
        exactly(where, wanted, state, f"{keeps} for each of {', '.join(self.params)}")
        new: dict[str, dict[str, Any]] = {name: {} for name in self.params}
        for key, (name, slot) in known.items():
            if name in begun:
                at, value, p = f"{where}: {key}", state[key], self.params[name]._array
                new[name][slot] = number(at, value) if slot == "t" else like(at, value, p)
        numbers = {name: number(f"{where}: {name}", state[name]) for name in self.numbers}
        self.state = new
        vars(self).update(numbers)


@functools.cache
def _slots(update: Callable[..., None]) -> tuple[str, ...]:
    """The names of the arguments of a rule after self, p and g."""
    return tuple(inspect.signature(update).parameters)[3:]
