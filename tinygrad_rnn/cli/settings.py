"""The settings of a training: their table, from which come the options of ``train`` and the keys of a TOML file."""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InvalidValue, MissingDependency
from ..files import read_whole
from .presets import PRESETS

FORMAT = 1  #: of config.toml; a file of a newer format is refused


@dataclass(frozen=True)
class Kind:
    """What values a setting takes: ``should`` says it, ``holds(value)`` tests it, ``parse(text)`` reads an option."""

    should: str
    holds: Callable[[Any], bool]
    parse: Callable[[str], Any]


def _whole(least: int) -> Kind:
    def parse(text: str) -> int:
        return int(text) if text.isascii() and text.isdigit() else -1

    return Kind(f"a whole number from {least}", lambda x: type(x) is int and x >= least, parse)


def _number(should: str, holds: Callable[[float], bool]) -> Kind:
    def parse(text: str) -> float:
        try:
            return float(text)
        except ValueError:
            return math.nan

    return Kind(should, lambda x: type(x) in (int, float) and math.isfinite(x) and holds(x), parse)


def choice(names: Iterable[str]) -> Kind:
    """One of some names."""
    known = list(names)
    return Kind(f"one of {', '.join(known)}", lambda x: x in known, str)


TEXT = Kind("a text", lambda x: isinstance(x, str), str)
FLAG = Kind("true or false", lambda x: type(x) is bool, lambda text: text == "true")
RATE = _number("a number from 0, below 1", lambda x: 0 <= x < 1)
FROM_ZERO = _number("a number from 0", lambda x: x >= 0)
ABOVE_ZERO = _number("a number above 0", lambda x: x > 0)


class Setting(NamedTuple):
    """A row of the table."""

    default: Any
    kind: Kind
    metavar: str
    help: str


#: The settings by name, in groups; an option of ``train`` has ``-`` for ``_``.
GROUPS: Mapping[str, Mapping[str, Setting]] = {
    "the text": {
        "data": Setting("", TEXT, "DIR", "folder of the three texts, or: stories (default: TINYGRAD_RNN_DATA)"),
        "tokens": Setting("word", choice(("word", "char", "byte")), "KIND", "what is predicted: word, char or byte"),
        "encoding": Setting("utf-8", TEXT, "NAME", "encoding of the files, such as utf-8 or cp949"),
        "max_vocab": Setting(0, _whole(0), "V", "keep the V - 1 most frequent words and <unk>; 0 keeps all"),
        "first": Setting(0, _whole(0), "N", "train on the first N tokens, in the vocabulary of these; 0 is all"),
        "validate": Setting(True, FLAG, "", "no validation and no test: the training text alone"),
    },
    "the model": {
        "model": Setting("lstm", TEXT, "CELL", "the cell, or FILE.py:CELL"),
        "embed": Setting(100, _whole(1), "D", "numbers in a word vector"),
        "hidden": Setting(100, _whole(1), "H", "hidden units of each layer"),
        "layers": Setting(1, _whole(1), "L", "recurrent layers on top of each other"),
        "dropout": Setting(0.0, RATE, "RATE", "share of the numbers dropped between layers in training"),
        "variational": Setting(False, FLAG, "", "drop the same numbers at every step of a window"),
        "tie": Setting(False, FLAG, "", "the output layer has the weights of the word vectors (needs D = H)"),
        "embedding": Setting("small", choice(("small", "normal")), "SCHEME",
                             "initial word vectors: small is the book's, for SGD; normal suits Adam"),
        "forget_bias": Setting(0.0, FROM_ZERO, "B", "initial bias of the block f, for cells that have one"),
        "scan": Setting("auto", choice(("auto", "plan", "jit", "eager")), "MODE",
                        "eager runs step by step, plan in a planned loop, jit in a compiled one; auto plans if it can"),
    },
    "the batches": {
        "rows": Setting(20, _whole(1), "N", "rows of a batch"),
        "window": Setting(35, _whole(1), "T", "words of a window, through which gradients go back"),
        "ring": Setting("pairs", choice(("pairs", "words")), "RING",
                        "how rows go on over the end of the text: pairs is the notes' loop, words reads every word"),
        "eval_rows": Setting(10, _whole(1), "N", "rows of a batch in validation and test; 1 predicts every word"),
    },
    "the training": {
        "epochs": Setting(4, _whole(1), "E", "passes over the training text"),
        "optimizer": Setting("sgd", TEXT, "NAME", "the optimiser"),
        "lr": Setting(20.0, ABOVE_ZERO, "RATE", "learning rate"),
        "weight_decay": Setting(0.0, FROM_ZERO, "RATE", "weight decay"),
        "clip": Setting(0.25, FROM_ZERO, "NORM", "largest norm of the gradient; 0 does not clip"),
        "schedule": Setting("constant", TEXT, "NAME", "how the learning rate changes"),
        "patience": Setting(0, _whole(0), "K", "stop after K epochs that are no better; 0 never does"),
        "seed": Setting(0, _whole(0), "S", "seed of the initial weights and of dropout"),
    },
}  # fmt: skip
#: What runs did before a setting existed: a run without the setting goes on as it began.
EARLIER: Mapping[str, Any] = {"scan": "eager"}
SETTINGS: Mapping[str, Setting] = {name: row for group in GROUPS.values() for name, row in group.items()}


