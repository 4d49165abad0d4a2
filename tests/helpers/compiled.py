"""A compiled function of a text, without the folder of compiled functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_rnn.sequence.jit import compile, store
from tinygrad_rnn.sequence.jit.helpers import boxes
from tinygrad_rnn.sequence.jit.passes import Pass
from tinygrad_rnn.sequence.jit.source import Argument, Source


def compiled_function(text: str, arguments: Sequence[Argument]) -> Callable[..., Any]:
    """The function ``loop(T, *arrays)`` of a text."""
    sources, this = single(text, arguments)
    function = store.in_memory(compile.object_code(sources, this), this)["run"]
    return lambda T, *arrays: function(T, 0, boxes, np.zeros(this["run"].places()[-1][0], np.uint8), *arrays)


def single(text: str, arguments: Sequence[Argument]) -> tuple[dict[str, Source], dict[str, Pass]]:
    """The function ``loop`` of a text, and the pass that runs it alone."""
    return {"loop": Source(text, arguments)}, {"run": Pass([["loop"]], arguments)}


def optimised_text(text: str, arguments: Sequence[Argument]) -> str:
    """The LLVM instructions of a text, after the passes."""
    machine = compile.target_machine()
    return str(compile.optimised(compile.traced(*single(text, arguments)), machine))


def assembly(text: str, arguments: Sequence[Argument]) -> str:
    """The instructions of this machine."""
    machine = compile.target_machine()
    module = compile.optimised(compile.traced(*single(text, arguments)), machine)
    return str(machine.emit_assembly(module))
