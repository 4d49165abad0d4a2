"""Random programs: straight-line Python text over arrays, which runs on Tensors and on plain arrays alike.

A program is its leaves, its lines and its outputs. It is built from a seed, line by line, and run on plain arrays while
it is built, so that every line fits the values before it. `Program.source` prints it for a person to paste.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from helpers.random.plain import Ours, Plain

NAME = re.compile(r"\bv\d+\b")


@dataclass(frozen=True)
class Line:
    """One statement: as it runs on Tensors, as it runs on plain arrays, and which operation it is there for."""

    ours: str
    plain: str
    subject: str

    @property
    def targets(self) -> list[str]:
        """The names that it binds or changes; its plain form is always ``names = expression``."""
        return NAME.findall(self.plain.split("=")[0])

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(NAME.findall(self.ours)))


def _meet(line: Line, older: Line) -> bool:
    """Does one of two lines write what the other reads or writes?"""
    return any(name in older.names for name in line.targets) or any(name in line.names for name in older.targets)


@dataclass
class Leaf:
    """An input: its array, how that lies in memory as a text, and whether it is differentiated by."""

    name: str
    array: Any
    layout: str = "{}"
    tracked: bool = True

    def laid_out(self, array: Any) -> Any:
        """The values of ``array`` in memory as the layout says."""
        return LAYOUTS[self.layout](array)

    def source(self) -> str:
        a = self.array
        whole = a if isinstance(a, (int, float)) else f"np.array({a.tolist()!r}, np.{a.dtype.name})"
        if not isinstance(a, (int, float)) and a.size == 0:
            whole = f"np.zeros({a.shape}, np.{a.dtype.name})"
        text = UNDO[self.layout].format(whole)
        return f"{self.name} = tg.Tensor({text}, requires_grad=True)" if self.tracked else f"{self.name} = {text}"


def _read_only(a: Any) -> Any:
    b = np.array(a)
    b.flags.writeable = False
    return b


def _stepped(a: Any) -> Any:
    b = np.full((*a.shape[:-1], 2 * a.shape[-1]), 9, a.dtype)
    b[..., ::2] = a
    return b[..., ::2]


#: How an array lies in memory, and the text that makes one of those values lie so.
LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "{}": lambda a: np.array(a) if isinstance(a, np.ndarray) else a,
    "fortran": np.asfortranarray,
    "read-only": _read_only,
    "reversed": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "stepped": _stepped,
    "transposed": lambda a: np.ascontiguousarray(np.swapaxes(a, -1, -2)).swapaxes(-1, -2),
}
UNDO = {
    "{}": "{}",
    "fortran": "np.asfortranarray({})",
    "read-only": "(lambda a: (a.setflags(write=False), a)[1])({})",
    "reversed": "np.ascontiguousarray({}[::-1])[::-1]",
    "stepped": "np.repeat({}, 2, axis=-1)[..., ::2]",
    "transposed": "np.ascontiguousarray({}.swapaxes(-1, -2)).swapaxes(-1, -2)",
}


@dataclass
class Program:
    """Leaves, lines, outputs with their cotangents, all from one seed."""

    seed: int
    leaves: list[Leaf]
    lines: list[Line]
    outputs: list[str] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)
    cells: list[Any] = field(default_factory=list)
    tight: bool = True  # float64 throughout
    #: Cells and functions that lines call, by name: as ours, and as plain.
    helpers: tuple[dict[str, Any], dict[str, Any]] = field(default_factory=lambda: ({}, {}))
    preamble: list[str] = field(default_factory=list)

    @property
    def tracked(self) -> list[Leaf]:
        return [leaf for leaf in self.leaves if leaf.tracked]

    def run(self, arrays: Sequence[Any], ours: Any, plain: bool, dtype: Any = None) -> dict[str, Any]:
        """All names after the program ran on these values of its tracked leaves; the others are cast to ``dtype``."""
        names = {"np": np, "tg": tg, "F": ours, **self.helpers[plain]}
        values = iter(arrays)
        for leaf in self.leaves:
            names[leaf.name] = next(values) if leaf.tracked else leaf.laid_out(leaf.array)
            if dtype is not None and not leaf.tracked and leaf.array.dtype.kind == "f":
                names[leaf.name] = leaf.array.astype(dtype)
        text = "\n".join(line.plain if plain else line.ours for line in self.lines)
        with np.errstate(all="ignore"):
            exec(compile(text, f"<program {self.seed}>", "exec"), names)
        return names

    def on_arrays(self, arrays: Sequence[Any] | None = None, constants: Any = None, wide: bool = False) -> Any:
        arrays = [leaf.array for leaf in self.tracked] if arrays is None else arrays
        return self.run(arrays, Plain(wide, constants), plain=True)

    def on_tensors(self, tensors: Sequence[Any], constants: Any = None) -> dict[str, Any]:
        return self.run(tensors, Ours(constants), plain=False, dtype=None if constants is None else tensors[0].dtype)

    def tensors_as_arrays(self) -> list[Any]:
        return [leaf.laid_out(leaf.array) for leaf in self.tracked]

    def tensors(self) -> list[Any]:
        return [tg.Tensor(leaf.laid_out(leaf.array), requires_grad=True) for leaf in self.tracked]

    def source(self) -> str:
        """The program as Python that a person can paste."""
        text = [f"# program {self.seed}", "import numpy as np", "import tinygrad_rnn as tg", *self.preamble]
        text += [leaf.source() for leaf in self.leaves]
        body = "\n".join(line.ours for line in self.lines)
        body = re.sub(r"F\.detach\((.*), 'v\d+'\)", r"tg.detach(\1)", body)
        text.append(re.sub(r", like=v\d+\)", ")", body).replace("F.", "tg."))
        for out, dy in zip(self.outputs, self.weights):
            text.append(f"{out}.backward(np.array({np.asarray(dy).tolist()!r}).reshape({np.shape(dy)}), "
                        "retain_graph=True)")  # fmt: skip
        text += [f"print({leaf.name}.grad)" for leaf in self.tracked]
        return "\n".join(text)

    def reordered(self) -> Program:
        """The same lines in another order in which every line finds what it reads, and writes as it did."""
        rng, waiting, lines = np.random.default_rng(self.seed), list(self.lines), []
        while waiting:
            free = [k for k, line in enumerate(waiting) if not any(_meet(line, older) for older in waiting[:k])]
            lines.append(waiting.pop(free[int(rng.integers(len(free)))]))
        return replace(self, lines=lines)

    # -- smaller programs ----------------------------------------------------------------------------------------

    def only(self, outputs: Sequence[str], weights: Sequence[Any], upto: int) -> Program:
        """The program that makes these outputs, without the lines that they do not need."""
        wanted, lines = dict.fromkeys(outputs), []
        for line in reversed(self.lines[:upto]):
            if any(name in wanted for name in line.targets):
                wanted.update(dict.fromkeys(line.names))
                lines.append(line)
        leaves = [leaf for leaf in self.leaves if leaf.name in wanted]
        return replace(self, lines=lines[::-1], leaves=leaves, outputs=list(outputs), weights=list(weights))

    def shrunk(self, fails: Callable[[Program], bool]) -> Program:
        """The shortest part with one output that still fails, or the program itself."""
        base, rng = self.on_arrays(), np.random.default_rng(self.seed)
        for upto in range(1, len(self.lines) + 1):
            out = self.lines[upto - 1].targets[0]
            if np.asarray(base[out]).dtype.kind != "f":
                continue
            dy = np.asarray(rng.uniform(0.5, 1, np.shape(base[out])))
            smaller = self.only([out], [dy], upto)
            if smaller.tracked and fails(smaller):
                return smaller
        return self


class Skip(Exception):
    """What a production raises when it has no values to work on."""


class Builder:
    """A program while it is made: names, and the values that they have on plain arrays."""

    def __init__(self, seed: int, tight: bool = True):
        self.rng = np.random.default_rng(seed)
        self.program = Program(seed, [], [], tight=tight)
        self.values: dict[str, Any] = {}
        self.plain = Plain()
        self.kept = {}  # (lines, leaves) before a production began

    # -- random choices ------------------------------------------------------------------------------------------

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def choose(self, options: Sequence[Any]) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def shape(self, ndim: int | None = None, most: int = 3) -> tuple[int, ...]:
        """0-d and sizes of 0 and 1 now and then."""
        ndim = int(self.rng.choice([0, 1, 2, 3], p=[0.12, 0.33, 0.4, 0.15])) if ndim is None else ndim
        sizes = [0, 1, 2, 3, 4][: most + 2]
        p = np.array([0.04, 0.2, 0.3, 0.3, 0.16][: len(sizes)])
        return tuple(int(n) for n in self.rng.choice(sizes, ndim, p=p / p.sum()))

    def axis(self, ndim: int) -> int:
        return int(self.rng.integers(-ndim, ndim))

    def numbers(self, shape: tuple[int, ...], low: float = -2, high: float = 2) -> Any:
        """Random numbers, none of them on a round one, and no two the same: a tie is a kink of sort and max."""
        a = np.array(np.round(self.rng.uniform(low, high, shape), 4) + 3e-5)
        ties = np.setdiff1d(np.arange(a.size), np.unique(a, return_index=True)[1])
        a.reshape(-1)[ties] += 1e-6 * np.arange(1, len(ties) + 1)
        return a

    # -- values --------------------------------------------------------------------------------------------------

    def fresh(self) -> str:
        return f"v{len(self.values)}"

    def leaf(self, shape: Any = None, low: float = -2, high: float = 2, tracked: bool | None = None) -> str:
        """A new float input."""
        shape = self.shape() if shape is None else shape
        a = self.numbers(shape, low, high)
        if not self.program.tight:
            a = a.astype(self.choose([np.float16, np.float32, np.float32, np.float64]))
            a = np.clip(a, np.asarray(low + 0.01, a.dtype), np.asarray(high - 0.01, a.dtype))
        layouts = ["{}"] * 3 + ["read-only"]
        if a.ndim:
            layouts += ["reversed", "stepped"]
        if a.ndim > 1:
            layouts += ["fortran", "transposed"]
        return self.add(a, self.choose(layouts), self.chance(0.85) if tracked is None else tracked)

    def add(self, array: Any, layout: str = "{}", tracked: bool = False) -> str:
        name = self.fresh()
        self.program.leaves.append(Leaf(name, array, layout, tracked))
        self.values[name] = array
        return name

    def integers(self, shape: Any, low: int = 0, high: int = 3) -> str:
        kind = self.choose([np.int8, np.int16, np.int32, np.int64, np.uint8] if low >= 0 else [np.int16, np.int64])
        return self.add(np.asarray(self.rng.integers(low, high, shape, dtype=np.int64)).astype(kind))

    def booleans(self, shape: Any) -> str:
        return self.add(np.asarray(self.rng.random(shape) < 0.5))

    def floats(self, fits: Callable[[Any], bool] = lambda a: True) -> list[str]:
        return [n for n, a in self.values.items() if getattr(a, "dtype", np.dtype(int)).kind == "f" and fits(a)]

    def array(self, low: float = -3, high: float = 3, ndim: Sequence[int] = (0, 1, 2, 3), shape: Any = None,
              fits: Callable[[Any], bool] = lambda a: True) -> str:  # fmt: skip
        """A float value with that rank or shape, an old one if there is, brought into [low, high]."""

        def suits(a: Any) -> bool:
            return np.ndim(a) in ndim and (shape is None or np.shape(a) == shape) and fits(a)

        names = self.floats(suits)
        if names and self.chance(0.85):
            return self.within(self.choose(names[-6:] if self.chance(0.6) else names), low, high)
        for _ in range(30):
            size = shape if shape is not None else self.shape(int(self.choose(list(ndim))))
            if suits(np.zeros(size)):
                return self.leaf(size, low, high)
        raise Skip

    def tensor(self, shape: Any = None) -> str:
        """A value that is a Tensor: computed from a tracked leaf. NumPy's own arrays take no Tensor in place."""
        name = self.array(shape=shape)
        return name if name in self.reached([leaf.name for leaf in self.program.tracked]) else self.leaf(
            np.shape(self.values[name]), tracked=True)

    def within(self, name: str, low: float, high: float) -> str:
        """The value itself where it lies in [low, high], else a smooth image of it that does."""
        a = np.asarray(self.values[name])
        if a.size == 0 or (a.min() >= low and a.max() <= high):
            return name
        if not self.program.tight and np.abs(a).max() > 8:
            raise Skip  # 1 - y² has few digits left in float32
        middle, half = round((low + high) / 2, 3), round((high - low) * 0.45, 3)
        return self.emit(f"np.tanh({name} * 0.4) * {half} + {middle}", subject="squash")

    # -- lines ---------------------------------------------------------------------------------------------------

    def emit(self, ours: str, plain: str | None = None, subject: str = "", to: str | None = None) -> str:
        """One more line ``name = ours``; the name."""
        name = to or self.fresh()
        self.statement(f"{name} = {ours}", f"{name} = {ours if plain is None else plain}", subject)
        return name

    def statement(self, ours: str, plain: str, subject: str) -> None:
        line = Line(ours, plain, subject)
        names = {"np": np, "tg": tg, "F": self.plain, **self.program.helpers[True], **self.values}
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(line.plain, names)
        for name in NAME.findall(line.plain.split("=")[0]):
            self.keep(name, names[name])
        self.program.lines.append(line)

    def keep(self, name: str, a: Any) -> None:
        """A new value, if it is an array of a moderate size and finite numbers."""
        if not isinstance(a, (np.ndarray, np.generic)) or a.size > 120 or not np.isfinite(a).all():
            raise Skip
        if a.size and np.abs(a.astype(float)).max() > (60 if not self.program.tight else 1e3):
            raise Skip
        self.values[name] = a

    def attempt(self, production: Callable[[Builder], None]) -> bool:
        """One production; what it has begun is taken back if it cannot go on."""
        lines, leaves, values = len(self.program.lines), len(self.program.leaves), dict(self.values)
        try:
            production(self)
        except Skip:
            del self.program.lines[lines:], self.program.leaves[leaves:]
            self.values = values
            return False
        return True

    def finish(self) -> Program:
        """Choose the outputs: values that no line reads, or others now and then."""
        p = self.program
        made = [name for line in p.lines for name in line.targets]
        names = [n for n in dict.fromkeys(made) if n in self.floats()]
        leaves = [leaf.name for leaf in p.tracked]
        reached = self.reached(leaves)
        names = [n for n in names if n in reached]
        if not names:
            raise Skip
        read = [name for line in p.lines for name in line.names if name not in line.targets]
        ends = [n for n in names if n not in read] or names
        count = int(self.choose([1, 2, 3, 5]))
        p.outputs = ends[-count:] if self.chance(0.7) else [self.choose(names) for _ in range(count)]
        p.weights = [np.asarray(self.numbers(np.shape(self.values[n]), -1, 1)) for n in p.outputs]
        return p.only(p.outputs, p.weights, len(p.lines))

    def reached(self, names: Sequence[str]) -> dict[str, None]:
        """What is computed from these."""
        reached = dict.fromkeys(names)
        for line in self.program.lines:
            if any(name in reached for name in line.names):
                reached.update(dict.fromkeys(line.targets))
        return reached
