"""What in a user's file looks as if it can be checked: layers, operations, pairs, losses, backward functions."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..check.layers.arguments import backward_without_cotangent, is_backward, parameters, plain
from ..check.layers.cache_pair import takes_cache
from ..check.layers.functions import global_variables, is_operation
from ..check.layers.names import LIKE, is_gradient, returned_names
from ..errors import UserFileError
from ..exercise.template import MARK
from .guess_cell import by_parameters
from .make_layer import is_layer

Names = Mapping[str, Any]
#: What backward functions are called, and the forward functions that they belong to; "" is the name without it.
BACKWARD = ("backward", "backprop", "bprop", "back", "bwd", "grad")
FORWARD = ("forward", "fprop", "fwd", "run", "")
LOSSES = ("loss", "totalloss", "cost", "totalcost", "l", "j", "nll", "error", "crossentropy")  # plain names


def checkable(file: str, names: Names) -> dict[str, str]:
    """What each name of a file is, for those that can be checked: "layer", "operation", "pair", "loss", "backward".

    A pair has the name of its backward. Only what the file itself defines counts.
    """
    defined = {name: x for name, x in names.items() if getattr(x, "__module__", None) == Path(file).stem
           and getattr(x, "__qualname__", name) == name and not name.startswith("_")}  # fmt: skip
    kinds = {name: kind_of(name, x, defined) for name, x in defined.items()}
    kinds.update((f"{name}.{loss}", "loss") for name, x in defined.items() if not kinds[name] for loss in losses(x))
    if isinstance(names.get(MARK), str):
        return {name: "exercise" for name, x in defined.items() if callable(x)}
    return {name: kind for name, kind in kinds.items() if kind}


def kind_of(name: str, target: Any, names: Names) -> str:
    """What a class or a function of a file is; "" for one that cannot be checked."""
    if isinstance(target, type):
        return "operation" if is_operation(target) else "layer" if is_layer(target) else ""
    if not callable(target):
        return ""
    if is_pair(target, forward_of(name, names)):
        return "pair"
    if is_loss(target):
        return "loss"
    takes = parameters(target)
    cotangents = [key for key in takes if key in ("dh", "dc", "dhs")]
    return "backward" if cotangents and is_backward(target) and by_parameters(list(takes)) else ""


def forward_of(name: str, names: Names) -> Any:
    """The forward that belongs to a backward, by its name: lstm_backward, lstm_forward; run_back, run; else None."""
    for back, forth in itertools.product(BACKWARD, FORWARD):
        for old, new in ((back, forth), (back.capitalize(), forth.capitalize())):
            forward = name.replace(old, new).strip("_")
            if old in name and forward != name and inspect.isfunction(names.get(forward)):
                return names[forward]
    return None


def is_pair(backward: Any, forward: Any) -> bool:
    """Does a backward get what its forward has returned beside its outputs, or the inputs once more?"""
    return forward is not None and callable(backward) and (
        takes_cache(backward, forward) or takes_inputs(backward, forward))  # fmt: skip


def takes_inputs(backward: Any, forward: Any) -> bool:
    """Does the backward take all inputs of forward by name, and gradients?"""
    names, wanted = list(parameters(forward)), list(parameters(backward))
    return bool(names) and all(name in wanted for name in names) and len(wanted) > len(names)


def is_static_pair(target: Any) -> bool:
    """Is it a class that holds a pair with a cache as static methods, ``forward`` and ``backward``?"""
    static = [isinstance(inspect.getattr_static(target, name, None), staticmethod) for name in ("forward", "backward")]
    return isinstance(target, type) and all(static) and is_pair(
        getattr(target, "backward", None), getattr(target, "forward", None))  # fmt: skip


def losses(target: Any) -> list[str]:
    """The methods of a class, or of the class of an object, that return a loss and gradients.

    The loss alone is enough if another method computes the gradients.
    """
    kind = target if isinstance(target, type) else type(target)
    later = backward_without_cotangent(kind)
    return [name for name, method in vars(kind).items() if inspect.isfunction(method)
            and (is_loss(method) or (later and plain(name) in LOSSES))]  # fmt: skip


def is_loss(function: Any) -> bool:
    """Does a function return something, and then gradients by its arguments or by global arrays, by their names?

    A first value or a function called loss is enough if gradients follow in a container: ``return loss, grads``.
    """
    returned, takes = returned_names(function), [*parameters(function), *global_variables(function)]
    if len(returned) < 2 or (returned[0] and LIKE.match(returned[0])):
        return False
    called = plain(returned[0]) in LOSSES or any(word in plain(function.__name__) for word in ("loss", "cost"))
    several = called and any(name and LIKE.match(name) for name in returned[1:])
    return several or any(is_gradient(name, of) for of in takes for name in returned)


def only_place(file: str, names: Names) -> str:
    """``FILE.py:NAME`` if there is a single thing to check. Raises UserFileError, which lists them, otherwise."""
    kinds = checkable(file, names)
    if len(kinds) == 1:
        return f"{file}:{next(iter(kinds))}"
    if not kinds:
        public = ", ".join(name for name, x in names.items() if callable(x) and getattr(x, "__module__", "") ==
                           Path(file).stem) or "nothing to call"  # fmt: skip
        raise UserFileError(
            f"{file} has {public}, and nothing that looks as if it could be checked: a class with forward and "
            "backward, functions NAME_forward and NAME_backward with a cache or the same inputs, a function "
            "or a method that returns a loss and gradients, or a backward that takes dh or dhs; write the name of "
            f"the function or class, tinygrad-rnn check {file}:NAME; a layer whose methods have other names is checked "
            "after NAME.forward, NAME.backward = NAME.run, NAME.back"
        )
    lines = [f"  tinygrad-rnn check {file}:{name}   {kind}" for name, kind in kinds.items()]
    raise UserFileError("\n".join([f"{file} has several things that can be checked; name one:", *lines]))
