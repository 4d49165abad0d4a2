"""The derivative of a single operation: its gradient rules as NumPy, as LaTeX and in sentences.

The formula is read from the rule that the operation declares (`local_derivative`), at sizes that are large primes, and
its text is executed at other sizes and compared with autograd before it is shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from inspect import Parameter
from typing import Any, ClassVar

import numpy as np

from ..engine.codegen import run_source
from ..engine.declaration import ATOM
from ..engine.op import OPS, Op
from ..engine.shape import broadcast
from ..engine.tensor import Tensor
from ..errors import DeriveError
from ..formula import Constant, Expr, Leaf, Part, local_derivative, postorder, sample_argument
from ..formula.expression import DY
from ..formula.printer import Piece, Printer
from ..formula.simplify import Maker
from ..tracing.formulas import replaced
from .factor import Collector
from .gradients import cast
from .helpers import head
from .latex import HEAD, LatexPrinter
from .standalone_numpy import Writer
from .symbols import escaped, symbol
from .wrap_lines import function

LETTERS = ("N", "D", "H", "K", "M")
PRIMES = (23, 29, 31, 37, 41)
AT = ((4, 3, 5, 6, 7), (1, 6, 3, 5, 4))  # the sizes at which the text is executed
TOLERANCES = ((np.float64, 1e-12), (np.float32, 1e-3))


def operation(name: str) -> Any:
    """The function of the operation called ``name``; None if there is none."""
    return OPS[name].function if name in OPS else None


class OperationDerivative:
    """The lines of an operation: ``y = ...``, then ``dx = ...`` for each input that has a gradient rule.

    ``slopes[x]`` is ∂y/∂x as a formula, for an operation on elements; ``gradients[x]`` is dx.
    """

    def __init__(self, op: Op):
        self.op, self.make = op, Maker()
        self.shapes, self.attrs, self.sizes = _sample(op)
        if op.variadic or op.keeps or not op.rules:
            reason = "has no gradient" if not op.rules else "takes any number of inputs, or keeps what it drew"
            raise DeriveError(f"{op.name}: {reason}, so its derivative is no formula")
        shorter = Collector(self.make, {})
        self.gradients: dict[str, Part] = {}
        for k, name in enumerate(op.arguments):
            if name in op.rules:
                formula = cast(local_derivative(op, k, list(self.shapes.values()), self.attrs), Leaf(DY))
                self.gradients[name] = shorter(replaced(formula, {}, self.make))
        leaves = tuple(Leaf(name, shape) for name, shape in self.shapes.items())
        shape = np.shape(op.forward(*self.arrays(self.shapes), **self.attrs))
        self.value = self.make(op.name, *leaves, shape=shape, attrs=self.attrs)
        ones = {DY: Constant(1)}
        self.slopes = {name: shorter(replaced(part, ones, self.make)) for name, part in self.gradients.items()
                       if op.shape is broadcast}  # fmt: skip
        read = [leaf.name for part in self.gradients.values() for leaf in postorder(part) if isinstance(leaf, Leaf)]
        self.saved = [name for name in [*op.arguments, "y"] if name in read]

    def arrays(self, shapes: Mapping[str, tuple[int, ...]]) -> list[Any]:
        """Random inputs, the same for the same shapes."""
        rng = np.random.default_rng(0)
        return [sample_argument(shape, self.op.domain, rng) for shape in shapes.values()]

    # -- the forms

    def source(self) -> str:
        """The module: ``tanh_forward(x)`` returns y and a cache, ``tanh_backward(dy, cache)`` {"dx": ...}."""
        writer = Writer(self.sizes, {})
        lines = [f"d{name} = {writer.text(part)}" for name, part in self.gradients.items()]
        lines, writer.used = [*self._sizes(writer.used), f"# y = {writer.text(self.value)}", *lines], {}
        first = f"y = {writer.text(self.value)}"
        saved = f"{', '.join(self.saved)}{',' * (len(self.saved) == 1)}"
        forward = [*self._sizes(writer.used), first, f"cache = ({saved})", "return y, cache"]
        pairs = ", ".join(f'"d{name}": d{name}' for name in self.gradients)
        backward = [*[f"{saved} = cache"] * bool(saved), *lines, f"return {{{pairs}}}"]
        parts = [function(f"def {self.op.name}_forward({', '.join(self.op.arguments)}):", forward),
                 function(f"def {self.op.name}_backward(dy, cache):", backward)]  # fmt: skip
        return "\n\n".join([*head(writer.helpers), *parts]).rstrip() + "\n"

    def _sizes(self, used: Mapping[str, Any]) -> list[str]:
        """The lines that read the sizes; an input that only they read is saved as well."""
        lines = []
        for letter in used:
            places = [(name, shape.index(self.sizes[letter])) for name, shape in self.shapes.items()
                      if self.sizes[letter] in shape]  # fmt: skip
            name, axis = next((place for place in places if place[0] in self.saved), places[0])
            self.saved += [name] if name not in self.saved else []
            lines.append(f"{letter} = {name}.shape[{axis}]")
        return lines

    def latex(self) -> str:
        """An ``aligned`` environment: y, ∂y/∂x of an operation on elements, and dx."""
        printer = _Latex(self.sizes)
        rows = [f"y &= {printer.text(self.value)}"]
        for name, part in self.slopes.items():
            over = rf"\frac{{\partial y}}{{\partial {symbol(name)}}}"
            rows.append(f"{over} &= {printer.text(part)}")
        rows.append(HEAD)
        rows += [rf"\mathrm{{d}}{symbol(name)} &= {printer.text(part)}" for name, part in self.gradients.items()]
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def steps(self) -> str:
        """Numbered sentences; formulas are NumPy, as in the source."""
        text = Writer(self.sizes, {}).text
        sentences = [f"`y = {text(self.value)}`. `dy` is ∂L/∂y, the gradient of the loss L, of the shape of y."]
        for name, part in self.gradients.items():
            code = f"`d{name} = {text(part)}`"
            if name in self.slopes:
                sentences.append(f"An element of y depends on `{name}` through the element in its place alone, and "
                                 f"∂y/∂{name} is `{text(self.slopes[name])}`, so {code}.")  # fmt: skip
            else:
                sentences.append(f"`{name}` reaches the loss only through y, so {code}.")
        known = ", ".join(f"`{name}`" for name in self.saved)
        sentences.append(f"The backward pass reads {known or 'nothing'}, so that is what the forward pass saves.")
        return "\n".join(f"{k}. {sentence}" for k, sentence in enumerate(sentences, 1)) + "\n"

    # -- the check

    def executed(self, source: str) -> dict[str, Any]:
        """The functions of the source. `DeriveError` where a value or a gradient differs from autograd."""
        name = self.op.name
        space = run_source(source, f"<derived {name}>", {"__name__": name})
        forward, backward = space[f"{name}_forward"], space[f"{name}_backward"]
        for at in AT:
            numbers = dict(zip(PRIMES, at))
            shapes = {key: tuple(numbers[n] for n in shape) for key, shape in self.shapes.items()}
            for dtype, tolerance in TOLERANCES:
                leaves = [Tensor(np.asarray(x, dtype), requires_grad=True) for x in self.arrays(shapes)]
                y = self.op.function(*leaves, **self.attrs)
                dy = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
                (y * dy).sum().backward()
                want = {"y": y.numpy(), **{f"d{key}": x.grad for key, x in zip(self.shapes, leaves)}}
                value, cache = forward(*(x.numpy() for x in leaves))
                for key, derived in {"y": value, **backward(dy, cache)}.items():
                    self._compare(key, derived, want[key], tolerance)
        return {key: item for key, item in space.items() if callable(item)}

    def _compare(self, key: str, derived: Any, want: Any, tolerance: float) -> None:
        close = np.shape(derived) == want.shape and np.allclose(derived, want, rtol=tolerance, atol=tolerance)
        if not close or np.asarray(derived).dtype != want.dtype:
            raise DeriveError(f"{self.op.name}: {key}, as derived, differs from autograd; it is not shown")


class NoGates:
    """No value of an operation is cut into gates."""

    blocks: ClassVar[dict[Any, str]] = {}


class _Latex(LatexPrinter):
    """Formulas of an operation, whose leaves are its inputs, y and dy."""

    def __init__(self, sizes: Mapping[str, int]):
        Printer.__init__(self, sizes)
        self.symbols: Any = NoGates()

    def called(self, node: Expr, parts: Sequence[Piece], name: str = "") -> Piece:
        word = name or rf"\operatorname{{{escaped(node.op)}}}"
        return Piece(f"{word}({', '.join(part.text for part in parts)})", ATOM)

    def leaf(self, name: str) -> Piece:
        return Piece(rf"\mathrm{{d}}{symbol(name[1:])}" if name == DY else symbol(name), ATOM)


def _sample(op: Op) -> tuple[dict[str, tuple[int, ...]], dict[str, Any], dict[str, int]]:
    """The shapes of the inputs at primes, the attributes, and the sizes by letter: of a sample that is declared."""
    every = [case for case in op.cases if not case.raises and all(isinstance(shape, tuple) for shape in case.inputs)]
    plain = [case for case in every if len(case.inputs) == len(op.arguments) and all(map(math.prod, case.inputs))]
    inputs = plain[0].inputs if plain else ((3, 4),) * len(op.arguments)
    lengths = list(dict.fromkeys(n for shape in inputs for n in shape))[: len(PRIMES)]
    prime = dict(zip(lengths, PRIMES))
    shapes = {name: tuple(prime.get(n, n) for n in shape) for name, shape in zip(op.arguments, inputs)}
    attrs = {name: attr for name, attr in op.attributes.items() if attr is not Parameter.empty}
    attrs |= plain[0].attrs if plain else {}
    return shapes, attrs, dict(zip(LETTERS, PRIMES[: len(lengths)]))
