"""Which code is the user's: that of no installed library, and not of this package."""

from __future__ import annotations

import os
import site
import sys
import sysconfig

#: Where libraries are; the package itself is one.
LIBRARIES = tuple(dict.fromkeys([
    *(path for path in sysconfig.get_paths().values() if path != sys.prefix), *site.getsitepackages(),
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep,
]))  # fmt: skip


def is_users_file(file: str) -> bool:
    """Is it the file of a user's code, also an input of a notebook or of a REPL?"""
    return bool(file) and not file.startswith((*LIBRARIES, "<frozen"))
