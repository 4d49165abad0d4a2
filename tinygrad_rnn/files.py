"""Files are written beside their place and then renamed: whole, or not there."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write ``content`` (text as UTF-8) to ``path``, by one rename; the folder must be there.

    Nobody ever reads half a file, a failed write leaves the old one, and two processes may write at once.
    """
    target = Path(path)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
