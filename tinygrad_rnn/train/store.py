"""Models on disk: safetensors with a checksum. A file is written whole, and a later change of it is detected."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import InvalidValue, MissingDependency
from ..files import read_whole, write_whole

SUM = "sha256"  #: metadata key of the checksum, which is that of the file with zeros in the place of the checksum


def needed() -> Any:
    """The package safetensors; raises MissingDependency, which names the extra. Call it before a long training."""
    try:
        import safetensors
        import safetensors.numpy
    except ModuleNotFoundError as error:
        raise MissingDependency(
            "saving and loading models needs safetensors: pip install 'tinygrad-rnn[train]'", name="safetensors"
        ) from error
    return safetensors


def save_model(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    """Write arrays by name, and ``about``, a dict that JSON can hold, to one file with a checksum of both.

    Raises MissingDependency without safetensors, OSError if the file cannot be written.
    """
    held = {name: np.asarray(a, order="C") for name, a in arrays.items()}
    text = json.dumps(about)
    header, content = _parts(needed().numpy.save(held))
    header = {"__metadata__": {SUM: "0" * 64, "about": text}, **header}  # nothing before the zeros looks like them
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    whole = len(head).to_bytes(8, "little") + head + content
    write_whole(path, whole.replace(b"0" * 64, _sum(whole).encode(), 1))


def load_model(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and ``about`` of a file that `save_model` wrote.

    Raises InvalidValue, which names the file, if it is not a whole safetensors file, if its checksum is wrong (files of
    other tools have none), or if ``about`` is no JSON object; MissingDependency without safetensors.
    """
    safetensors, whole = needed(), read_whole(path, "load_model", should="a safetensors file")
    try:
        arrays = safetensors.numpy.load(whole)
        metadata = _parts(whole)[0].get("__metadata__") or {}
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError) as error:
        raise InvalidValue(f"load_model: {path} is not a whole safetensors file ({error})") from error
    _intact(path, whole, metadata)
    try:
        about = json.loads(metadata.get("about", "{}"))
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"load_model: {path}: about cannot be read ({error}), should be JSON") from error
    if not isinstance(about, dict):
        raise InvalidValue(f"load_model: {path}: about is a {type(about).__name__}, should be a JSON object")
    return arrays, about


def _parts(whole: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a safetensors file, JSON after its length in 8 bytes, and the rest of the file."""
    end = 8 + int.from_bytes(whole[:8], "little")
    return json.loads(whole[8:end]), whole[end:]


def _sum(whole: bytes) -> str:
    return hashlib.sha256(whole).hexdigest()


def _intact(path: str | os.PathLike[str], whole: bytes, metadata: Mapping[str, str]) -> None:
    """Raise InvalidValue if the checksum is wrong. Files of other tools and of earlier versions have no checksum."""
    right = metadata.get(SUM, "")
    if list(metadata) == ["about"] or not ("about" in metadata or SUM in metadata):
        return
    written = whole.replace(right.encode("utf-8", "replace"), b"0" * 64, 1)
    if list(metadata) != [SUM, "about"] or _sum(written) != right:
        raise InvalidValue(f"load_model: {path} is damaged: its checksum is wrong")
