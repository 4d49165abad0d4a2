"""The traits of NumPy's functions that occur in formulas and are no operations, such as comparisons."""

from __future__ import annotations

from collections.abc import Mapping

from ..engine.declaration import AND, COMPARED, Traits
from ..engine.op import OPS


def _relation(numpy: str, latex: str, unicode: str) -> Traits:
    return Traits(code=(f"{{x:SUM}} {numpy} {{w:SUM}}", COMPARED), latex=(f"{{x:SUM}} {latex} {{w:SUM}}", COMPARED),
                  unicode=(f"{{x:SUM}} {unicode} {{w:SUM}}", COMPARED), form="comparison")  # fmt: skip


def _connective(numpy: str, latex: str, unicode: str) -> Traits:
    return Traits(code=(f"{{x:SUM}} {numpy} {{w:SUM}}", AND), latex=(f"{{x:SUM}} {latex} {{w:SUM}}", AND),
                  unicode=(f"{{x:AND}} {unicode} {{w:COMPARED}}", AND), form="truth value")  # fmt: skip


#: NumPy's functions in formulas that are no operations, and ``cast``, which only formulas have.
FUNCTIONS: Mapping[str, Traits] = {
    "less": _relation("<", "<", "<"),
    "less_equal": _relation("<=", r"\le", "≤"),
    "greater": _relation(">", ">", ">"),
    "greater_equal": _relation(">=", r"\ge", "≥"),
    "equal": _relation("==", "=", "="),
    "not_equal": _relation("!=", r"\ne", "≠"),
    **dict.fromkeys(("logical_and", "bitwise_and"), _connective("&", r"\wedge", "and")),
    **dict.fromkeys(("logical_or", "bitwise_or"), _connective("|", r"\vee", "or")),
    "logical_not": Traits(unicode=("not {x:ATOM}", AND), latex=r"\neg\left({x}\right)", form="truth value"),
    "asarray": Traits(unicode=("{x}", AND), code="{x}", form="cast", cost=0),
    "cast": Traits(code="{x:ATOM}.astype({w}.dtype)", form="cast"),
    "absolute": Traits(unicode="|{x}|", latex=r"\left|{x}\right|"),
    "hstack": Traits(form="join"),
    "zeros_like": Traits(form="zeros"),
}
_NO_TRAITS = Traits()


def traits(name: str) -> Traits:
    """The traits of the operation, or of the NumPy function, with this name."""
    return OPS[name].traits if name in OPS else FUNCTIONS.get(name, _NO_TRAITS)
