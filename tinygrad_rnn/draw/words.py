"""Words of every picture and text: how the size of a gradient is written, and how text of a user is made harmless."""

from __future__ import annotations

import math
import unicodedata

LONGEST = 40  # characters of a name that are shown
SUBSCRIPTS = str.maketrans("-0123456789", "₋₀₁₂₃₄₅₆₇₈₉")
HARMFUL = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, marks of direction, surrogates, breaks of lines


def size_text(x: float | None) -> str:
    """A norm: ``‖0.23‖``, in two digits; ``NaN`` and ``inf`` as they are, nothing where it is not known."""
    if x is None:
        return ""
    if math.isnan(x):
        return "NaN"
    return f"‖{x:.2g}‖" if math.isfinite(x) else "inf"


def number_text(x: float) -> str:
    """A number in two digits; ``NaN`` and ``inf`` as they are."""
    return "NaN" if math.isnan(x) else f"{x:.2g}"


def plain(text: object) -> str:
    """The text with a space for every character that does not print: it stays on its line, and can be encoded."""
    return "".join(" " if unicodedata.category(c) in HARMFUL or c in "\ufffe\uffff" else c for c in str(text))


def cut(text: str, longest: int = LONGEST) -> str:
    """The text, with … for what is past ``longest`` characters."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def subscript(n: int) -> str:
    """A number as an index: ``₁₂``."""
    return str(n).translate(SUBSCRIPTS)
