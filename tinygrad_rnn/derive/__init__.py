"""From the equations of a cell, its backward pass: as NumPy in the book's style, as LaTeX, and in explained steps.

::

    print(derive(lstm))                      # def lstm_forward(...), def lstm_backward(...)
    print(derive(lstm, loop=True))           # and backpropagation through time
    print(derive(lstm, form="latex"))        # one line for each step of the chain rule
    print(derive(lstm, form="steps"))        # the same in words
    print(derive(tanh))                      # an operation: dx = dy * (1 - y**2)

Nothing in it is written by hand: the chain rule runs on the equations of the recorded step (`gradients`), the formulas
are simplified and named (`program`) and printed (`module`, `latex`, `prose`). Before anything is shown, the printed
code is executed and compared with autograd (`verify`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..cells.cell import Cell, advice
from ..engine.op import Op
from ..errors import DeriveError, FormulaError, InvalidType, InvalidValue
from ..tracing.formulas import PRIMES, traced_step
from .latex import latex
from .module import Module
from .operation import OperationDerivative
from .program import Program
from .prose import steps
from .verify import executed, verify

__all__ = ["FORMS", "DeriveError", "Derived", "derive"]
FORMS = ("numpy", "latex", "steps")


@dataclass(frozen=True)
class Derived:
    """A backward pass in all its forms; ``str()`` gives the form that `derive` was asked for.

    ``functions`` are those of ``source`` by name, as they were executed: ``functions["lstm_backward"](dh, dc, cache)``.
    """

    name: str
    form: str
    source: str
    latex: str
    steps: str
    functions: dict[str, Callable[..., Any]]

    def __str__(self) -> str:
        return {"numpy": self.source, "latex": self.latex, "steps": self.steps}[self.form]

    def _repr_markdown_(self) -> str:
        return {"numpy": f"```python\n{self.source}```", "latex": f"$${self.latex}$$", "steps": self.steps}[self.form]


def derive(cell: Any, *, form: str = "numpy", loop: bool = False) -> Derived:
    """The backward pass of ``cell``, from its forward equations: code that has run and equals autograd to 1e-12.

    ``form`` is what ``str()`` gives: "numpy" (a module: a forward step, a backward step, with ``loop`` backpropagation
    through time), "latex" or "steps".  Configuration has its defaults: a wrapped cell is the one to evaluate.

    In the place of a cell it takes an operation, ``derive(tg.tanh)``: y = tanh x, ∂y/∂x = 1 - y², dx = dy (1 - y²).

    `DeriveError` if the cell or the operation uses what no formula tells, or if what was derived did not pass its
    check; InvalidType for anything else, and for a ``loop`` of an operation.
    """
    if form not in FORMS:
        raise InvalidValue(f"derive: form is {form!r}, should be one of {', '.join(FORMS)}")
    if isinstance(op := getattr(cell, "spec", None), Op):
        return _of_operation(op, form, loop)
    if not isinstance(cell, Cell):
        more = advice(cell, "derive", tensors=False)
        raise InvalidType(f"derive: cell is a {type(cell).__name__}, should be a cell: equations under @cell{more}")
    for primes in PRIMES:
        try:
            program = Program(traced_step(cell, primes))
            module = Module(program, loop)
            functions = executed(module)
            verify(module, functions)
            break
        except FormulaError as error:  # a number of the cell may have been taken for a size: once more with others
            if primes is PRIMES[-1]:
                raise error if isinstance(error, DeriveError) else DeriveError(f"{cell.name}: {error}") from error
    return Derived(cell.name, form, module.text, latex(program), steps(program), functions)


def _of_operation(op: Op, form: str, loop: bool) -> Derived:
    """The derivative of an operation in all its forms."""
    if loop:
        raise InvalidType(f"derive: {op.name} is an operation, loop should be left out: it has no steps")
    try:
        with np.errstate(all="ignore"):
            derivative = OperationDerivative(op)
            source = derivative.source()
            functions = derivative.executed(source)
        return Derived(op.name, form, source, derivative.latex(), derivative.steps(), functions)
    except DeriveError:
        raise
    except (ValueError, TypeError, IndexError) as error:  # its attributes hold for some shapes only, or it has no text
        raise DeriveError(f"{op.name}: no formula tells its derivative at every shape: {error}") from error
