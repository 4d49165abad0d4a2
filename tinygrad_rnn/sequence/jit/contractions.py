"""Sums of products over shared letters, as loops: einsum of one or two operands, products of any rank."""

from __future__ import annotations

from collections.abc import Sequence

from ..plan.program import Program, Statement


def letters(program: Program, statement: Statement) -> tuple[list[str], str] | None:
    """The letters of the axes of each operand, and of the result; None if a diagonal or "..." is in them."""
    shapes = [program.shape(arg) for arg in statement.args]
    if statement.op == "matmul":
        return _of_product(*shapes) if min(map(len, shapes)) > 0 else None
    if statement.op != "einsum" or "." in statement.attrs["subscripts"]:
        return None
    text = statement.attrs["subscripts"].replace(" ", "")
    left, arrow, result = text.partition("->")
    operands = left.split(",")
    if not arrow or len(operands) > 2 or any(len(set(word)) < len(word) for word in (*operands, result)):
        return None
    return operands, result


def _of_product(a: Sequence[int], b: Sequence[int]) -> tuple[list[str], str]:
    """The letters of ``a @ b``: batch axes from the last, then row, column and the sum k."""
    batch = "cdefgh"[: max(len(a), len(b)) - 2]
    left = batch[len(batch) - max(len(a) - 2, 0) :] + ("ik" if len(a) > 1 else "k")
    right = batch[len(batch) - max(len(b) - 2, 0) :] + ("kj" if len(b) > 1 else "k")
    return [left, right], batch + "i" * (len(a) > 1) + "j" * (len(b) > 1)
