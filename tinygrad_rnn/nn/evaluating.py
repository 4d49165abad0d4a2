"""A model in evaluation mode for the time of a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..engine.context import no_grad


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """``with evaluating(model):`` nothing is dropped and no graph is recorded.

    Afterwards every module is in its mode of before, so a part that is kept in evaluation mode stays in it. A model
    without ``eval`` has one mode.
    """
    modules = getattr(model, "modules", None) or {"": model}
    modes = [(module, module.training) for module in modules.values() if hasattr(module, "training")]
    try:
        if hasattr(model, "eval"):
            model.eval()
        with no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
