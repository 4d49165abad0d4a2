"""What the tests of NumPy's functions on Tensors share: two operands, leaves, and the names of functions."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_rnn as tg

A = np.random.default_rng(0).uniform(0.5, 0.9, (3, 3))
B = np.random.default_rng(1).uniform(0.5, 0.9, (3, 3))
for given in (A, B):
    given.flags.writeable = False


def leaf(x: Any) -> tg.Tensor:
    return tg.tensor(x, requires_grad=True)


def name_of(f: Any) -> str:
    return f.__name__
