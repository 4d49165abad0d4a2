"""What is visible in a function of the user's: its variables and atoms by kind, its helpers, the name of NumPy."""

from __future__ import annotations

import ast
import functools
import re

from .observe import Kind, Observation, beside, names_of, unread


class Scope:
    """What is visible in a unit: its atoms by kind, the helpers of one argument, the name of NumPy."""

    def __init__(self, seen: Observation, k: int):
        self.seen, self.k = seen, k
        self.by_kind: dict[Kind, list[str]] = {}
        for text, kind in seen.atoms[k].items():
            self.by_kind.setdefault(kind, []).append(text)
        units = seen.job.units
        self.helpers = list(dict.fromkeys(
            unit.function.__name__ for unit in units if unit.function.__code__.co_argcount == 1 and not unit.around
        ))  # fmt: skip
        names = seen.job.units[k].function.__globals__
        self.numpy = next((name for name, x in names.items() if getattr(x, "__name__", "") == "numpy"), "np")
        self.misfits = float("inf") in seen.job.first.errors.values()
        self.steps = [loop.target.id for loop in ast.walk(units[k].node)
                      if isinstance(loop, ast.For) and isinstance(loop.target, ast.Name)]  # fmt: skip
        self.unread = unread(units[k].node)
        self.beside = beside(units[k].node)
        self.names = names_of(units[k].node)
        self.slices = list({ast.dump(node): node for node in ast.walk(units[k].node)
                            if isinstance(node, ast.Slice)}.values())  # fmt: skip

    def same_kind(self, part: ast.expr, node: ast.expr) -> bool:
        """Have two expressions values of the same kind, as far as is known?"""
        return self.seen.kinds.get(id(part)) == self.seen.kinds.get(id(node))

    def is_square(self, node: ast.expr) -> bool:
        """Is it a square matrix? Any other could not stand transposed where it stands."""
        _, shape = self.seen.kinds.get(id(node), ("", ()))
        return len(shape) == 2 and shape[0] == shape[1]

    def follows(self, text: str) -> bool:
        """Does a variable change with the gradients by the outputs, or is that not known?"""
        return not self.seen.following or self._following.get(text, True)

    @functools.cached_property
    def _following(self) -> dict[str, bool]:
        """By the text of each expression: does it change with the gradients by the outputs anywhere?"""
        follows: dict[str, bool] = {}
        for node in self.seen.expressions[self.k]:
            text = ast.unparse(node)
            follows[text] = follows.get(text, False) or id(node) in self.seen.following
        return follows

    target = ""  # what the statement assigns

    def hint(self, atom: str) -> float:
        """A lower cost for the variable that the assigned gradient is by, ``f`` for ``df``, unread, or of a loop."""
        stem, base = stem_of(self.target), re.split(r"\W", atom)[0]
        named = stem and stem in (stem_of(atom), f"a{stem_of(atom)}")
        unseen = 0.4 if atom in self.beside else 0.0
        return (-0.8 if named or atom in self.steps else 0.0) - (0.8 if base in self.unread else 0.0) + unseen

    def like(self, kind: Kind | None, but: str = "") -> list[str]:
        """The atoms of a kind."""
        return [text for text in self.by_kind.get(kind, []) if text != but] if kind else []


def stem_of(text: str) -> str:
    """The variable in an atom: ``f`` of ``df``, ``grad_f``, ``f_s[t]``, ``s['f']`` and ``self.f``."""
    keys = re.findall(r"\['(\w+)'\]", text)
    name = keys[-1] if keys else text.split("[")[0].split(".")[-1]
    for prefix in ("grad_", "delta_", "d_", "d"):
        if name.startswith(prefix) and name != prefix:
            name = name[len(prefix) :]
            break
    return re.sub(r"(_s|_t|_raw|_prev|_next|s)$", "", name) or name
