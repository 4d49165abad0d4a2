"""A compiled function of a text, without the folder of compiled functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_rnn.sequence.jit import compile, store


def compiled_function(text: str, arguments: Sequence[compile.Argument]) -> Callable[..., Any]:
    """The function ``loop(T, *arrays)`` of a text."""
    sources = {"loop": compile.Source(text, arguments)}
    return store.in_memory(compile.object_code(sources), sources)["loop"]


def optimised_text(text: str, arguments: Sequence[compile.Argument]) -> str:
    """The LLVM instructions of a text, after the passes."""
    machine = compile.target_machine()
    return str(compile.optimised(compile.traced({"loop": compile.Source(text, arguments)}), machine))


def assembly(text: str, arguments: Sequence[compile.Argument]) -> str:
    """The instructions of this machine."""
    machine = compile.target_machine()
    module = compile.optimised(compile.traced({"loop": compile.Source(text, arguments)}), machine)
    return str(machine.emit_assembly(module))
