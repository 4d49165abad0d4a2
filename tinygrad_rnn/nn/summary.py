"""The summary of a model: a row for each module, with its output shape, its parameters and its memory."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..engine.context import no_grad
from ..engine.tensor import Tensor
from .parameter import Frozen

if TYPE_CHECKING:
    from .module import Module

HEAD = ("name", "layer", "output", "parameters", "frozen", "memory")


@dataclass(frozen=True)
class SummaryRow:
    """A module. Counts and bytes include the modules below it; a tied weight counts in each module that holds it."""

    name: str  #: the path, "" for the model itself
    layer: str  #: the class
    output: tuple[int, ...] | None  #: shape of the output of the last call, of several outputs the first; None unseen
    parameters: int  #: elements of all parameters, frozen ones included
    frozen: int  #: elements of the frozen parameters
    memory: int  #: bytes of parameters, buffers and output


@dataclass(frozen=True)
class Summary:
    """What `Module.summary` returns; ``print`` shows it as a table."""

    rows: tuple[SummaryRow, ...]  #: the model first, then its modules in the order of assignment

    @property
    def parameters(self) -> int:
        """The number of parameters of the model, tied weights counted once."""
        return self.rows[0].parameters

    def __str__(self) -> str:
        table = [HEAD, *(_cells(row) for row in self.rows)]
        table = [cells[:4] + cells[5:] for cells in table] if not self.rows[0].frozen else table
        left = table[0].index("parameters")  # numbers stand at the right
        widths = [max(len(cells[k]) for cells in table) for k in range(len(table[0]))]
        lines = ["  ".join(cell.ljust(width) if k < left else cell.rjust(width)
                           for k, (cell, width) in enumerate(zip(cells, widths))) for cells in table]  # fmt: skip
        return "\n".join(line.rstrip() for line in lines)

    __repr__ = __str__


def _cells(row: SummaryRow) -> tuple[str, ...]:
    """The row as text."""
    shape = "-" if row.output is None else str(row.output)
    return row.name or "(model)", row.layer, shape, f"{row.parameters:,}", f"{row.frozen:,}", _bytes(row.memory)


def _bytes(count: float) -> str:
    """A number of bytes with three digits: 816 B, 1.24 kB, 25.6 MB."""
    for unit in ("B", "kB", "MB"):
        if float(f"{count:.3g}") < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def summarize(model: Module, inputs: Sequence[Any], options: Mapping[str, Any]) -> Summary:
    """The rows of ``model``, with the output shapes of a call on ``inputs`` if there are any."""
    outputs = _outputs(model, inputs, options) if inputs or options else {}
    rows = []
    for name, module in model.modules.items():
        saved, trained = module._saved(), module.params
        frozen = sum(tensor.size for tensor in saved.values() if isinstance(tensor, Frozen))
        nbytes = sum(tensor.size * tensor.dtype.itemsize for tensor in saved.values())
        output = outputs.get(name)
        memory = nbytes + (output.size * output.dtype.itemsize if output is not None else 0)
        count = sum(tensor.size for tensor in trained.values()) + frozen
        shape = None if output is None else output.shape
        rows.append(SummaryRow(name, type(module).__name__, shape, count, frozen, memory))
    return Summary(tuple(rows))


def _outputs(model: Module, inputs: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Tensor]:
    """The first output of each module, by path, in a call of a copy of ``model``.

    The modules of the copy get a subclass each that notes what a call returns; no class of the user's changes.
    """
    twin, outputs = copy.deepcopy(model).eval(), dict[str, Tensor]()
    for name, module in twin.modules.items():
        module.__class__ = _noting(type(module), name, outputs)
    with no_grad():
        twin(*inputs, **options)
    return outputs


def _noting(kind: type[Module], name: str, outputs: dict[str, Tensor]) -> type[Module]:
    """A subclass of ``kind`` whose calls put their first output into ``outputs``."""

    def noted(call: Any) -> Any:
        @functools.wraps(call)
        def wrapper(self: Any, *args: Any, **options: Any) -> Any:
            result = call(self, *args, **options)
            first = result
            while isinstance(first, (tuple, list)) and len(first):
                first = first[0]
            if isinstance(first, Tensor):
                outputs[name] = first
            return result

        return wrapper

    methods = {"__call__": noted(kind.__call__), "forward": noted(kind.forward), "__module__": kind.__module__}
    return type(kind.__name__, (kind,), methods)
