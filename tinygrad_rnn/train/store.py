"""Models on disk: safetensors, written beside and then renamed, so that a file is whole or not there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..files import write_whole


def needed() -> Any:
    """What saving needs; an error that says how to get it, better now than after an hour of training."""
    try:
        import safetensors
        import safetensors.numpy
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "saving and loading models needs safetensors: pip install 'tinygrad-rnn[train]'", name="safetensors"
        ) from error
    return safetensors


def save_model(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    """Write arrays by name, and ``about`` (anything JSON holds), to one file."""
    held = {name: np.asarray(a, order="C") for name, a in arrays.items()}
    whole = needed().numpy.save(held, {"about": json.dumps(about)})
    write_whole(path, whole)


def load_model(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and ``about`` of a file that `save_model` wrote."""
    found = needed()
    try:
        with found.safe_open(os.fspath(path), framework="numpy") as whole:
            about = json.loads((whole.metadata() or {}).get("about", "{}"))
            return {name: whole.get_tensor(name) for name in whole.keys()}, about  # noqa: SIM118 not a dict
    except found.SafetensorError as error:
        raise ValueError(f"load_model: {path} is not a whole safetensors file ({error})") from error
