"""What a plan does, in words and numbers: which statements run where, which products, and what is saved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...cells.sizes import length
from ...engine.tensor import Tensor
from ...errors import InvalidValue, PlanError
from ..call import Call
from .cache import plan_for, request_of
from .compiled import Plan
from .directions import Direction
from .measure import peak, seconds_a_step
from .program import Statement
from .schedule import computes

TITLES = {"once": "once a sequence",
          "before": "hoisted: all steps at once, before the loop", "loop": "kept in the loop",
          "after": "sunk: all steps at once, after the loop", "end": "summed over all steps"}  # fmt: skip


class Explained:
    """The plan of a cell, or the reason why there is none: ``source`` and `explain`."""

    def __init__(self, cell: Cell, plan: Plan | None, reason: str = ""):
        self.cell, self.plan, self.reason = cell, plan, reason

    @property
    def source(self) -> str:
        """The NumPy source of the plan. Raises PlanError if the cell has no plan."""
        if self.plan is None:
            raise PlanError(f"plan: {self.cell.name} cannot be planned: {self.reason}")
        return self.plan.source

    def explain(self, measure: bool = False) -> str:
        """What is merged, hoisted, kept in the loop and sunk; the products with their shapes; the bytes saved a step.

        Names are those of ``source``. With ``measure=True`` a pass forward and backward is timed, and the arithmetic of
        its products is given as a share of what a large product reaches on this machine; of compiled passes, how long
        they take on several threads and on one.
        """
        if self.plan is None:
            return f"{self.cell.name} runs eagerly: {self.reason}\n"
        built = self.plan.built
        lines = [f"plan of {self.cell.name}", *[f"merged: {text}" for text in built.merged]]
        for title, direction in (("forward", built.forward), ("backward", built.backward)):
            lines += ["", title, *_direction(direction)] if direction is not None else []
        saved, products = _bytes(built.backward), _flops(built.forward) + _flops(built.backward)
        lines += ["", f"saved for the backward pass: {saved} bytes a step; products: {products / 1e6:.3g} MFLOP a step"]
        values = built.forward.plan.program.values
        states = sum(np.asarray(value.array).nbytes for value in values if value.kind == "state")
        lines.append(f"with checkpoint=k: {saved} bytes for each of k steps, {states} for every k-th step")
        lines += self._measured(products) if measure else []
        return "\n".join(lines) + "\n"

    def _measured(self, products: int) -> list[str]:
        """The time of a step, the share of the peak that the arithmetic of its products is, and what threads gain."""
        assert self.plan is not None
        dtype = next(value.dtype for value in self.plan.built.forward.plan.program.values if value.kind == "state")
        seconds, most = seconds_a_step(self.plan, self.cell.input, list(self.cell.states)), peak(dtype.name)
        rate, share = products / seconds / 1e9, 100 * products / seconds / most
        text = (f"measured: {seconds * 1e6:.0f} us a step, forward and backward: {rate:.1f} GFLOP/s, "
                f"{share:.0f} % of the {most / 1e9:.0f} of a large product")  # fmt: skip
        directions = [self.plan.built.forward, *([self.plan.built.backward] if self.plan.built.backward else [])]
        return [text, *(f"threads: {line}" for direction in directions for line in direction.writer.measured)]

    def __repr__(self) -> str:
        return (
            f"<plan of {self.cell.name}>" if self.plan is not None else f"<no plan of {self.cell.name}: {self.reason}>"
        )


def plan(cell: Cell, *, N: int, T: int = 2, dtype: Any = np.float32, mode: str = "plan", **sizes: int) -> Explained:
    """The plan of ``cell`` for arrays of these sizes: ``tg.plan(tg.lstm, N=20, T=35, D=100, H=100)``.

    It is what `scan` runs with ``mode="plan"``: ``plan.source`` is its NumPy source, ``plan.explain()`` says what runs
    where, or why the cell runs eagerly. With ``mode="jit"`` it is that of the compiled loop: the source has the loops
    too, and the explanation says how their products are computed. Sizes are letters of the cell's parameters. T is
    free: a plan is for any T. Raises InvalidValue for another mode, InvalidType and ShapeError, as ``cell.init`` does,
    for sizes that do not fit, and MissingDependency for "jit" without llvmlite.
    """
    if mode not in ("plan", "jit"):
        raise InvalidValue(f"plan: mode is {mode!r}, should be plan or jit")
    params = cell.init(np.random.default_rng(0), dtype=dtype, init=None, **sizes)
    known = {**cell.sizes({**dict.fromkeys(cell.config), **params}), **sizes, "N": N}
    rng = np.random.default_rng(1)

    def array(*shape: int) -> Tensor:
        return Tensor(rng.standard_normal(shape).astype(dtype), requires_grad=True)

    xs = array(N, T, known.get("D", 1))
    state = [array(*(length(word, known) for word in cell.words[name])) for name in cell.states]
    call = Call(cell, xs, state, params)
    try:
        return Explained(cell, plan_for(request_of(call, jit=mode == "jit"), call))
    except PlanError as error:
        return Explained(cell, None, str(error))


def _direction(direction: Direction) -> list[str]:
    lines = []
    for name, statements in direction.plan.sections.items():
        counted = [statement for statement in statements if computes(statement)]
        if counted:
            texts = [*(_text(direction, statement) for statement in counted), _others(direction, counted)]
            lines.append(f"  {TITLES[name]}: {len(counted)} operations")
            lines += [f"    {text}" for text in texts if text]
            lines += [f"    compiled: {text}" for text in direction.writer.choices.get(name, ())]
    return lines


def _others(direction: Direction, statements: Sequence[Statement]) -> str:
    """The names of all values that are no products, as the source has them."""
    names = [direction.writer.names.of[statement.out] for statement in statements if not _work(direction, statement)]
    return f"others: {', '.join(names)}" if names else ""


def _text(direction: Direction, statement: Statement) -> str:
    """A product with its shapes; nothing for other statements."""
    if not _work(direction, statement):
        return ""
    shapes = " @ ".join(f"{direction.plan.program.shape(arg)}" for arg in statement.args)
    return f"{direction.writer.names.of[statement.out]} = {product_text(direction, statement)}    {shapes}"


def product_text(direction: Direction, statement: Statement) -> str:
    """A product by the names of the source, with ``.T`` for what it reads transposed: ``dA @ Wh.T``."""
    texts = []
    for arg in statement.args:
        inside = direction.plan.by_value.get(arg)
        turned = inside is not None and inside.op == "transpose"
        texts.append(direction.writer.names.of[inside.args[0] if turned and inside else arg] + ".T" * turned)
    return " @ ".join(texts)


def _work(direction: Direction, statement: Statement) -> int:
    """The floating point operations of a product in one step."""
    if statement.op != "matmul":
        return 0
    program = direction.plan.program
    return 2 * math.prod(program.shape(statement.args[0])) * program.shape(statement.out)[-1]


def _flops(direction: Direction | None) -> int:
    if direction is None:
        return 0
    return sum(_work(direction, statement) for part in direction.plan.sections.values() for statement in part)


def _bytes(direction: Direction | None) -> int:
    """The bytes of the values of a step that the forward pass hands to the backward pass."""
    if direction is None:
        return 0
    return sum(np.asarray(value.array).nbytes for value in direction.plan.program.values if value.kind == "saved")
