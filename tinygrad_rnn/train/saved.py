"""A run on disk: its three files, and the checks before it is resumed.

The files are replaced whole, in the order best, log, last. So the epochs in last are in the two others too; what the
others have beyond them, the resumed run writes again.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..errors import InvalidValue
from ..files import read_whole
from .language_model import LanguageModel
from .store import load_model

LAST, BEST, LOG = "last.safetensors", "best.safetensors", "log.jsonl"
STATE = "state."  #: prefix of the names of the arrays of the state
VERSION = 1  #: of the format of the files; files of the format before it have no version


@dataclass
class Place:
    """Position of a run: ``epoch`` complete epochs, and ``done`` windows of the next."""

    epoch: int = 0
    done: int = 0
    best: float | None = None  #: validation perplexity
    valid: list[float] = field(default_factory=list)  #: validation perplexity of each epoch after the unlogged
    unlogged: int = 0  #: number of first epochs, of the format before, whose lines in the log have no checksum

    @classmethod
    def of(cls, about: Mapping[str, Any], path: Path) -> Place:
        """The place in the metadata ``about`` of a file; raises InvalidValue, which names the file, if it cannot be."""
        old: dict[str, Any] = {"valid": [], "unlogged": about.get("epoch")} if "version" not in about else {}
        place = cls(**{name: about.get(name, old.get(name)) for name in cls.__dataclass_fields__})
        for name in ("epoch", "done", "unlogged"):
            value = getattr(place, name)
            if type(value) is not int or value < 0:
                raise InvalidValue(f"--resume: {path}: {name} is {value!r}, should be a whole number from 0")
        if not place._holds():
            what = f"best is {place.best!r}, valid is {place.valid!r} after {place.epoch} epochs"
            raise InvalidValue(f"--resume: {path}: {what}, should be the validation perplexities and the best of them")
        return place

    def _holds(self) -> bool:
        """Is there a perplexity for each epoch, and is ``best`` the lowest of them?"""
        if not isinstance(self.valid, list) or self.unlogged + len(self.valid) != self.epoch:
            return False
        if any(type(value) is not float or not 0 < value < math.inf for value in [*self.valid, self.best or 1.0]):
            return False
        if self.best is None or self.unlogged:
            return (self.best is None) == (self.epoch == 0) and min(self.valid, default=math.inf) >= (self.best or 0)
        return self.best == min(self.valid, default=None)


def load_saved(path: Path, same: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the metadata of a file; raises InvalidValue unless it is of the run that ``same`` describes."""
    arrays, about = load_model(path)
    version = about.get("version", VERSION)
    if type(version) is not int or not 0 < version <= VERSION:
        what = f"is of version {version!r}, should be at most {VERSION}"
        raise InvalidValue(f"--resume: {path} {what}; is it of a newer tinygrad_rnn?")
    for name, value in same.items():
        if about.get(name) != value:
            raise InvalidValue(f"--resume: {path} is of a run with {name} = {about.get(name)}, should be {value}")
    if about.get("file", path.name) != path.name:
        raise InvalidValue(f"--resume: {path} was written as {about['file']}, should be {path.name}")
    return arrays, about


def carried(arrays: dict[str, np.ndarray], model: LanguageModel, N: int, place: Place, path: Path) -> Any:
    """The state of N rows, removed from ``arrays``; None before the first window."""
    states = {name: arrays.pop(name) for name in list(arrays) if name.startswith(STATE)}
    recurrent = model.recurrent
    dtype = next(iter(recurrent.params.values())).dtype
    zeros = recurrent.cell.zero_state(N, recurrent.params, dtype) if place.epoch or place.done else ()
    wanted = {f"{STATE}{k}": f"{zero.dtype} {zero.shape}" for k, zero in enumerate(zeros)}
    is_there = {name: f"{array.dtype} {array.shape}" for name, array in sorted(states.items())}
    if is_there != wanted:
        raise InvalidValue(
            f"--resume: {path}: the state is {is_there or 'not there'}, should be {wanted or 'not there'}"
        )
    return tuple(Tensor(states[name]) for name in wanted) or None


def load_weights(model: LanguageModel, arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Set every parameter; raises InvalidValue, which names the file, and sets none, if an array does not fit."""
    for name, param in model.params.items():
        if name in arrays and arrays[name].dtype != param.dtype:
            raise InvalidValue(f"--resume: {path}: {name} is {arrays[name].dtype}, should be {param.dtype}")
    try:
        model.load_state_dict(arrays)
    except ValueError as error:
        raise InvalidValue(f"--resume: {path}: {error}") from error


def check_best(path: Path, about: Mapping[str, Any], place: Place, more: int = 0) -> None:
    """Raise unless the best weights are those in the last file, or better weights of up to ``more`` epochs later."""
    best = Place.of(about, path)
    ahead = 0 < best.epoch - place.epoch <= more and (best.best or 0.0) < (place.best or math.inf)
    if not ahead and (best.best != place.best or best.epoch > place.epoch):
        said = f"says {best.best} after epoch {best.epoch}, but {LAST} {place.best} after epoch {place.epoch}"
        raise InvalidValue(f"--resume: {path} {said}, should be the best of the same run")


# -- the log -----------------------------------------------------------------------------------------------------------


def log_line(entry: Mapping[str, Any]) -> str:
    """The entry as JSON, with a checksum of it as the last item."""
    text = json.dumps(entry)
    return f'{text[:-1]}, "crc32": "{zlib.crc32(text.encode()):08x}"}}'


def log_kept(path: Path, place: Place) -> list[str]:
    """The lines of the complete epochs, checked; later lines are dropped, since the resumed run writes them again."""
    if not place.epoch:
        return []
    lines = read_whole(path, "--resume").decode("utf-8", "replace").split("\n")
    kept = [line for line in lines if 0 < _entry(line).get("epoch", 0) <= place.unlogged]
    for epoch, valid in enumerate(place.valid, place.unlogged + 1):
        line = lines[len(kept)] if len(kept) < len(lines) else ""
        entry = {name: value for name, value in _entry(line).items() if name != "crc32"}
        if line != log_line(entry) or (entry.get("epoch"), entry.get("valid")) != (epoch, valid):
            what = f"is not as it was written for epoch {epoch} with validation perplexity {valid}"
            raise InvalidValue(f"--resume: {path}, line {len(kept) + 1}, {what}; is it damaged, or of another run?")
        kept.append(line)
    return kept


def _entry(line: str) -> dict[str, Any]:
    """The entry of a line; empty if the line is no JSON object with an epoch."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) and type(entry.get("epoch")) is int else {}
