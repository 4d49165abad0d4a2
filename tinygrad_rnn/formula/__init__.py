"""The gradient rule of an operation as a formula, found by running the rule on arrays that record its steps.

::

    e = local_derivative(OPS["tanh"], 0, [(3, 4)], {})
    text(e)                                # "dy ⊙ (1 − y²)"
    text(e, {"y": "f", "dy": "df"})        # "df ⊙ (1 − f²)"
    along(e, {"y": "tanh"})                # "⊙ (1 − tanh²)", for a box on an arrow
    evaluate(e, {"dy": dy, "y": y})        # its numbers

`from_rule` finds a formula, `expression` defines it, and `simplify` brings it into textbook form. A `printer` writes
it: `unicode_printer` for people (see `notation`), `numpy_printer` for programs, whose lines `line_breaks` breaks.
"""

from __future__ import annotations

from .expression import Constant, Expr, Leaf, Part, evaluate, postorder
from .notation import along, text
from ..errors import FormulaError
from .from_rule import known, local_derivative, sample_argument
from .simplify import simplified

__all__ = ["Constant", "Expr", "FormulaError", "Leaf", "Part", "along", "evaluate", "known", "local_derivative",
           "postorder", "simplified", "sample_argument", "text"]  # fmt: skip
