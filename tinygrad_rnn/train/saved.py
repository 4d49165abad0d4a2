"""The files of a run, and the checks before it is resumed: each error names the file."""

from __future__ import annotations

import contextlib
import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..engine.pytree import flatten
from ..engine.tensor import Tensor, value
from ..errors import InvalidValue
from ..files import read_whole
from .history import History, metric
from .progress import Position
from .store import load_model

LAST, BEST, METRICS, CURVES = "last.safetensors", "best.safetensors", "metrics.jsonl", "curves.svg"
STATE, OPTIMIZER = "state/", "optimizer/"  #: prefixes of the names of arrays that are no weights
VERSION = 2  #: of the format of the files; runs of version 1 had no config.toml
TIMES = ("tokens_per_second",)  #: items of a row that differ between equal runs


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Inside, an error in a value becomes an InvalidValue that begins with ``path``."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidValue(f"{path}: {error or type(error).__name__}") from error


def load_file(path: Path, about: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the metadata of a file of the run that ``about`` describes; raises InvalidValue for another."""
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}, should be a file of the run")
    arrays, metadata = load_model(path)
    version = metadata.get("version", 1)
    if type(version) is not int or version > VERSION:
        raise InvalidValue(f"{path} is of version {version!r}, should be {VERSION}; is it of a newer tinygrad_rnn?")
    if version < VERSION:
        instead = "train again, or read its weights by train.load_model"
        raise InvalidValue(f"{path} is of version {version}, should be {VERSION}: {instead}")
    for name, expected in about.items():
        if metadata.get(name) != expected:
            raise InvalidValue(f"{path} is of a run with {_difference(name, metadata.get(name), expected)}")
    if metadata.get("file") != path.name:
        raise InvalidValue(f"{path} was written as {metadata.get('file')}, should be {path.name}")
    return arrays, metadata


def _difference(name: str, actual: Any, expected: Any) -> str:
    """The first difference, in words: ``hidden = 5, should be 6``."""
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        for key in dict.fromkeys([*expected, *actual]):
            if actual.get(key) != expected.get(key):
                return f"{key} = {actual.get(key)}, should be {expected.get(key)}"
    return f"{name} = {actual}, should be {expected}"


def position(about: Mapping[str, Any], path: Path) -> Position:
    """The position in the metadata of a file, without the state; raises InvalidValue if it cannot be one."""
    place = about.get("position")
    names = [name for name in Position.__dataclass_fields__ if name != "state"]
    if not isinstance(place, dict) or list(place) != names:
        raise InvalidValue(f"{path}: position is {place!r}, should have {', '.join(names)}")
    for name, number in place.items():
        whole = name in ("epoch", "batch", "targets")
        if type(number) is not (int if whole else float) or not 0 <= abs(number) < math.inf or (whole and number < 0):
            raise InvalidValue(
                f"{path}: {name} is {number!r}, should be a {'whole number from 0' if whole else 'number'}"
            )
    return Position(**place)


def thread_count(about: Mapping[str, Any], path: Path, default: int) -> int:
    """The number of threads of a run; ``default`` for a file from before it was written. Raises InvalidValue."""
    count = about.get("threads", default)
    if type(count) is not int or count < 1:
        raise InvalidValue(f"{path}: threads is {count!r}, should be a whole number from 1")
    return count


def has_trained(path: Path) -> bool:
    """Is there a run at ``path`` that has trained a batch? A file that cannot be read may be one."""
    if not path.exists():
        return False
    try:
        place = position(load_model(path)[1], path)
    except (OSError, ValueError):
        return True
    return bool(place.epoch or place.batch)


def load_weights(model: Any, arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Set every parameter; raises InvalidValue, which names the file, and sets none, if an array does not fit."""
    for name, current in model.state_dict().items():
        if name in arrays and arrays[name].dtype != current.dtype:
            raise InvalidValue(f"{path}: {name} is {arrays[name].dtype}, should be {current.dtype}")
    with naming(path):
        model.load_state_dict(arrays)


def check_best(path: Path, about: Mapping[str, Any], history: History, more: int = 0) -> None:
    """Raise unless the best weights are those of the history, or better weights of up to ``more`` epochs later."""
    best = history.best or {"epoch": 0, "loss": math.inf}
    epoch, loss = about.get("epoch"), about.get("valid", about.get("loss"))
    if type(epoch) is int and type(loss) is float:
        ahead = 0 < epoch - len(history.epochs) <= more and loss < metric(best)
        if ahead or (epoch, loss) == (best["epoch"], metric(best)):
            return
    what = f"has the weights of epoch {epoch} with loss {loss}, but the best of {METRICS} is epoch {best['epoch']}"
    raise InvalidValue(f"{path} {what} with loss {metric(best)}, should be the best of the same run")


# -- arrays and numbers ------------------------------------------------------------------------------------------------


def split(state: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the numbers of the state of an optimiser."""
    arrays = {name: entry for name, entry in state.items() if isinstance(entry, np.ndarray)}
    return arrays, {name: entry for name, entry in state.items() if name not in arrays}


def flat(state: Any) -> tuple[list[np.ndarray], Any]:
    """The arrays of a carried state, and the function that builds the state from such arrays."""
    if state is None:
        return [], lambda arrays: None
    leaves, build = flatten(state)
    return [np.asarray(value(leaf)) for leaf in leaves], lambda arrays: build([Tensor(array) for array in arrays])


def listed(tree: Any) -> Any:
    """A tree of dicts with its arrays as lists, for JSON: the states of some generators have arrays."""
    if isinstance(tree, Mapping):
        return {name: listed(part) for name, part in tree.items()}
    return tree.tolist() if isinstance(tree, np.ndarray) else tree


# -- the metrics -------------------------------------------------------------------------------------------------------


def line(row: Mapping[str, Any]) -> str:
    """The row as JSON, with a checksum of it as the last item."""
    text = json.dumps({name: entry for name, entry in row.items() if name != "crc32"})
    return f'{text[:-1]}, "crc32": "{zlib.crc32(text.encode()):08x}"}}'


def checksum(rows: Sequence[Mapping[str, Any]]) -> str:
    """A checksum of all rows, without their times."""
    text = json.dumps([{name: entry for name, entry in row.items() if name not in TIMES} for row in rows])
    return f"{zlib.crc32(text.encode()):08x}"


def read_rows(path: Path, count: int | None = None) -> list[dict[str, Any]]:
    """The first ``count`` rows of a file (all of them by default), each checked by its checksum."""
    lines = read_whole(path, "metrics").decode("utf-8", "replace").split("\n")[:-1][:count]
    entries = [_entry(text) for text in lines]
    for number, (text, entry) in enumerate(zip(lines, entries), 1):
        if not entry or text != line(entry):
            raise InvalidValue(f"{path}, line {number}, is not as it was written: is it damaged?")
    return [{name: entry for name, entry in row.items() if name != "crc32"} for row in entries]


def known_rows(path: Path, about: Mapping[str, Any], last: Path) -> list[dict[str, Any]]:
    """The rows that the file ``last`` knows, checked. Later ones are dropped: the resumed run writes them again."""
    count = about.get("rows")
    if type(count) is not int or count < 0:
        raise InvalidValue(f"{last}: rows is {count!r}, should be a whole number from 0")
    rows = read_rows(path, count)
    if len(rows) < count or checksum(rows) != about.get("metrics"):
        raise InvalidValue(f"{path} has other rows than {last} says, should be the {count} rows of the same run")
    return rows


def _entry(text: str) -> dict[str, Any]:
    """The row of a line; empty if the line is no JSON object with an epoch."""
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) and type(entry.get("epoch")) is int else {}
