"""``tinygrad-rnn check`` on a pair of functions with a cache, a loss that returns gradients, or a custom operation."""

from __future__ import annotations

import argparse
import copy
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..check.backward import check_backward
from ..check.layer import check_loss
from ..check.layer import checked as check_layer
from ..check.layers.cache_pair import pair_as_layer
from ..check.layers.functions import is_operation, loss_as_layer, operation_as_layer
from ..check.report import Report
from ..errors import UserFileError
from .checkable import forward_of, is_loss, is_pair, is_static_pair, losses
from .guess_inputs import guessed_inputs
from .make_layer import LayerMaker, is_layer
from .trial import both


def check_functions(options: argparse.Namespace, names: Mapping[str, Any], target: Any) -> Report | None:
    """The report on a pair, a loss or a custom operation; None for anything else."""
    name, rng, notes = options.place.rpartition(":")[2], np.random.default_rng(options.seed or 0), list[str]()
    forward, seed, report = forward_of(name, names), options.seed, None

    def inputs(function: Any, layer: Any, skip: int = 0) -> list[Any]:
        title = getattr(function, "__name__", name)
        return guessed_inputs(title, function, both(layer), rng, options.sizes, options.inputs, skip, notes=notes)

    if is_static_pair(target) and not is_operation(target):
        forward, target = target.forward, target.backward
    if is_operation(target):
        layer = operation_as_layer(target)
        report = check_layer(layer, inputs(target.forward, layer, 1), None, seed, dtype=options.dtype)
    elif is_pair(target, forward):
        given = inputs(forward, pair_as_layer(forward, target))
        report = check_backward(forward, target, *given, dtype=options.dtype)
    elif (callable(target) and not isinstance(target, type) and is_loss(target)) or (
        "." in name or (losses(target) and not is_layer(target))):  # fmt: skip
        function = target if inspect.isfunction(target) else loss_method(options, target)
        report = check_loss(function, *inputs(function, loss_as_layer(copy.deepcopy(function))), seed=seed)
    if report is not None:
        report.notes += notes
    return report


def loss_method(options: argparse.Namespace, target: Any) -> Any:
    """The method ``Model.loss`` that is named, or the only one of a class that returns a loss, of an object."""
    name, _, method = options.place.rpartition(":")[2].partition(".")
    methods = [method] if method else losses(target)
    if len(methods) > 1 or not callable(getattr(target, methods[0], None)):
        could = ", ".join(f"{options.place.partition('.py')[0]}.py:{name}.{loss}" for loss in losses(target)) or "none"
        raise UserFileError(f"{name} has several methods that return a loss, or no {method}; should be one of: {could}")
    maker = LayerMaker(name, None, options.seed or 0, options.sizes, options.dtype)
    return getattr(maker.created(target) if isinstance(target, type) else target, methods[0])
