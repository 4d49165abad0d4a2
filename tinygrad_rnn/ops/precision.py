"""Compute more exactly than the dtype of the arguments: float16 in float32, integers in float64, NaN in masks."""

from __future__ import annotations

import numpy as np


def nan_where(y, g):
    """The gradient g, but NaN where y is NaN: comparisons in a rule treat NaN as an ordinary number."""
    return np.where(y == y, g, np.nan)


def wide(x):
    """float16 as float32, other dtypes unchanged.  float16 ends at 65,504, and its sums of ones at 2,048."""
    return x.astype(np.float32) if is_half(x) else x


def is_half(x):
    """Is it a float16 array? By the letter of its dtype: comparing dtypes takes as long as a small sum."""
    return getattr(getattr(x, "dtype", None), "char", "") == "e"


def widened(x, dtype):
    """x as ``dtype``, that of a result, if x is a narrower float: a function of x has no more digits than x."""
    narrow = getattr(x, "dtype", dtype)
    return x.astype(dtype) if narrow.kind == "f" and narrow.itemsize < dtype.itemsize else x


def accumulated(function, *xs, **options):
    """``function(*xs, **options)``, for float16 computed in float32 and returned in float16."""
    y = function(*[wide(x) for x in xs], **options)
    if y.dtype.char != "f" or not any(map(is_half, xs)):
        return y
    return y if any(getattr(x, "dtype", None) == np.float32 for x in xs) else y.astype(np.float16)


def floats(x):
    """Integers and truth values as float64: a difference of small or unsigned ones would wrap around."""
    return x.astype(np.float64) if getattr(x, "dtype", np.dtype(float)).kind in "iub" else x
