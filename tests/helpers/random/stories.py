"""Random sequences of reads and writes around forward and backward passes.

A story is a list of statements on a few leaves and arrays. Beside each value stands its derivative in a random
direction of the leaves, computed at once by complex step from copies of what the statement read. So the gradient of a
later ``backward()`` is known, whatever has been written to in between: it is that, or a `MutationError`, and an error
only where something was written after the forward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from helpers.random.plain import FORMULAS

H = 1e-30
SHAPES: list[tuple[int, ...]] = [(3,), (3,), (2, 3), (), (3, 3), (1, 3)]

#: Forward statements on float values of any shape: text, and the same for complex arrays.
UNARY: dict[str, Callable[[Any], Any]] = {
    "np.sin({})": np.sin,
    "np.exp({} * 0.3)": lambda a: np.exp(a * 0.3),
    "np.tanh({})": np.tanh,
    "{} * {}": lambda a: a * a,
    "{} ** 2": lambda a: a**2,
    "tg.sigmoid({})": lambda a: 1 / (1 + np.exp(-a)),
    "np.sum({}, axis=-1, keepdims=True)": lambda a: np.sum(a, axis=-1, keepdims=True) if np.ndim(a) else a,
    "tg.softmax({})": lambda a: np.exp(a) / np.sum(np.exp(a), axis=-1, keepdims=True),
    "{} + 1.0": lambda a: a + 1.0,
    "{}.copy()": lambda a: a + 0,
    "tg.log_softmax({})": lambda a: a - np.log(np.sum(np.exp(a), axis=-1, keepdims=True)),
    "{}[...]": lambda a: a + 0,
    "np.mean({}) * {}": lambda a: np.mean(a) * a,
    "tg.checkpoint(lambda z: np.sin(z) * z)({})": lambda a: np.sin(a) * a,
    "tg.grad(lambda z: np.sum(np.sin(z)))({})": np.cos,
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "{} * {}": lambda a, b: a * b,
    "{} + {}": lambda a, b: a + b,
    "{} - {}": lambda a, b: a - b,
    "{} / ({} ** 2 + 1)": lambda a, b: a / (b**2 + 1),
    "np.multiply({}, {})": lambda a, b: a * b,
    "tg.checkpoint(lambda z, w: np.sin(z) * w)({}, {})": lambda a, b: np.sin(a) * b,
    "tg.mean_squared_error({}, {})": lambda a, b: np.mean((a - b) ** 2),
}


class Written(Exception):
    """Something was written after forward, and the library said so: the story ends well."""


class Story:
    """The statements so far, the names they made, and what is known of each."""

    def __init__(self, seed: int):
        self.seed, self.rng = seed, np.random.default_rng(seed)
        self.text: list[str] = []
        self.names: dict[str, Any] = {"np": np, "tg": tg}
        self.tangents: dict[str, Any] = {}  # of Tensors: the derivative in the direction of the story
        self.directions: dict[str, Any] = {}  # of leaves
        self.born: dict[str, int] = {}  # of Tensors: the statement of the oldest one behind it
        self.arrays: list[str] = []  # float arrays that may be written to
        self.integers: dict[str, int] = {}  # arrays of ids and labels: their upper end
        self.masks: list[str] = []
        self.written = -1  # the last statement that wrote
        self.passes = 0
        self.pulls: dict[str, tuple[Any, int]] = {}

    # -- tools -----------------------------------------------------------------------------------------------------

    def choose(self, options: Any) -> Any:
        options = list(options)
        return options[int(self.rng.integers(len(options)))]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def fresh(self, prefix: str) -> str:
        return f"{prefix}{len(self.text)}"

    def numbers(self, shape: Any) -> Any:
        return np.asarray(np.round(self.rng.uniform(-1.5, 1.5, shape), 2) + 0.003)

    def run(self, text: str) -> None:
        self.text.append(text)
        exec(text, self.names)

    def literal(self, array: Any) -> str:
        return f"np.array({np.asarray(array).tolist()})"

    def value(self, name: str) -> Any:
        """What the statement reads now, as a copy that carries the derivative."""
        x = self.names[name]
        array = np.array(x._array if isinstance(x, tg.Tensor) else x, float)
        return array + 1j * H * self.tangents.get(name, np.zeros(array.shape))

    def forward(self, text: str, operands: list[str], f: Callable[..., Any]) -> None:
        """A statement that makes a Tensor."""
        y = f(*[self.value(name) for name in operands])
        name = self.fresh("h")
        self.run(f"{name} = {text}")
        if not isinstance(self.names[name], tg.Tensor):
            return
        assert np.shape(y) == self.names[name].shape, f"{text}: {np.shape(y)}"
        np.testing.assert_allclose(self.names[name]._array, y.real, rtol=1e-9, atol=1e-12, err_msg=text)
        self.tangents[name] = np.imag(y) / H
        self.born[name] = min([len(self.text) - 1, *(self.born[n] for n in operands if n in self.born)])

    def tensors(self, shape: Any = None) -> list[str]:
        return [n for n in self.tangents if shape is None or self.names[n].shape == shape]

    def floats(self) -> list[str]:
        """Operands: Tensors, and plain arrays now and then."""
        arrays = [n for n in self.arrays if self.names[n].ndim < 3]
        return arrays if arrays and self.chance(0.3) else self.tensors()

    # -- things that are made ----------------------------------------------------------------------------------------

    def leaf(self) -> None:
        a = self.numbers(self.choose(SHAPES))
        name = self.fresh("x")
        if self.chance(0.5):
            array = self.fresh("a")
            self.run(f"{array} = {self.literal(a)}")
            self.run(f"{name} = tg.Tensor({array}, requires_grad=True)")
            self.arrays.append(array)
        else:
            self.run(f"{name} = tg.tensor({self.literal(a)}, requires_grad=True)")
        self.tangents[name] = self.directions[name] = np.asarray(self.rng.uniform(0.5, 1, a.shape))

    def array(self) -> None:
        name, text = self.fresh("a"), self.literal(self.numbers(self.choose(SHAPES)))
        self.run(f"{name} = {self.choose(['{}', '{}', 'tg.tensor({})']).format(text)}")
        if isinstance(self.names[name], np.ndarray):
            self.arrays.append(name)
        else:
            self.tangents[name] = np.zeros(self.names[name].shape)

    def ids(self) -> None:
        high = 3
        name = self.fresh("i")
        kind = self.choose(["np.int64", "np.int64", "np.int32", "np.uint8"])
        self.run(f"{name} = np.array({self.rng.integers(0, high, 2).tolist()}, {kind})")
        self.integers[name] = high

    def mask(self) -> None:
        name = self.fresh("m")
        self.run(f"{name} = np.array({(self.rng.random(3) < 0.5).tolist()})")
        self.masks.append(name)

    # -- forward -----------------------------------------------------------------------------------------------------

    def unary(self) -> None:
        x, text = self.choose(self.tensors()), self.choose(UNARY)
        if np.ndim(self.names[x]) == 0 and ("axis" in text or "softmax" in text):
            return
        self.forward(text.format(x, x), [x], UNARY[text])

    def binary(self) -> None:
        x, w = self.choose(self.tensors()), self.choose(self.floats())
        try:
            if len(np.broadcast_shapes(np.shape(self.names[x]), np.shape(self.names[w]))) > 2:
                return
        except ValueError:
            return
        x, w = (w, x) if self.chance(0.5) else (x, w)
        text = self.choose(BINARY)
        self.forward(text.format(x, w), [x, w], BINARY[text])

    def product(self) -> None:
        names = self.floats()
        pairs = [(x, w) for x in self.tensors() for w in names if np.ndim(self.names[x]) and np.ndim(self.names[w])]
        pairs = [(x, w) for x, w in pairs if np.shape(self.names[w])[-2:][0] == np.shape(self.names[x])[-1]]
        if pairs:
            x, w = self.choose(pairs)
            self.forward(f"{x} @ {w}", [x, w], lambda a, b: a @ b)

    def rows(self) -> None:
        """By ids that the user holds: as index, as embedding, as take; or by a mask."""
        names = [n for n in self.tensors() if np.shape(self.names[n])[:1] == (3,)]
        if not names:
            return
        x = self.choose(names)
        if self.integers and self.chance(0.7):
            i = self.choose(self.integers)
            text = self.choose(["{}[{}]", "tg.embedding({}, {})", "np.take({}, {}, axis=0)", "tg.getitem({}, index={})",
                                "tg.take({}, {}, axis=0)"])  # fmt: skip
            self.forward(text.format(x, i), [x], lambda a, at=np.array(self.names[i]): a[at])
        elif self.masks:
            m = self.choose(self.masks)
            copy = np.array(self.names[m])
            if self.chance(0.5) and np.shape(self.names[x])[-1] == 3:
                self.forward(f"np.where({m}, {x}, 0.5)", [x], lambda a: np.where(copy, a, 0.5))
            elif copy.any():
                self.forward(f"{x}[{m}]", [x], lambda a: a[copy])

    def cross_entropy(self) -> None:
        names = [n for n in self.tensors() if np.shape(self.names[n]) == (2, 3)]
        if not names or not self.integers:
            return
        x, i = self.choose(names), self.choose(self.integers)
        labels = np.array(self.names[i]).astype(int)
        self.forward(f"tg.softmax_cross_entropy({x}, {i})", [x], lambda a: FORMULAS["softmax_cross_entropy"](a, labels))

    def fused(self) -> None:
        """The fused output layer, all of whose inputs may be written to later."""
        xs = [n for n in self.tensors() if np.shape(self.names[n]) == (2, 3)]
        ws = [n for n in self.tensors() + self.arrays if np.shape(self.names[n]) == (3, 3)]
        bs = [n for n in self.tensors() + self.arrays if np.shape(self.names[n]) == (3,)]
        if not (xs and ws and bs and self.integers):
            return
        x, w, b, i = (self.choose(names) for names in (xs, ws, bs, self.integers))
        labels = np.array(self.names[i]).astype(int)
        self.forward(f"tg.affine_cross_entropy({x}, {w}, {b}, {i})", [x, w, b],
                     lambda x, w, b: FORMULAS["softmax_cross_entropy"](x @ w + b, labels))  # fmt: skip

    def joined(self) -> None:
        x = self.choose([n for n in self.tensors() if np.ndim(self.names[n])] or self.tensors())
        others = self.tensors(np.shape(self.names[x]))
        if np.ndim(self.names[x]) in (1, 2):
            w = self.choose(others)
            if self.chance(0.5):
                self.forward(f"np.concatenate([{x}, {w}], axis=-1)", [x, w], lambda a, b: np.concatenate([a, b], -1))
            else:
                self.forward(f"np.einsum('...i,...i->...', {x}, {w})", [x, w], lambda a, b: np.sum(a * b, -1))

    def later(self) -> None:
        """vjp now, pull at the end."""
        x = self.choose(self.tensors())
        p = self.fresh("p")
        self.run(f"_, {p} = tg.vjp(lambda z: np.sin(z) * z, {x}.detach())")
        a = np.array(self.names[x]._array)
        self.pulls[p] = (np.cos(a) * a + np.sin(a), len(self.text) - 1)

    # -- reads and writes ----------------------------------------------------------------------------------------------

    def read(self) -> None:
        x = self.choose(self.tensors())
        ways = ["{}.data", "{}.data", "{}.numpy()", "np.asarray({}.detach())", "{}.detach().data"]
        name = self.fresh("r")
        self.run(f"{name} = {self.choose(ways).format(x)}")
        if isinstance(self.names[name], np.ndarray):
            self.arrays.append(name)

    def view(self) -> None:
        names = [n for n in self.arrays if self.names[n].ndim > 0]
        if names:
            name, r = self.fresh("r"), self.choose(names)
            self.run(f"{name} = {r}{self.choose(['[...]', '[:1]', '.T', '.reshape(-1)', '[::2]', '[..., 0:2]'])}")
            self.arrays.append(name)

    def drop(self) -> None:
        if self.arrays:
            name = self.choose(self.arrays)
            self.run(f"del {name}")
            self.arrays.remove(name)

    def write(self) -> None:
        kinds = [*self.arrays, *self.integers, *self.masks]
        if not kinds:
            return
        name = self.choose(kinds)
        if name in self.integers:
            text = f"{name}[{int(self.rng.integers(2))}] = {int(self.rng.integers(self.integers[name]))}"
        elif name in self.masks:
            text = f"{name}[{int(self.rng.integers(3))}] = {self.chance(0.5)}"
        else:
            if not self.names[name].flags.writeable:
                return
            ways = ["{} += 0.25", "{}[...] = 0.75", "np.multiply({0}, 0.5, out={0})", "{}.fill(0.3)"]
            text = self.choose(ways).format(name)
        self.wrote(text)

    def wrote(self, text: str) -> None:
        self.run(text)
        self.written = len(self.text) - 1

    def unrecorded(self) -> None:
        """A Tensor changed under no_grad, by its data, or by an optimiser."""
        x = self.choose(self.directions)
        ways = ["with tg.no_grad(): {0} += 0.5", "with tg.no_grad(): {0} *= 0.9", "with tg.no_grad(): {0}[...] = 0.4",
                "{0}.data = {0}.numpy() + 0.125"]  # fmt: skip
        if self.names[x].grad is not None:
            ways += ["tg.optim.SGD([{0}], lr=0.1).step()", "tg.optim.Adam([{0}], lr=0.1).step()"] * 2
        self.wrote(self.choose(ways).format(x))

    def in_place(self) -> None:
        """``h += w`` and ``h[i] = w``, which are recorded."""
        names = [n for n in self.tensors() if n.startswith("h") and self.names[n].node is not None]
        if not names:
            return
        h = self.choose(names)
        shape = np.shape(self.names[h])
        others = [n for n in self.floats() if np.shape(self.names[n]) == shape]
        w = self.choose(others) if others and self.chance(0.7) else "0.5"
        now, v = self.value(h), self.value(w) if w != "0.5" else np.asarray(0.5)
        born = min([self.born[h], len(self.text), *([self.born[w]] if w in self.born else [])])
        if self.chance(0.5) or not shape:
            self.run(f"{h} += {w}")
            now = now + v
        else:
            self.run(f"{h}[0] = {w if w == '0.5' else f'{w}[0]'}")
            now[0] = v if w == "0.5" else v[0]
        self.tangents[h], self.born[h] = np.imag(now) / H, born

    # -- backward ----------------------------------------------------------------------------------------------------

    def backward(self) -> None:
        names = [n for n in self.tensors() if n.startswith("h") and self.names[n].node is not None]
        if not names or self.passes == 3:
            return
        y, retain = self.choose(names[-3:]), self.chance(0.5)
        dy = self.numbers(np.shape(self.names[y]))
        before = {x: np.zeros(self.names[x].shape) if self.names[x].grad is None else np.array(self.names[x].grad)
                  for x in self.directions}  # fmt: skip
        allowed = self.written > self.born[y]
        self.passes += 1
        try:
            self.run(f"{y}.backward({self.literal(dy)}.reshape({np.shape(dy)}), retain_graph={retain})")
        except tg.MutationError as error:
            assert allowed, f"nothing was written after forward, yet: {error}"
            raise Written from error
        self.compare(before, float(np.sum(dy * self.tangents[y])))
        if not retain:
            for name in [n for n in self.tangents if n.startswith("h")]:
                del self.tangents[name]

    def compare(self, before: dict[str, Any], right: float) -> None:
        terms = []
        for x, v in self.directions.items():
            now = self.names[x].grad
            terms.append(((np.zeros(v.shape) if now is None else np.asarray(now)) - before[x]) * v)
        given, size = sum(t.sum() for t in terms), sum(np.abs(t).sum() for t in terms)
        assert abs(given - right) <= 1e-8 * (size + abs(right)) + 1e-10, f"gives {given:.12g}, should be {right:.12g}"

    def pull(self) -> None:
        if not self.pulls:
            return
        p = self.choose(self.pulls)
        right, born = self.pulls.pop(p)
        try:
            self.run(f"g = {p}(np.ones({right.shape}))[0]")
        except tg.MutationError as error:
            assert self.written > born, f"nothing was written after forward, yet: {error}"
            raise Written from error
        given = tg.detach(self.names["g"])
        np.testing.assert_allclose(np.asarray(given), right, rtol=1e-9, atol=1e-12)


STEPS = {
    "leaf": 2, "array": 2, "ids": 1, "mask": 1, "unary": 6, "binary": 6, "product": 2, "rows": 3, "cross_entropy": 2,
    "fused": 2, "joined": 1, "later": 1, "read": 4, "view": 2, "drop": 1, "write": 2, "unrecorded": 1, "in_place": 2,
    "backward": 2, "pull": 1,
}  # fmt: skip
BAG = [name for name, count in STEPS.items() for _ in range(count)]


def play(seed: int) -> tuple[str, Story]:
    """The outcome of a story: "finished", or "refused" after a write; anything else raises, with its text."""
    story = Story(seed)
    try:
        for name in ("leaf", "leaf", "ids", "array"):
            getattr(story, name)()
        for _ in range(int(story.rng.integers(6, 26))):
            getattr(story, story.choose(BAG))()
        story.backward()
        story.pull()
    except Written:
        return "refused", story
    except Exception as error:
        text = "\n".join(["import numpy as np", "import tinygrad_rnn as tg", *story.text])
        raise AssertionError(f"story {seed}: {type(error).__name__}: {error}\n{text}") from error
    return "finished", story


def told(seed: int) -> str:
    """The statements of a story, however it ends."""
    try:
        return "\n".join(play(seed)[1].text)
    except AssertionError as error:
        return str(error)
