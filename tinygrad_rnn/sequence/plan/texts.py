"""The text of a value and of a call in a plan's source, and the objects that the source refers to by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...engine.op import OPS
from .program import Program, Statement
from .schedule import is_view


class Texts:
    """Writes numbers, indices and calls; ``space`` has the functions and constants that they name."""

    def __init__(self, program: Program):
        self.program = program
        self.space: dict[str, Any] = {"np": np}
        self.constants: dict[int, str] = {}

    def function(self, statement: Statement) -> str:
        """The name of the function of a statement: NumPy's, or else an object of the source."""
        op, function = statement.op, statement.function
        if (op not in OPS and getattr(np, op, None) is function) or isinstance(function, np.ufunc):
            return f"np.{function.__name__}"
        if op in OPS and OPS[op].into is not None:
            function = OPS[op].into
        return self.named(op.replace(":", "_").replace(".", "_"), function)

    def named(self, wanted: str, thing: Any) -> str:
        """The name of an object in the source."""
        name, k = wanted, 2
        while name in self.space and self.space[name] is not thing:
            name, k = f"{wanted}_{k}", k + 1
        self.space[name] = thing
        return name

    def plain(self, statement: Statement, texts: Sequence[str]) -> str:
        """The statement on values of one step."""
        if is_view(statement) and (text := self.view(statement, texts[0])) is not None:
            return text
        if statement.op == "join":
            return f"np.concatenate(({', '.join(texts)},), axis=-1)"
        return self.call(statement, texts, statement.attrs)

    def call(self, statement: Statement, args: Sequence[str], attrs: Mapping[str, Any], out: str = "") -> str:
        """A call with its attributes as keywords."""
        options = [f"{name}={self.constant(attr)}" for name, attr in attrs.items()]
        options += ["rng=rng"] * statement.draws + [f"out={out}"] * bool(out)
        return f"{self.function(statement)}({', '.join([*args, *options])})"

    def constant(self, attr: Any) -> str:
        """A value as Python writes it; an object of the source if Python has no literal for it."""
        if attr is None or isinstance(attr, (bool, int, str)) or (isinstance(attr, float) and np.isfinite(attr)):
            return repr(attr)
        if isinstance(attr, tuple):
            return f"({''.join(f'{self.constant(part)}, ' for part in attr).strip()})"
        if isinstance(attr, slice):
            return f"slice({attr.start}, {attr.stop}, {attr.step})"
        if isinstance(attr, np.integer):
            return str(int(attr))
        if attr is Ellipsis:
            return "..."
        if id(attr) not in self.constants:
            fixed = np.array(attr) if isinstance(attr, np.ndarray) else attr  # the user may change an array of indices
            self.constants[id(attr)] = self.named(f"constant_{len(self.constants) + 1}", fixed)
        return self.constants[id(attr)]

    def tuple(self, sizes: Sequence[Any]) -> str:
        return f"({', '.join(map(str, sizes))}{',' * (len(sizes) == 1)})"

    def index(self, index: Any) -> str:
        """The inside of square brackets."""
        return ", ".join(self._entry(entry) for entry in (index if isinstance(index, tuple) else (index,))) or "()"

    def _entry(self, entry: Any) -> str:
        if isinstance(entry, slice):
            ends = ["" if end is None else str(end) for end in (entry.start, entry.stop, entry.step)]
            return ":".join(ends if ends[2] else ends[:2])
        return "..." if entry is Ellipsis else self.constant(entry)

    def view(self, statement: Statement, text: str) -> str | None:
        """The text of a view of a step's value; None for other statements."""
        op, attrs = statement.op, statement.attrs
        if op == "getitem":
            return f"{text}[{self.index(attrs['index'])}]"
        if op in ("detach", "copy"):
            return text
        if op == "transpose" and attrs.get("axes") is None:
            return f"{text}.T"
        if op == "swapaxes":
            return f"{text}.swapaxes({attrs['axis1']}, {attrs['axis2']})"
        return None
