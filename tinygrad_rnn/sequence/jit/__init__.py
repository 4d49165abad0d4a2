"""The loop over time of a plan, compiled by LLVM.

No module in here is imported before ``mode="jit"`` is asked for: llvmlite is an extra.
"""

from __future__ import annotations

from typing import Any

from ...errors import MissingDependency


def compiled_writer() -> Any:
    """The writer of plans whose loop is compiled. Raises MissingDependency, which names the extra, without llvmlite."""
    try:
        import llvmlite
    except ModuleNotFoundError as error:
        text = "scan: mode='jit' needs llvmlite: pip install 'tinygrad-rnn[jit]'"
        raise MissingDependency(text, name="llvmlite") from error
    from .write import CompiledWriter

    return CompiledWriter
