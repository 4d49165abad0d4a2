"""Expressions of given values: what a located line should hold, written with the variables that are visible there.

The line is run once with what it should hold, and the values of its parts and of all variables are noted. What a part
should be follows by the inverse of what is done with it: ``x - b`` for a in ``a + b``, ``x / b`` for a in ``a * b``. It
is looked up among products of variables, of their local slopes and of matrices. No candidate runs the user's code: the
products of two are a sorted table, and of more the others divide what is looked up.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from .edits import expression
from .instrument import instrumented
from .observe import kind_of
from .place import Place
from .references import is_held
from .scope import Scope
from .statement_edits import Edit, inner_places
from .table import Form, Table, Values

SAMPLES = 12  # values of all runs that are compared
TERM = 1.5  # how much more a term costs that is added
SLOPES: Any = (("{}", 0.0, np.asarray), ("(1 - {})", 0.2, lambda x: 1 - x), ("(1 - {} ** 2)", 0.2, lambda x: 1 - x * x),
               ("{} ** 2", 0.2, np.square), ("{}.T", 0.2, np.transpose), ("np.tanh({})", 0.4, np.tanh))  # fmt: skip
INVERSES: dict[type, Any] = {  # of x = a + b: a, given x and b, and b, given x and a
    ast.Add: (lambda x, b: x - b, lambda x, a: x - a),
    ast.Sub: (lambda x, b: x + b, lambda x, a: a - x),
    ast.Mult: (lambda x, b: x / b, lambda x, a: x / a),
    ast.Div: (lambda x, b: x * b, lambda x, a: a / x),
}


def synthesized(here: Place, scope: Scope) -> list[Edit]:
    """The edits of a located line with which it holds what it should, the likeliest first."""
    line, edits = here.line, list[Edit]()
    places = {id(node): (holder, key) for holder, key, node, _ in inner_places(line.statement)}
    visible = Visible(here, scope)
    for node, wanted, adds in wanted_of(visible.root, visible.wanted, visible.values):
        with np.errstate(all="ignore"):
            products = list(visible.lookup(wanted, 2 if adds else 4))
        for cost, text in products:
            new = expression(f"e + {text}" if adds else text, e=node)
            edits.append(Edit(cost + TERM * adds, line.unit, line.statement, *places[id(node)], new))
    return sorted(edits, key=lambda edit: edit.cost)


def wanted_of(node: ast.expr, wanted: Values, values: dict[int, Values]) -> Iterator[tuple[ast.expr, Values, bool]]:
    """The parts of an expression with the values that each should have, or (True) that are missing in a sum."""
    if not wanted or any(x.shape != wanted[0].shape for x in wanted):
        return
    yield node, wanted, False
    now = values.get(id(node), [])
    if len(now) == len(wanted) and all(map(_fits, now, wanted)):
        yield node, [x - y for x, y in zip(wanted, now)], True
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield from wanted_of(node.operand, [-x for x in wanted], values)
    for side, inverse in enumerate(INVERSES.get(type(getattr(node, "op", None)), ())):
        part, other = (node.left, node.right) if side == 0 else (node.right, node.left)  # type: ignore[attr-defined]
        known = values.get(id(other), [])
        if len(known) == len(wanted) and all(map(_fits, known, wanted)):
            with np.errstate(all="ignore"):
                yield from wanted_of(part, [inverse(x, a) for x, a in zip(wanted, known)], values)


def _fits(a: np.ndarray, x: np.ndarray) -> bool:
    """Can a be an operand of what has the shape of x?"""
    return a.shape in ((), x.shape)


class Visible:
    """What is visible when a line runs: the ``values`` of its parts by the id of their node, and those of ``atoms``.

    It is run with what it should hold, so that all that is computed before is right. ``wanted`` is that for the
    ``root``, the expression whose value is assigned.
    """

    def __init__(self, here: Place, scope: Scope):
        self.scope, self.line, self.statement, self.right = scope, here.line, here.line.statement, iter(here.right)
        self.root: ast.expr = self.line.node or self.statement.value  # type: ignore[attr-defined]
        self.atoms, self.values = dict[str, Values](), dict[int, Values]()
        self.wanted, self.tables = Values(), dict[Any, Table]()
        self.nodes = [self.root, *(node for _, _, node, _ in inner_places(self.statement) if node is not self.root
                                   and isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
                                   and not isinstance(node, (ast.Slice, ast.Starred)))]  # fmt: skip
        unit = here.job.units[self.line.unit]
        names, dot = unit.function.__globals__, f"{scope.numpy}.dot("  # as the user writes products of matrices
        self.matmul = f"{dot}{{}}, {{}})" if dot in unit.text else "{}.dot({})" if ".dot(" in unit.text else "({} @ {})"
        self.helpers = [(f"{name}({{}})", 0.2, names[name]) for name in scope.helpers if name in names]
        texts = [*scope.seen.atoms[scope.k], *([] if self.line.node else [self.line.target])]
        self.codes = {text: compile(text, "<atom>", "eval") for text in texts}
        with here.job.running({self.line.unit: instrumented(unit, self.nodes, 0, self._note)}):
            here.job.outcome()

    def _note(self, n: int, x: Any) -> Any:
        """Note the value of a part; at the root, also what is visible, and pass on what it should be."""
        if kind_of(x) is not None:
            self.values.setdefault(id(self.nodes[n]), []).append(np.array(x, np.float64))
        if n or not is_held(self.line, x):
            return x
        frame = sys._getframe(1)
        for text, code in self.codes.items():
            try:
                y = eval(code, frame.f_globals, frame.f_locals)
            except Exception:  # an index that is out of range, or a variable that has no value yet
                continue
            if kind_of(y) is not None:
                self.atoms.setdefault(text, []).append(np.array(y, np.float64))
        right = next(self.right)
        if isinstance(self.statement, ast.AugAssign) and self.line.node is None:
            with np.errstate(all="ignore"):
                right = INVERSES[type(self.statement.op)][1](right, self.atoms[self.line.target][-1])
        self.wanted.append(right)
        return np.array(right)

    @functools.cached_property
    def forms(self) -> list[Form]:
        """The variables and their slopes, with their values at all runs."""
        used, forms = ast.unparse(self.statement), [(1.1, "2", [np.array(2.0) for _ in self.wanted])]
        for text, xs in self.atoms.items():
            if len(xs) == len(self.wanted) and all(x.shape == xs[0].shape and np.isfinite(x).all() for x in xs):
                cost = 1 + self.scope.hint(text) / 2 - 0.2 * (text in used)
                slopes = [*SLOPES, *self.helpers] if xs[0].ndim else SLOPES[:1]
                forms += [(cost + more, form.format(text), [np.asarray(slope(x)) for x in xs])
                          for form, more, slope in slopes]  # fmt: skip
        return forms

    def of_shape(self, shape: Any) -> Iterator[Form]:
        """The forms that can be factors of an array of this shape, also products of two matrices and sums over rows."""
        yield from (form for form in self.forms if form[2][0].shape in ((), shape))
        matrices = [form for form in self.forms if form[2][0].ndim == 2 and re.fullmatch(r"[^(*]*?(\.T)?", form[1])]
        for cost, text, xs in matrices:
            if xs[0].shape[1:] == shape:
                yield cost + 0.5, f"{text}.sum(axis=0)", [x.sum(axis=0) for x in xs]
            for more, other, ys in matrices:
                if xs[0].shape[1] == len(ys[0]) and (len(xs[0]), ys[0].shape[1]) == shape:
                    yield cost + more, self.matmul.format(text, other), [x @ y for x, y in zip(xs, ys)]

    def _order(self, text: str) -> tuple[bool, bool, bool]:
        """A number before gradients, these before other variables, and what stands in brackets last."""
        return text != "2", text[0] == "(", not self.scope.follows(text)

    def lookup(self, wanted: Values, most: int) -> Iterator[tuple[float, str]]:
        """The products of up to ``most`` factors that have the wanted values, with their cost."""
        shape, numbers = wanted[0].shape, np.reshape(wanted, (len(wanted), -1))
        places = np.argwhere(np.isfinite(numbers))  # x / 0 can be anything
        places = places[np.random.default_rng(0).permutation(len(places))[:SAMPLES]]
        key = shape, places.tobytes()
        if key not in self.tables:
            self.tables[key] = Table(self.of_shape(shape), places)
        for forms, sign in self.tables[key].products(numbers[places[:, 0], places[:, 1]], most):
            text = " * ".join(sorted((form[1] for form in forms), key=self._order))
            yield sum(form[0] for form in forms) + 0.5 * (sign < 0), text if sign > 0 else f"-({text})"
