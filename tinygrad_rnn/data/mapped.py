"""Texts larger than the memory: their ids are in a file, of which the parts that are read are in memory."""

from __future__ import annotations

import io
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import InvalidValue
from ..files import check_regular, writing
from .corpus import CHUNK, Corpus
from .text import Reader

FORMAT = 1  #: version of the JSON behind the ids
HEADER = 128  #: bytes before the ids


def map_text(
    path: str | os.PathLike[str],
    to: str | os.PathLike[str],
    vocab: Sequence[str] | None = None,
    *,
    tokens: str = "word",
    encoding: str = "utf-8",
    max_vocab: int | None = None,
) -> Corpus:
    """The corpus of :func:`read_text`, with its ids in the file ``to``: a text may be larger than the memory.

    The text is read once, a megabyte at a time. In memory are its different tokens, and of the ids what is read at the
    moment, such as a window. ``open_map(to)`` opens the file again. The file appears whole or not at all. It is a
    ``.npy`` file of int32, which ``np.load`` reads, with the vocabulary and a checksum as JSON behind the array. Raises
    what `read_text` raises.
    """
    reader = Reader("map_text", path, vocab, tokens, encoding, max_vocab)
    if os.path.exists(to) and os.path.samefile(path, to):
        raise InvalidValue(f"map_text: to is {to}, the text itself, should be another file")
    with writing(to) as file:
        file.write(bytes(HEADER))
        n = sum(file.write(ids.astype("<i4").tobytes()) for ids in reader) // 4
        new_vocab, new_ids = reader.vocabulary()
        if new_ids is not None:
            _rename(file, n, new_ids)
        about = {"format": FORMAT, "crc32": _checksum(file, n, new_vocab), "tokens": tokens, "vocab": new_vocab}
        file.seek(HEADER + 4 * n)
        file.write(json.dumps(about, ensure_ascii=False).encode())
        file.seek(0)
        file.write(_header(n))
    return open_map(to)


def _header(n: int) -> bytes:
    """The beginning of a ``.npy`` file of n int32, in HEADER bytes."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i4", "fortran_order": False, "shape": (n,)})
    magic, text = header.getvalue()[:8], header.getvalue()[10:].rstrip()
    size = HEADER - 10
    return magic + size.to_bytes(2, "little") + text.ljust(size - 1) + b"\n"


def _pieces(file: BinaryIO, n: int) -> Iterator[tuple[int, bytes]]:
    """The n ids of the file as bytes, some at a time, each with its place in the file."""
    for start in range(HEADER, HEADER + 4 * n, 4 * CHUNK):
        file.seek(start)
        yield start, file.read(min(4 * CHUNK, HEADER + 4 * n - start))


def _rename(file: BinaryIO, n: int, new_ids: np.ndarray) -> None:
    """Replace each of the n ids in the file by its new id."""
    for start, piece in _pieces(file, n):
        file.seek(start)
        file.write(new_ids[np.frombuffer(piece, "<i4")].astype("<i4").tobytes())


def _checksum(file: BinaryIO, n: int, vocab: Sequence[str]) -> int:
    """The CRC-32 of the vocabulary and of the n ids of the file."""
    checksum = zlib.crc32("\0".join(vocab).encode())
    for _, piece in _pieces(file, n):
        checksum = zlib.crc32(piece, checksum)
    return checksum


def open_map(path: str | os.PathLike[str]) -> Corpus:
    """The corpus in a file that :func:`map_text` wrote; its ids are a memory map.

    Raises FileNotFoundError for no such file, OSError for a folder, a pipe or a device, InvalidValue for a file that
    `map_text` did not write, that is cut or altered, or that a later version wrote.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"open_map: there is no file {path}, it should be one that map_text wrote")
    check_regular(path, "open_map", should="a file that map_text wrote")
    try:
        ids = np.lib.format.open_memmap(path, mode="r")
        with open(path, "rb") as file:
            file.seek(HEADER + 4 * len(ids))
            about: Any = json.loads(file.read())
            version, vocab, tokens = about["format"], tuple(about["vocab"]), about["tokens"]
            same = about["crc32"] == _checksum(file, len(ids), vocab)
    except (ValueError, TypeError, KeyError) as error:  # JSON and Unicode errors are ValueErrors
        raise InvalidValue(f"open_map: {path} is another file, or cut, should be one that map_text wrote") from error
    if version != FORMAT:
        raise InvalidValue(f"open_map: {path} has format {version}, should be {FORMAT}: a later version wrote it")
    if not same:
        raise InvalidValue(f"open_map: {path} has another checksum than it should have: it was altered")
    return Corpus(ids, vocab, tokens)
