"""The names of a plan's source: those of the cell, and names for values without one."""

from __future__ import annotations

import keyword
from collections.abc import Sequence

from ...formula.line_breaks import identifier
from ...formula.numpy_functions import traits
from .program import Program, Statement

#: What the text of a plan, or of its compiled loop, means by these names.
RESERVED = ("np", "empty", "T", "t", "rng", "range", "local", "part", "rows", "pack", "multiply", "Panels", "add_up",
            "sigmoid", "clip", "erf", "erfc", "total_", "top_", "mean_", "n_", "j_", "k_", "l_", "m_", "p_", "q_",
            "r_")  # fmt: skip

#: Shorter names for values that the cell does not name.
STEMS = {"part": "a", "prod": "p", "diff": "rest", "s": "sum"}


def plural(name: str) -> str:
    """The name of the values of all steps: ``fs`` for f, but ``i_s`` for i, because Python has a word "is"."""
    return f"{name}_s" if keyword.iskeyword(f"{name}s") else f"{name}s"


class Names:
    """Gives every value of a program an identifier; its `plural` is free for its values at all steps."""

    def __init__(self, program: Program, order: Sequence[Statement]):
        functions = [statement.op.replace(":", "_").replace(".", "_") for statement in order]
        self.program, self.taken = program, dict.fromkeys(functions)
        self.of: dict[int, str] = {}
        for value in program.values:
            if value.kind not in ("operation", "constant"):
                self.of[value.number] = self.new(value.name or value.kind)
        for statement in order:
            for number in statement.outs:
                if number not in self.of:
                    self.of[number] = self.new(program.values[number].name or self.derived(statement))

    def new(self, wanted: str) -> str:
        """A free identifier: ``c'`` is c_next, ``Wx.f`` is Wx_f."""
        text = wanted.replace("'", "_next").replace(".", "_").replace("·", "_")
        text = f"_{text}" if text.startswith("constant_") else text  # these are names of constants
        name = identifier(text, self.taken, RESERVED)
        while plural(name) in self.taken or f"{name}_all" in self.taken:
            name = identifier(f"{name}_", self.taken, RESERVED)
        self.taken.update(dict.fromkeys([name, plural(name), f"{name}_all", f"{name}_first", f"{name}_new"]))
        return name

    def derived(self, statement: Statement) -> str:
        """A name from the operation and its operands: ``hWh`` for a product of h and Wh."""
        inside = [self.of.get(arg, "") for arg in statement.args]
        known = traits(statement.op)
        word = STEMS.get(known.stem, known.stem) or statement.op.partition(":")[2].partition(".")[0] or statement.op
        if len(inside) == 2 and all(inside) and known.product and max(map(len, inside)) <= 3:
            return "".join(inside)
        if len(inside) == 1 and inside[0] and len(inside[0]) <= 4:
            return f"{word}_{inside[0]}"
        return word
