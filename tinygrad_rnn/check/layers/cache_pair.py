"""A forward that returns its outputs and a cache, and the backward that takes the cache, as a layer.

out, cache = forward(x, prev_h, Wx, Wh, b)
dx, dprev_h, dWx, dWh, db = backward(dout, cache)
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from ...errors import Uncheckable
from .arguments import backward_without_cotangent, parameters, required, with_usual_names
from .functions import functions_as_layer, loss_as_layer
from .names import LIKE, METHODS, is_gradient, returned_names

CACHE = re.compile("cache|tape|saved|ctx|context|memo|residual|intermediate", re.IGNORECASE)


def cache_of(backward: Any, forward: Any = None) -> str | None:
    """The argument of a backward that is the cache, by its name; else the last variable that forward returns.

    Else the only argument that is no gradient and no input of forward: ``backward(dout, pullback)``.
    """
    names, first = required(backward), required(forward) if inspect.isfunction(forward) else []
    usual = [name for name in parameters(backward) if (word := CACHE.search(name)) and not is_gradient(name, word[0])]
    last = [name for name in returned_names(forward)[-1:] if name in parameters(backward)] if first else []
    others = [name for name in names if not LIKE.match(name)]
    alone = len(others) == 1 < len(names) and others[0] not in parameters(forward)
    clear = bool(first) and alone and (names[-1:] == others or len(first) > 1)  # (z, dy) may mean (x, dy)
    return next(iter([*usual, *last, *others[:clear]]), None)


def takes_cache(backward: Any, forward: Any = None) -> bool:
    """Does the backward take a cache from forward?"""
    return cache_of(backward, forward) is not None


def usual_layer(layer: Any) -> Any:
    """A layer with methods of other names, with ``backward(dout, cache)``, or with ``backward()`` of a loss, as usual.

    The first returns the cache from forward; the last computes gradients by the loss that forward has returned.
    """
    layer = with_usual_names(layer)
    if not all(hasattr(layer, name) for name in METHODS) or isinstance(layer, type):
        return layer
    if inspect.ismethod(layer.forward) and backward_without_cotangent(layer) == "backward":
        return loss_as_layer(layer.forward, type(layer).__name__)
    handed = any(CACHE.search(name) for name in required(layer.backward))
    return pair_as_layer(layer.forward, layer.backward, type(layer).__name__) if handed else layer


def pair_as_layer(forward: Any, backward: Any, name: str = "") -> Any:
    """The two functions, or methods of an object, as a layer: all arguments of forward are inputs.

    backward may take them too, by their names.
    """
    names, cache, count = list(parameters(forward)), cache_of(backward, forward), int(inspect.ismethod(forward))
    call, pull = (getattr(function, "__func__", function) for function in (forward, backward))

    def run(*inputs: Any) -> Any:
        result, owner, handed = call(*inputs), inputs[:count], dict(zip(names, inputs[count:]))
        if cache is None:
            return result, (owner, handed)
        if not isinstance(result, tuple) or len(result) < 2:
            raise Uncheckable(f"check_backward: forward returns a {type(result).__name__}, should be out, cache: "
                              f"backward({', '.join(parameters(backward))}) takes a cache")  # fmt: skip
        *outputs, saved = result
        return outputs[0] if len(outputs) == 1 else tuple(outputs), (owner, {**handed, cache: saved})

    def back(saved: Any, *dys: Any) -> Any:
        (owner, handed), rest = saved, list(dys)
        args = [handed[key] if key in handed else rest.pop(0) for key in parameters(backward) if key in handed or rest]
        return pull(*owner, *args, *rest)

    signature, returned = inspect.signature(forward), returned_names(backward)
    return functions_as_layer(run, back, [forward, backward], signature, name=name, returned=returned)
