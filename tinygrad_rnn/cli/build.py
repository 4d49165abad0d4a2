"""Texts, model, optimiser, schedule and batches from the settings of a run."""

from __future__ import annotations

import importlib.util
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import optim
from ..cells import initializers as schemes
from ..cells.builtin import BUILT_IN
from ..cells.cell import Cell
from ..data import UNK, Corpus, Splits, grammar, load, ptb, windows
from ..data.ptb import VARIABLE
from ..errors import InvalidValue, MissingDependency
from ..models import LanguageModel
from .settings import nearest
from .target import cell_at

STORIES = "stories"  #: the name of the generated text, in the place of a folder
STORY_TOKENS = (400_000, 20_000, 20_000)
CELL = "cell.py"  #: the copy of the user's file in the folder of a run


# -- the texts ---------------------------------------------------------------------------------------------------------


def texts(settings: Mapping[str, Any], download: bool = False) -> Splits:
    """The three texts; with ``first``, the first words of the training text and what is known of the others."""
    splits = _texts(settings["data"], download, reading(settings), settings["validate"])
    if not settings["first"]:
        return splits
    ids = splits.train.ids[: settings["first"]]
    if settings["tokens"] == "byte":  # whose vocabulary is that of all bytes
        return splits._replace(train=Corpus(ids, splits.train.vocab, "byte"))
    words = list(dict.fromkeys(ids.tolist()))  # the vocabulary is numbered by first appearance, as that of a text
    vocab = tuple(splits.train.vocab[i] for i in words)
    if not settings["validate"]:
        return Splits(*[Corpus(_renumbered(ids, words), vocab, settings["tokens"])] * 3)
    numbered = [_renumbered(part, words, vocab.index(UNK) if UNK in vocab else -1)
                for part in (ids, splits.valid.ids, splits.test.ids)]  # fmt: skip
    if any((part < 0).any() for part in numbered):
        raise InvalidValue(f"--first: the first {len(ids)} words have no {UNK} for the words of the validation, should "
                         "be without validation: --no-validate")  # fmt: skip
    return Splits(*(Corpus(part, vocab, settings["tokens"]) for part in numbered))


def _renumbered(ids: np.ndarray, words: list[int], unknown: int = -1) -> np.ndarray:
    """The ids in the vocabulary ``words``; those that are not in it become ``unknown``."""
    number = np.full(max(int(ids.max()), *words) + 1, unknown)
    number[words] = np.arange(len(words))
    return number[ids]


