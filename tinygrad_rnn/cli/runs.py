"""The folder of a run: config.toml, vocab.json and the files of `train.run`; how it is begun and opened again."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import gradient_flow, trace_nans
from ..cells.cell import Cell
from ..data import Corpus, Splits
from ..errors import InvalidValue, NanError, NumericalError
from ..files import read_whole
from ..train import saved
from ..train.evaluate import perplexity
from ..train.run import Run
from . import build
from .settings import EARLIER, SETTINGS, config_text, read_config

CONFIG, VOCAB = "config.toml", "vocab.json"
FREE = ("data", "epochs", "model")  #: settings that may differ when a run is resumed; checksums hold text and cell
MEASURED = 2  #: rows of the batch on which the gates are measured


def writable(folder: str | os.PathLike[str]) -> Path:
    """The folder, created if need be; raises OSError if it cannot be written to."""
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        why = error.strerror or error
        raise OSError(f"--out: {path} cannot be made or written to ({why}), should be a folder") from error


def new(settings: dict[str, Any], splits: Splits, folder: Path, kind: Cell) -> Run:
    """A run that begins in ``folder``; it is saved before its first batch."""
    text = user_file(settings)
    run = assembled(settings, splits, folder, kind, text)
    if settings["data"] != build.STORIES:
        settings = {**settings, "data": os.path.abspath(settings["data"] or os.environ[build.VARIABLE])}
    files = {CONFIG: config_text(settings), VOCAB: json.dumps(list(splits.train.vocab), ensure_ascii=False)}
    run.begin({**files, **({build.CELL: text} if text else {})})
    return run


def user_file(settings: Mapping[str, Any]) -> str:
    """The text of the user's file of the cell; empty for a built-in cell."""
    file = settings["model"].rpartition(":")[0]
    return read_whole(file, "--model").decode("utf-8", "replace") if file else ""


def assembled(settings: Mapping[str, Any], splits: Splits, folder: Path, kind: Cell, text: str) -> Run:
    """The run of the settings before its first batch, not saved."""
    model = build.model(settings, kind, len(splits.train.vocab))
    optimizer, batches = build.optimizer(settings, model), build.batches(settings, splits)
    schedule = build.schedule(settings, optimizer, len(batches))
    about = {**identity(settings, splits.train.vocab, text), "text": build.crc(splits.train.ids.tobytes())}
    return Run(folder, model, optimizer, schedule, about=about, measure=lambda: gates(model, batches))


def identity(settings: Mapping[str, Any], vocab: tuple[str, ...], text: str) -> dict[str, Any]:
    """What the files of a run say about it: the settings, the cell and the vocabulary."""
    same = {name: value for name, value in settings.items() if name not in FREE and EARLIER.get(name) != value}
    cell = settings["model"].rpartition(":")[2]
    words = build.crc(json.dumps(vocab).encode("utf-8", "surrogatepass"))
    return {"settings": {"model": cell, **same}, "cell": build.crc(text.encode()), "vocabulary": words}


def read(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The settings of the run in ``folder``; raises FileNotFoundError if there is none."""
    path = Path(folder) / CONFIG
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}, should be the folder of a run (the --out of train)")
    written = {**EARLIER, **read_config(path)}
    settings = {name: written[name] for name in [*SETTINGS, *written] if name in written}
    missing = [name for name in SETTINGS if name not in settings]
    if missing:
        raise InvalidValue(f"{path} has no {', '.join(missing)}, should have every setting of the run")
    return settings


def vocabulary(folder: Path) -> tuple[str, ...]:
    """The vocabulary of a run; raises InvalidValue if the file is no list of words."""
    path = folder / VOCAB
    try:
        words = json.loads(read_whole(path, "vocabulary"))
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"{path} cannot be read ({error}), should be a list of words") from error
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise InvalidValue(f"{path} is no list of words, should be the vocabulary of the run")
    return tuple(words)


def copied_cell(folder: Path, settings: Mapping[str, Any]) -> tuple[Cell, str]:
    """The cell of a run, and the text of its copied file."""
    text = read_whole(folder / build.CELL, "cell").decode("utf-8", "replace") if ":" in settings["model"] else ""
    return build.check(settings, folder), text


def reopened(folder: Path, epochs: int | None = None) -> tuple[Run, dict[str, Any], Splits]:
    """The saved run in ``folder``, its settings and texts; ``epochs`` replaces those of the settings."""
    settings = {**read(folder), **({"epochs": epochs} if epochs else {})}
    splits = build.texts(settings)
    if vocabulary(folder) != splits.train.vocab:
        raise InvalidValue(f"{folder / VOCAB} is not the vocabulary of {settings['data']}, should be: has it changed?")
    run = assembled(settings, splits, folder, *copied_cell(folder, settings))
    run.resume(build.batches(settings, splits))
    return run, settings, splits


def trained(folder: Path) -> tuple[Any, dict[str, Any], Corpus]:
    """The model of a run with its best weights, its settings, and an empty text in its vocabulary."""
    settings, vocab = read(folder), vocabulary(folder)
    kind, text = copied_cell(folder, settings)
    path = folder / saved.BEST
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}: no epoch is complete; tinygrad-rnn resume {folder} continues")
    arrays, _ = saved.load_file(path, identity(settings, vocab, text))
    model = build.model(settings, kind, len(vocab))
    saved.load_weights(model, arrays, path)
    model.eval()
    return model, settings, Corpus(np.zeros(0, np.int32), vocab, settings["tokens"])


def gates(model: Any, batches: Any) -> dict[str, Any]:
    """The share of saturated elements by gate, over the first window of the text: ``{"saturated": {"f": 0.12}}``.

    Nothing where a number is not finite: such a model has diverged, as its perplexity says, and its run goes on.
    """
    ids, targets = (array[:MEASURED] for array in next(iter(batches)))
    training = model.training
    model.eval()
    try:
        with trace_nans():  # what is watched runs step by step, also where the run has a plan
            loss = model.loss(ids, targets)[0]
        flow = gradient_flow(loss, jacobian=False)
    except (NanError, NumericalError):
        return {}
    finally:
        model.train(training)
    several = len(flow.layers) > 1
    return {"saturated": {f"{layer.name}.{name}" if several else name: round(sum(shares) / len(shares), 4)
                          for layer in flow.layers for name, shares in layer.gates.items()}}  # fmt: skip


def tested(model: Any, corpus: Corpus, settings: Mapping[str, Any]) -> float:
    """The perplexity of a text, with the state carried and nothing dropped."""
    return perplexity(model, corpus.ids, settings["eval_rows"], settings["window"])
