"""``tinygrad-rnn check`` on a pair of functions with a cache, a loss that returns gradients, or a custom operation."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..check.backward import check_backward
from ..check.layer import checked as check_layer
from ..check.layers.cache_pair import pair_as_layer
from ..check.layers.operation import is_operation, operation_as_layer
from ..check.loss import check_loss
from ..check.report import Report
from .checkable import forward_of, is_loss, is_pair
from .guess_inputs import both, guessed_inputs


def check_functions(options: argparse.Namespace, names: Mapping[str, Any], target: Any) -> Report | None:
    """The report on a pair, a loss or a custom operation; None for anything else."""
    name, rng = options.place.rpartition(":")[2], np.random.default_rng(options.seed or 0)
    forward, seed = forward_of(name, names), options.seed

    def inputs(function: Any, run: Any, skip: int = 0) -> list[Any]:
        title = getattr(function, "__name__", name)
        return guessed_inputs(title, function, run, rng, options.sizes, options.inputs, skip)

    if is_operation(target):
        layer = operation_as_layer(target)
        return check_layer(layer, inputs(target.forward, both(layer), 1), None, seed, dtype=options.dtype)
    if is_pair(target, forward):
        given = inputs(forward, both(pair_as_layer(forward, target)))
        return check_backward(forward, target, *given, dtype=options.dtype)
    if callable(target) and not isinstance(target, type) and is_loss(target):
        return check_loss(target, *inputs(target, target), seed=seed)
    return None
