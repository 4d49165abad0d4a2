"""Functions as a layer without parameters: all arguments of the forward are inputs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

SELF = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
ANY = inspect.Signature([inspect.Parameter("dys", inspect.Parameter.VAR_POSITIONAL)])


def functions_as_layer(
    forward: Callable[..., tuple[Any, Any]], backward: Callable[..., Any], sources: Sequence[Callable[..., Any]],
    inputs: inspect.Signature, dys: inspect.Signature = ANY, name: str = "",
) -> Any:  # fmt: skip
    """A layer whose forward and backward call two functions.

    ``forward(*inputs)`` returns the outputs and what it saves. ``backward(saved, *dys)`` returns the gradients by the
    inputs. ``sources`` are the user's functions behind them. The layer has the name of the first of them.
    """

    def run(self: Any, *arrays: Any) -> Any:
        outputs, self.saved = forward(*arrays)
        return outputs

    def back(self: Any, *cotangents: Any) -> Any:
        return backward(self.saved, *cotangents)

    for method, signature in ((run, inputs), (back, dys)):
        method.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[SELF, *signature.parameters.values()])  # fmt: skip
    layer = type(name or getattr(sources[0], "__name__", "function"), (), {"forward": run, "backward": back})()
    layer.params, layer.grads, layer.user_functions = [], [], list(sources)
    return layer
