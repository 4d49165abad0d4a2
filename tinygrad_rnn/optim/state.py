"""What `load_state_dict` of optimisers and schedules checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import InvalidValue


def exactly(where: str, wanted: Iterable[str], state: Mapping[str, Any], should: str) -> None:
    """Raise InvalidValue unless ``state`` has exactly the names ``wanted``."""
    wanted = list(wanted)
    missing = [key for key in wanted if key not in state]
    unknown = [key for key in state if key not in wanted]
    wrong = [f"{', '.join(keys)} {what}" for keys, what in ((missing, "missing"), (unknown, "unknown")) if keys]
    if wrong:
        raise InvalidValue(f"{where}: {' and '.join(wrong)}, should be {should}")


def number(where: str, value: Any) -> Any:
    """A Python number from a number or an array of shape (); raises InvalidValue for anything else."""
    array = np.asarray(value)
    if array.shape != () or array.dtype.kind not in "fiu":
        raise InvalidValue(f"{where} is {array.dtype} {array.shape}, should be a number")
    return array.item()


def like(where: str, value: Any, parameter: np.ndarray) -> np.ndarray:
    """A copy of an array of the shape and dtype of a parameter; raises InvalidValue for anything else."""
    array = np.asarray(value)
    if array.shape != parameter.shape or array.dtype != parameter.dtype:
        should = f"{parameter.dtype} {parameter.shape}"
        raise InvalidValue(f"{where} is {array.dtype} {array.shape}, should be {should}")
    new = np.empty_like(parameter)  # in the layout of the parameter
    new[...] = array
    return new
