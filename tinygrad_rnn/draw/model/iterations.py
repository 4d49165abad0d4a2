"""In which iteration of which loop of the user's an operation runs.

The loops of a function are the backward jumps of its byte code. An iteration ends where the variables of the loop hold
other objects, or where the code is at an earlier place than before::

    for t in range(T):              # t is another number: a new iteration
        a = x[t] @ W + h @ U
        h = np.tanh(a)
"""

from __future__ import annotations

import dis
import functools
from collections.abc import Mapping, Sequence
from types import CodeType, FrameType
from typing import Any, NamedTuple

from ...engine.graph import Node
from ...engine.tensor import Tensor

Variables = tuple[dict[str, Node], dict[str, Node]]  # the nodes in local variables, and in the lists and dicts there
BEFORE_NAMES = ("UNPACK_SEQUENCE", "EXTENDED_ARG", "CACHE", "SWAP")  # between the head of a loop and its variables


class Loop(NamedTuple):
    """The first and the last instruction of a loop, and its variables."""

    first: int
    last: int
    variables: tuple[str, ...]


class Iteration(NamedTuple):
    """An iteration of a loop in a call, each by its number, and the name of the function."""

    name: str
    loop: tuple[int, int, tuple[int, ...]]  # the call, the first instruction, the iterations around it
    number: int


@functools.lru_cache(maxsize=256)
def loops_of(code: CodeType) -> Sequence[Loop]:
    """The loops of a function, the outer ones first."""
    instructions = list(dis.get_instructions(code))
    last: dict[int, int] = {}
    for instruction in instructions:
        jumps = instruction.opcode in dis.hasjabs or instruction.opcode in dis.hasjrel
        if jumps and instruction.argval < instruction.offset:
            last[instruction.argval] = instruction.offset
    place = {instruction.offset: k for k, instruction in enumerate(instructions)}
    loops = [Loop(first, end, _variables(instructions[place[first] :])) for first, end in last.items()]
    return sorted(loops, key=lambda loop: (loop.first, -loop.last))


def _variables(instructions: Sequence[dis.Instruction]) -> tuple[str, ...]:
    """The variables of a ``for`` loop that begins here; none of another loop."""
    if instructions[0].opname != "FOR_ITER":
        return ()
    names: list[str] = []
    for instruction in instructions[1:]:
        if instruction.opname.startswith("STORE_FAST"):
            value = instruction.argval
            names += value if isinstance(value, tuple) else [value]
        elif instruction.opname not in BEFORE_NAMES:
            break
    return tuple(names)


class Iterations:
    """Counts the iterations of all loops in the calls that it is shown, and keeps the variables at their ends."""

    def __init__(self) -> None:
        self.variables: dict[Iteration, Variables] = {}
        self._calls: dict[FrameType, int] = {}
        self._last: dict[tuple[FrameType, Loop], tuple[Iteration, int, list[Any]]] = {}

    def around(self, name: str, frame: FrameType) -> list[Iteration]:
        """The iterations that a call of the function ``name`` is in, the outermost first."""
        loops, place = loops_of(frame.f_code), frame.f_lasti
        inside = [loop for loop in loops if loop.first <= place <= loop.last]
        call = self._calls.setdefault(frame, len(self._calls))
        result: list[Iteration] = []
        for k, loop in enumerate(inside):
            at = inside[k + 1].first if k + 1 < len(inside) else place  # all of an inner loop is one place
            result.append(self._current(name, frame, loop, at, (call, loop.first, tuple(i.number for i in result))))
        return result

    def _current(
        self, name: str, frame: FrameType, loop: Loop, at: int, key: tuple[int, int, tuple[int, ...]]
    ) -> Iteration:
        """The iteration of a loop that runs now."""
        local = frame.f_locals
        held = [local.get(variable) for variable in loop.variables]
        before, place, objects = self._last.get((frame, loop), (None, at, held))
        began = place == loop.first  # what the head of a loop computes belongs to the iteration that it begins
        if before is not None and before.loop == key and place <= at \
                and (began or (at > loop.first and all(x is y for x, y in zip(held, objects)))):  # fmt: skip
            iteration = before
        else:
            if before is not None:
                self.variables[before] = variables(local)
            iteration = Iteration(name, key, before.number + 1 if before is not None else 0)
        self._last[frame, loop] = iteration, at, held
        return iteration

    def finish(self) -> None:
        """Note the variables of the last iterations, and let the calls go."""
        for (frame, _), (iteration, *_) in self._last.items():
            self.variables[iteration] = variables(frame.f_locals)
        self._last.clear()
        self._calls.clear()


def singular(name: str) -> str:
    """The name of an entry of a sequence: x of xs."""
    return name[:-1] if name[1:].endswith("s") else name


def variables(local: Mapping[str, Any]) -> Variables:
    """The nodes in variables, by name, and those in lists and dicts: the last of ``hs`` is h, ``state["h"]`` too."""
    direct = {name: x.node for name, x in local.items() if isinstance(x, Tensor) and x.node is not None}
    inner: dict[str, Node] = {}
    for name, held in local.items():
        entries: dict[str, Any] = {}
        if isinstance(held, dict) and all(isinstance(key, str) for key in held):
            entries = held
        elif isinstance(held, (list, dict)) and held:
            entries = {singular(name): next(reversed(held.values() if isinstance(held, dict) else held))}
        inner |= {key: x.node for key, x in entries.items() if isinstance(x, Tensor) and x.node is not None}
    return direct, inner
