"""A folder of three texts: what one trains on, what one chooses by, what one reports."""

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

#: The file names that promise one content, and its MD5: the Penn Treebank as Mikolov prepared it.
KNOWN: Mapping[str, str] = {
    "ptb.train.txt": "f26c4b92c5fdc7b3f8c7cdcb991d8420",
    "ptb.valid.txt": "aa0affc06ff7c36e977d7cd49e3839bf",
    "ptb.test.txt": "8b80168b89c18661a38ef683c0dc3721",
}


class Splits(NamedTuple):
    """Three corpora in one vocabulary, that of ``train``."""

    train: Corpus
    valid: Corpus
    test: Corpus


def load(folder: str | os.PathLike[str], *, known: Mapping[str, str] = KNOWN) -> Splits:
    """Read the train, valid and test text of ``folder``: ``train.txt`` or ``ANY.train.txt``, and so on.

    The words are numbered as they first appear in ``train``; a word of ``valid`` or ``test`` that ``train`` has not
    becomes ``<unk>``, or is an error where ``train`` has no ``<unk>``. Files whose names begin with a dot are not
    seen. A file named in ``known`` (name -> MD5, the three of the Penn Treebank) must be what its name says, so that
    a perplexity of it compares with other people's.

    Errors: no such folder, no file or two files for a split, a wrong MD5, whatever :func:`read_text` finds.
    """
    home = Path(folder)
    if not home.is_dir():
        raise NotADirectoryError(f"load: {home} is not a folder, should be one with a train, a valid and a test text")
    return read_splits([_find(home, split) for split in Splits._fields], known)


def read_splits(paths: Sequence[Path], known: Mapping[str, str]) -> Splits:
    """Read three texts, train first, in the vocabulary of the first; those named in ``known`` are checked before."""
    for path in paths:
        if path.name in known:
            check_md5(str(path), read_whole(path, "load", should="a text file"), known[path.name])
    train = read_text(paths[0])
    return Splits(train, *(read_text(path, train.vocab) for path in paths[1:]))


def check_md5(where: str, data: bytes, expected: str) -> None:
    """Raise unless ``data`` is what it should be; ``where`` names it. It guards against mishaps, not against malice."""
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if md5 != expected:
        raise InvalidValue(f"{where}: the MD5 is {md5}, should be {expected}")


def _find(home: Path, split: str) -> Path:
    """The one file of a split."""
    names = sorted(path.name for path in home.iterdir() if f".{path.name}".endswith(f".{split}.txt"))
    names = [name for name in names if not name.startswith(".")]
    if len(names) == 1:
        return home / names[0]
    what = " and ".join(names) if names else f"no {split} text"
    raise FileNotFoundError(f"load: {home} has {what}, should have one file {split}.txt or NAME.{split}.txt")