def nearest(name: str, known: Iterable[str]) -> str:
    """Advice for a name that is not known: the nearest one, or all."""
    names = list(known)
    close = difflib.get_close_matches(name, names, 1, 0.5)
    return f"did you mean {close[0]}?" if close else f"should be one of {', '.join(names)}"


def settings(preset: str | None, config: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """All settings: the defaults, changed by the preset, by the file ``config``, by the options ``given``, in turn."""
    read = read_config(Path(config)) if config else {}
    named = preset or read.pop("preset", None)
    read.pop("preset", None)
    if named is not None and named not in PRESETS:
        raise InvalidValue(f"--preset: there is no preset {named!r}, {nearest(str(named), PRESETS)}")
    defaults = {name: row.default for name, row in SETTINGS.items()}
    return {**defaults, **(PRESETS[named].settings if named else {}), **read, **given}


def read_config(path: Path) -> dict[str, Any]:
    """The settings in a TOML file; ``preset`` may be among them. Raises InvalidValue, which names the file."""
    text = read_whole(path, "--config", should="a TOML file").decode("utf-8-sig", "replace")
    loads, wrong = _toml()
    try:
        read: dict[str, Any] = loads(text)
    except wrong as error:
        raise InvalidValue(f"{path} is no TOML file ({error})") from error
    version = read.pop("format", FORMAT)
    if type(version) is not int or not 0 < version <= FORMAT:
        raise InvalidValue(f"{path} is of format {version!r}, should be {FORMAT}; is it of a newer tinygrad_rnn?")
    named = {"preset": read.pop("preset")} if "preset" in read else {}
    for name, value in read.items():
        if name not in SETTINGS:
            raise InvalidValue(f"{path}: there is no setting {name!r}, {nearest(name, [*SETTINGS, 'preset'])}")
        if not SETTINGS[name].kind.holds(value):
            raise InvalidValue(f"{path}: {name} is {value!r}, should be {SETTINGS[name].kind.should}")
    floats = {name: float(value) for name, value in read.items() if type(SETTINGS[name].default) is float}
    return {**read, **floats, **named}


def config_text(values: Mapping[str, Any]) -> str:
    """The settings as TOML."""
    try:
        import tomli_w
    except ModuleNotFoundError as error:
        need = "writing config.toml needs tomli-w: pip install 'tinygrad-rnn[train]'"
        raise MissingDependency(need, name="tomli_w") from error
    return "# The settings of this run, read by tinygrad-rnn resume, eval and sample.\n" + tomli_w.dumps(
        {"format": FORMAT, **values}
    )


def _toml() -> tuple[Callable[[str], dict[str, Any]], type[Exception]]:
    """The function that reads TOML, of the standard library from Python 3.11 on, and its error."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ModuleNotFoundError as error:
            need = "reading a TOML file needs tomli on Python 3.10: pip install 'tinygrad-rnn[train]'"
            raise MissingDependency(need, name="tomli") from error
    return tomllib.loads, tomllib.TOMLDecodeError
