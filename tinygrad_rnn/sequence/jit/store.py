"""Compiled loops on disk, named by all that they depend on.

The folder is ``$XDG_CACHE_HOME/tinygrad_rnn/jit``, by default ``~/.cache/tinygrad_rnn/jit``; it may be deleted. A loop
is compiled anew for another source, other versions of Python, NumPy, llvmlite or this package, and another CPU. A file
begins with the checksum of the rest; a damaged one is written anew.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import llvmlite
import numpy as np
from llvmlite import binding

from ...engine.threads import spare
from ...errors import PlanError
from ...files import write_whole
from ..plan.pool import empty
from .compile import object_code, target_machine
from .helpers import Sharing, boxes, ready
from .passes import Pass
from .source import HEADER, Argument, Source

DIGEST = hashlib.sha256().digest_size
#: The floating point operations of the products of a pass from which threads share it: a tenth of a millisecond.
LARGE = 10_000_000


def folder() -> Path:
    """The folder of compiled loops."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "tinygrad_rnn" / "jit"


@functools.cache
def depends_on() -> str:
    """All that a compiled loop depends on beside its source."""
    here = Path(__file__).parent
    texts = [file.read_text(encoding="utf-8") for file in sorted(here.glob("*.py"))]
    features = binding.get_host_cpu_features().flatten()
    versions = (platform.python_version(), llvmlite.__version__, np.__version__, str(HEADER))
    return "\n".join([*texts, *versions, binding.get_host_cpu_name(), features])


class Functions:
    """Functions that are compiled together, when the first pass of them is called; ``title`` says what they are."""

    def __init__(self, title: str):
        self.title, self.sources, self.passes = title, dict[str, Source](), dict[str, Pass]()
        self.sharing: dict[str, Sharing] = {}

    def add(self, name: str, sources: Mapping[str, Source], phases: Sequence[Sequence[str]],
            arguments: Sequence[Argument], memory: Sequence[Argument], work: int) -> Callable[..., None]:  # fmt: skip
        """The pass ``function(T, *arrays)``, by the functions of its ``phases``. Other threads of Python run meanwhile.

        Threads may share it from `LARGE` operations on; ``work`` are those of a step.
        """
        self.sources.update(sources)
        this = self.passes[name] = Pass(phases, arguments, memory)
        sharing = self.sharing[name] = Sharing()
        fixed, a_step = this.places()[-1]

        def function(T: int, *arrays: np.ndarray) -> None:
            loaded, space = self.loaded, empty((fixed + a_step * T,), np.uint8)
            space[: this.counters] = 0

            def call(shared: bool) -> None:
                loaded[name](T, ready(loaded["serve"]) if shared else 0, boxes, space, *arrays)

            if T * work < LARGE or not spare():
                call(False)
            else:
                sharing.run(call, T)

        return function

    @functools.cached_property
    def loaded(self) -> dict[str, Any]:
        """The functions in memory, from their file or compiled, which is said on stderr."""
        path = self.path
        code = _read(path)
        if code is None:
            kept = _prepared(path.parent)
            text = f", once; kept in {path.parent}" if kept else f"; it cannot be kept in {path.parent}"
            print(f"tinygrad_rnn: compiling {self.title}{text}", file=sys.stderr, flush=True)
            code = object_code(self.sources, self.passes)
            if kept:
                write_whole(path, hashlib.sha256(code).digest() + code)
        return in_memory(code, self.passes)

    @property
    def path(self) -> Path:
        """The file of the functions."""
        texts = [this.text(name, self.sources) for name, this in self.passes.items()]
        key = "\n".join([*(source.text for source in self.sources.values()), *texts, depends_on()])
        return folder() / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.loop"


def _read(path: Path) -> bytes | None:
    """The machine code in a file; None if there is no such file, or a damaged one."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content[DIGEST:] if hashlib.sha256(content[DIGEST:]).digest() == content[:DIGEST] else None


def _prepared(folder: Path) -> bool:
    """Make the folder of compiled functions; can files be written to it?"""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return os.access(folder, os.W_OK)


def in_memory(code: bytes, passes: Mapping[str, Pass]) -> dict[str, Any]:
    """The passes of an object file, by name. Raises PlanError where an ndarray begins otherwise than in CPython."""
    probe = np.empty(1)
    if ctypes.c_void_p.from_address(id(probe) + HEADER).value != probe.ctypes.data:
        raise PlanError("the loop cannot be compiled: arrays of this Python have another layout in memory")
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), target_machine())
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    result = {}
    arrays = {"serve": 1, **{name: 2 + len(this.arguments) for name, this in passes.items()}}
    for name, count in arrays.items():
        integers: list[Any] = [ctypes.c_int64] * (0 if name == "serve" else 2)
        kind = ctypes.CFUNCTYPE(None, *integers, *[ctypes.py_object] * count)
        result[name] = kind(engine.get_function_address(name))
        result[name].engine = engine  # type: ignore[attr-defined]  # it owns the memory of the code
    return result
