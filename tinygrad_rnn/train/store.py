"""Models on disk: safetensors, written beside and then renamed, so that a file is whole or not there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def _safetensors() -> Any:
    try:
        import safetensors.numpy as found
        from safetensors import safe_open
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "saving and loading models needs safetensors: pip install 'tinygrad-rnn[train]'", name="safetensors"
        ) from error
    return found, safe_open


def save_model(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    """Write arrays by name, and ``about`` (anything JSON holds), to one file."""
    found, _ = _safetensors()
    whole = found.save({name: np.ascontiguousarray(a) for name, a in arrays.items()}, {"about": json.dumps(about)})
    target = Path(path)
    beside = target.with_name(f".{target.name}.part")
    try:
        beside.write_bytes(whole)
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def load_model(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and ``about`` of a file that `save_model` wrote."""
    _, safe_open = _safetensors()
    with safe_open(os.fspath(path), framework="numpy") as whole:
        about = json.loads((whole.metadata() or {}).get("about", "{}"))
        return {name: whole.get_tensor(name) for name in whole.keys()}, about  # noqa: SIM118 not a dict
