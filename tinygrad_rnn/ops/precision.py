"""Compute more exactly than the dtype of the arguments: float16 in float32, integers in float64, NaN in masks."""

from __future__ import annotations

import numpy as np


def nan_where(y, g):
    """The gradient g, but NaN where y is NaN: comparisons in a rule treat NaN as an ordinary number."""
    return np.where(y == y, g, np.nan)


def wide(x):
    """float16 as float32, other dtypes unchanged.  float16 ends at 65,504, and its sums of ones at 2,048."""
    return x.astype(np.float32) if getattr(x, "dtype", None) == np.float16 else x


def widened(x, dtype):
    """x as ``dtype``, that of a result, if x is a narrower float: a function of x has no more digits than x."""
    narrow = getattr(x, "dtype", dtype)
    return x.astype(dtype) if narrow.kind == "f" and narrow.itemsize < dtype.itemsize else x


def accumulated(function, *xs, **options):
    """``function(*xs, **options)``, for float16 computed in float32 and returned in float16."""
    y = function(*map(wide, xs), **options)
    kinds = [getattr(x, "dtype", None) for x in xs]
    return y.astype(np.float16) if np.float16 in kinds and y.dtype == np.float32 and y.dtype not in kinds else y


def floats(x):
    """Integers and truth values as float64: a difference of small or unsigned ones would wrap around."""
    return x.astype(np.float64) if getattr(x, "dtype", np.dtype(float)).kind in "iub" else x
