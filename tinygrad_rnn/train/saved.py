"""A run on disk: its three files, and what must hold of them before it goes on.

Each is replaced whole, in the order best, log, last: what the last says is in the two others, and what they have beyond
it is made again.
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
STATE = "state."  #: begins the names of the arrays that are the state
VERSION = 1  #: of what the files say of a run; they said none before there was one


@dataclass
class Place:
    """Where a run is: after ``done`` windows of the epoch that follows ``epoch`` whole ones."""

    epoch: int = 0
    done: int = 0
    best: float | None = None  #: validation perplexity
    valid: list[float] = field(default_factory=list)  #: the validation perplexity of every epoch but the
    unlogged: int = 0  #: first ones, those of an earlier version, whose lines in the log have no checksum

    @classmethod
    def of(cls, about: Mapping[str, Any], path: Path) -> Place:
        """What a file says; an error that names it if that cannot be."""
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
        """As many perplexities as there were epochs; none is better than the best, which is among them."""
        if not isinstance(self.valid, list) or self.unlogged + len(self.valid) != self.epoch:
            return False
        if any(type(value) is not float or not 0 < value < math.inf for value in [*self.valid, self.best or 1.0]):
            return False
        if self.best is None or self.unlogged:
            return (self.best is None) == (self.epoch == 0) and min(self.valid, default=math.inf) >= (self.best or 0)
        return self.best == min(self.valid, default=None)


def load_saved(path: Path, same: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a file of the run that ``same`` describes, and what it says of itself."""
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
    """The state, taken out of ``arrays``: that of N rows, or None before the first window."""
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
    """Set every parameter, or none: an error names the file."""
    for name, param in model.params.items():
        if name in arrays and arrays[name].dtype != param.dtype:
            raise InvalidValue(f"--resume: {path}: {name} is {arrays[name].dtype}, should be {param.dtype}")
    try:
        model.load_state_dict(arrays)
    except ValueError as error:
        raise InvalidValue(f"--resume: {path}: {error}") from error


def check_best(path: Path, about: Mapping[str, Any], place: Place, more: int = 0) -> None:
    """The best weights are those that the last file tells of; or of ``more`` epochs later, and better."""
    best = Place.of(about, path)
    ahead = 0 < best.epoch - place.epoch <= more and (best.best or 0.0) < (place.best or math.inf)
    if not ahead and (best.best != place.best or best.epoch > place.epoch):
        said = f"says {best.best} after epoch {best.epoch}, but {LAST} {place.best} after epoch {place.epoch}"
        raise InvalidValue(f"--resume: {path} {said}, should be the best of the same run")


# -- the log -----------------------------------------------------------------------------------------------------------


def log_line(entry: Mapping[str, Any]) -> str:
    """JSON, the last entry its own checksum."""
    text = json.dumps(entry)
    return f'{text[:-1]}, "crc32": "{zlib.crc32(text.encode()):08x}"}}'


def log_kept(path: Path, place: Place) -> list[str]:
    """The lines of the whole epochs, each as it was written; what comes after is not of the run that goes on."""
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
    """The entry of a line; none if it is no JSON object or says no epoch."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) and type(entry.get("epoch")) is int else {}
