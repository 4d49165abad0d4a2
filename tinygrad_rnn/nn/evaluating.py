"""A model in evaluation mode for the time of a block."""

from __future__ import annotations

from typing import Any

from ..engine.context import context
from .module import Module


class evaluating:
    """``with evaluating(model):`` nothing is dropped and no graph is recorded.

    Afterwards every module is in its mode of before, so a part that is kept in evaluation mode stays in it. A model
    without ``eval`` has one mode. The modules are collected once, and the object can be entered again: a loop that
    calls the model for single tokens spends less time on it.
    """

    def __init__(self, model: Any):
        self.model, self.before = model, list[Any]()
        modules = getattr(model, "modules", None) or {"": model}
        self.modules = [module for module in modules.values() if hasattr(module, "training")]
        self.plain = getattr(type(model), "eval", None) is Module.eval

    def __enter__(self) -> None:
        self.before.append((context.recording, [module.training for module in self.modules]))
        try:
            if hasattr(self.model, "eval") and not self.plain:
                self.model.eval()
            for module in self.modules if self.plain else ():
                if module.training:
                    module.training = False
            context.recording = False
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: Any) -> None:
        context.recording, modes = self.before.pop()
        for module, training in zip(self.modules, modes):
            if module.training is not training:
                module.training = training
