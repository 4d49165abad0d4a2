"""A folder of three texts: for training, for validation, and for the test."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import InvalidValue
from ..files import read_whole
from .corpus import Corpus
from .text import read_text

#: File names with a known content, and its MD5: the Penn Treebank as Mikolov prepared it.
KNOWN: Mapping[str, str] = {
    "ptb.train.txt": "f26c4b92c5fdc7b3f8c7cdcb991d8420",
    "ptb.valid.txt": "aa0affc06ff7c36e977d7cd49e3839bf",
    "ptb.test.txt": "8b80168b89c18661a38ef683c0dc3721",
}


class Splits(NamedTuple):
    """Three corpora in the vocabulary of ``train``."""

    train: Corpus
    valid: Corpus
    test: Corpus


def load(
    folder: str | os.PathLike[str],
    *,
    tokens: str = "word",
    encoding: str = "utf-8",
    max_vocab: int | None = None,
    known: Mapping[str, str] = KNOWN,
    validate: bool = True,
) -> Splits:
    """Read the train, valid and test text of ``folder``: ``train.txt`` or ``NAME.train.txt``, and so on.

    The words are numbered in the order in which they first appear in ``train``. A word of ``valid`` or ``test`` that is
    not in ``train`` becomes ``<unk>``, or raises InvalidValue if ``train`` has no ``<unk>``. ``tokens``, ``encoding``
    and ``max_vocab``, the largest size of the vocabulary, are those of :func:`read_text`. Files whose names begin
    with a dot are ignored. A file named in ``known`` (name -> MD5, by default the files of the Penn Treebank) must have
    that MD5, so that its perplexity compares with published numbers. ``validate=False`` reads the train text alone, in
    the place of all three.

    Raises NotADirectoryError for no such folder, FileNotFoundError for a split without a file or with two, InvalidValue
    for a wrong MD5, and the errors of :func:`read_text`.
    """
    home = Path(folder)
    if not home.is_dir():
        raise NotADirectoryError(f"load: {home} is not a folder, should be one with a train, a valid and a test text")
    paths = [_find(home, split) for split in (Splits._fields if validate else ("train",))]
    return read_splits(paths, known, tokens=tokens, encoding=encoding, max_vocab=max_vocab)


def read_splits(
    paths: Sequence[Path],
    known: Mapping[str, str],
    *,
    tokens: str = "word",
    encoding: str = "utf-8",
    max_vocab: int | None = None,
) -> Splits:
    """Read three texts in the vocabulary of the first, or one in the place of three.

    Files named in ``known`` are checked first.
    """
    for path in paths:
        if path.name in known:
            check_md5(str(path), read_whole(path, "load", should="a text file"), known[path.name])
    train = read_text(paths[0], tokens=tokens, encoding=encoding, max_vocab=max_vocab)
    others = [read_text(path, train.vocab, tokens=tokens, encoding=encoding) for path in paths[1:]]
    return Splits(train, *(others or [train, train]))


def check_md5(where: str, data: bytes, expected: str) -> None:
    """Raise InvalidValue unless ``data`` has the MD5. It detects accidents, not attacks. ``where`` names the data."""
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if md5 != expected:
        raise InvalidValue(f"{where}: the MD5 is {md5}, should be {expected}")


def _find(home: Path, split: str) -> Path:
    """The only file of a split."""
    names = sorted(path.name for path in home.iterdir() if f".{path.name}".endswith(f".{split}.txt"))
    names = [name for name in names if not name.startswith(".")]
    if len(names) == 1:
        return home / names[0]
    what = " and ".join(names) if names else f"no {split} text"
    raise FileNotFoundError(f"load: {home} has {what}, should have one file {split}.txt or NAME.{split}.txt")
