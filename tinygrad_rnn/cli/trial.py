"""Trial runs of a user's function: the first of many inputs on which it runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..check.layers.calls import run_backward

TRIES = 2000  # of products of options; of more, the options of one argument at a time are tried


def raised_by(call: Callable[..., Any], inputs: Sequence[Any]) -> Exception | None:
    """What the user's function raises on copies of the inputs; None if it runs."""
    try:
        with np.errstate(all="ignore"):
            call(*(np.copy(x) if isinstance(x, np.ndarray) else x for x in inputs))
    except Exception as error:
        return error
    return None


def both(layer: Any) -> Callable[..., None]:
    """The forward and the backward of a layer as one function, which shows whether both run."""

    def run(*arrays: Any) -> None:
        run_backward(layer, layer.forward(*arrays))

    return run


def first_that_runs(
    options: Mapping[str, Sequence[Any]], tried: Callable[[Mapping[str, Any]], Exception | None]
) -> tuple[dict[str, Any], Exception | None]:
    """The first choice of an option for each argument that runs; else a choice and what it raises.

    Where there are too many, the option of one argument at a time is chosen that gets furthest in the source.
    """
    inputs = {argument: values[0] for argument, values in options.items()}
    error = tried(inputs)
    if math.prod(map(len, options.values())) <= TRIES:
        for values in itertools.product(*options.values()):
            if error is None:
                break
            inputs = dict(zip(options, values))
            error = tried(inputs)
        return inputs, error
    for argument in [*options, *options]:
        for value in options[argument]:
            other = tried({**inputs, argument: value})
            if error is not None and _reached(other) > _reached(error):
                inputs, error = {**inputs, argument: value}, other
    return inputs, error


def _reached(error: Exception | None) -> list[float]:
    """The lines through which an error came, the outermost first; more than any line if there is none."""
    lines, frame = list[float](), error.__traceback__ if error is not None else None
    while frame is not None:
        lines.append(frame.tb_lineno)
        frame = frame.tb_next
    return lines if error is not None else [math.inf]