def reading(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `load` and `read_text` that are not the defaults."""
    options = {"tokens": settings["tokens"], "encoding": settings["encoding"], "max_vocab": settings["max_vocab"]}
    return {name: value for name, value in options.items() if value not in ("word", "utf-8", 0)}


def _texts(data: str, download: bool, reading: Mapping[str, Any], validate: bool) -> Splits:
    """The texts of the folder ``data``, or of the environment variable; with ``download`` the Penn Treebank."""
    if data == STORIES:
        return Splits(*(grammar(n, seed) for seed, n in enumerate(STORY_TOKENS)))
    named = data or os.environ.get(VARIABLE)
    should = "should be a folder with train.txt, valid.txt and test.txt"
    if not named:
        raise FileNotFoundError(f"--data: no folder is named, {should}; with --download it may be empty")
    folder = Path(named)
    if download:
        print(f"the Penn Treebank in {folder}, fetched where it is missing", flush=True)
        return ptb(folder, download=True, **_plain(reading))
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        raise NotADirectoryError(f"--data: {folder} {what}, {should}; --download fetches the Penn Treebank")
    if any(folder.glob("*train.txt")):
        return load(folder, **reading, validate=validate)
    if (folder / "ptb").is_dir():
        return ptb(folder, **_plain(reading))
    raise FileNotFoundError(f"--data: {folder} has no train.txt, {should}; --download fetches the Penn Treebank")


def _plain(reading: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `ptb`, whose files are ASCII."""
    return {name: value for name, value in reading.items() if name != "encoding"}


def check_lengths(splits: Splits, settings: Mapping[str, Any]) -> None:
    """Raise InvalidValue for a text that is too short, before the training."""
    N, T, R, unit = (settings[name] for name in ("rows", "window", "eval_rows", "tokens"))
    for name, corpus in splits._asdict().items() if settings["validate"] else [("train", splits.train)]:
        least = N * T + 1 if name == "train" else R + 1
        if len(corpus) < least:
            why = f"a window of {N} rows and {T} {unit}s" if name == "train" else f"{R} rows: --eval-rows"
            raise InvalidValue(f"--data: the {name} text has {len(corpus)} {unit}s, should have {least} for {why}")


def crc(*parts: bytes) -> str:
    """A checksum of a text or a vocabulary."""
    total = 0
    for part in parts:
        total = zlib.crc32(part, total)
    return f"{total:08x}"


# -- the training ------------------------------------------------------------------------------------------------------


def cell(settings: Mapping[str, Any], folder: Path | None = None) -> Cell:
    """The cell that ``model`` names; that of a file of the user's is read from the copy in ``folder`` if given."""
    name = settings["model"]
    if ":" not in name and name not in BUILT_IN:
        raise InvalidValue(f"--model: there is no cell {name!r}, {nearest(name, BUILT_IN)}; yours is FILE.py:CELL")
    if ":" in name and folder is not None:
        return cell_at(f"{folder / CELL}:{name.rpartition(':')[2]}")
    return cell_at(name)


def check(settings: Mapping[str, Any], folder: Path | None = None) -> Cell:
    """The cell of the settings (see `cell`).

    Raises InvalidValue for names that do not exist and settings that do not fit together, MissingDependency for loops
    that are to be compiled where llvmlite is not installed.
    """
    kind = cell(settings, folder)
    for name, known in (("optimizer", optim.OPTIMIZERS), ("schedule", optim.SCHEDULES)):
        if settings[name] not in known:
            raise InvalidValue(f"--{name}: there is no {name} {settings[name]!r}, {nearest(settings[name], known)}")
    if settings["scan"] == "jit" and importlib.util.find_spec("llvmlite") is None:
        raise MissingDependency("--scan: jit needs llvmlite: pip install 'tinygrad-rnn[jit]'", name="llvmlite")
    if settings["tie"] and settings["embed"] != settings["hidden"]:
        sizes = f"embed is {settings['embed']} and hidden is {settings['hidden']}"
        raise InvalidValue(f"--tie: {sizes}, should be equal")
    if settings["variational"] and not settings["dropout"]:
        raise InvalidValue("--variational: dropout is 0, should be above 0: --dropout 0.5")
    if settings["forget_bias"] and "f" not in getattr(kind.params.get("b"), "blocks", ()):
        raise InvalidValue(f"--forget-bias: {kind.name} has no bias b with a block f, should be 0")
    return kind


def model(settings: Mapping[str, Any], kind: Cell, V: int) -> Any:
    """The language model of the settings, with the initial weights of the seed."""
    rng, D, H = np.random.default_rng(settings["seed"]), settings["embed"], settings["hidden"]
    init = {"b": {"f": settings["forget_bias"]}} if settings["forget_bias"] else None
    embedding = schemes.embedding if settings["embedding"] == "small" else "normal"
    return LanguageModel(kind, V, D, H, layers=settings["layers"], dropout=settings["dropout"], tied=settings["tie"],
                         variational=settings["variational"], mode=settings["scan"], rng=rng, init=init,
                         embedding=embedding)  # fmt: skip


def schedule(settings: Mapping[str, Any], optimizer: Any, steps: int) -> Any:
    """The schedule of the settings, for ``steps`` steps an epoch."""
    return optim.SCHEDULES[settings["schedule"]](optimizer, settings["epochs"] * steps)


def optimizer(settings: Mapping[str, Any], model: Any) -> Any:
    """The optimiser of the settings, by its name in `optim`."""
    return optim.OPTIMIZERS[settings["optimizer"]](model, lr=settings["lr"], weight_decay=settings["weight_decay"])


def batches(settings: Mapping[str, Any], splits: Splits) -> Any:
    """The windows of the training text."""
    return windows(splits.train.ids, settings["rows"], settings["window"], ring=settings["ring"])


def checks(settings: Mapping[str, Any], corpus: Corpus) -> Any:
    """The windows of an evaluation."""
    return windows(corpus.ids, settings["eval_rows"], settings["window"], tail=True)
