"""`@cell` turns the equations of one time step into a cell; `Param` declares their parameters.

A cell remains a pure function. `Cell` reads from its signature the names of the input, of the states and of the
parameters, and their shapes in letters. So parameters can be created (`Cell.init`), checked, and sliced by the names of
their blocks (``Wx.f``).
"""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..engine.graph import clock
from ..engine.tensor import Tensor, make, value
from ..errors import InvalidType, ShapeError
from .create import create
from .param import Param, Stacked
from .param import advice as advice
from .probe import Probe, linked
from .sizes import Axis, infer, length, letters_in, solve, words_of
from .step_run import StepRun, positions


class Cell:
    """The equations of one time step and their signature. The decorator `cell` and the wrappers make cells.

    ``input``, ``states``: the names of the positional arguments; ``words``: the shape of each state, in letters;
    ``params``: the `Param` of each parameter; ``config``: the defaults of the other keywords. All are in the order of
    the signature. ``cell(x, *state, **params)`` is one step: x (N, D), each state (N, H) -> the new states.
    """

    inner: Cell | None = None  # the cell inside of a wrapper
    wrap: Callable[..., Cell] | None = None  # the wrapper: ``wrap(inner)`` gives an equal cell
    probed: Probe | None = None  # see `probe`
    variables: Any = None  # what the equations read besides their arguments, as the planner last saw it

    def __init__(self, function: Callable[..., Any], states: Mapping[str, str] | None = None):
        self.function = function
        self.name = function.__name__
        self.__name__, self.__doc__, self.__module__ = self.name, function.__doc__, function.__module__
        self.__wrapped__ = function
        parameters = inspect.signature(function).parameters.values()
        positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        for p in parameters:
            if p.name in positional and isinstance(p.default, Param):
                raise InvalidType(f"{self.name}: {p.name} is a Param among the states, should stand after a *")
        named = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        if len(positional) < 2:
            form = "f(x, h, *, ...): an input, at least one state, parameters"
            raise InvalidType(f"{self.name}: a cell is written {form}")
        self.input, *self.states = positional
        self.params = {name: p for name, p in named.items() if isinstance(p, Param)}
        self.config = {name: p for name, p in named.items() if not isinstance(p, Param)}
        self._known: dict[Any, dict[str, int]] = {}  # sizes by shapes
        self.forms: dict[Any, Any] = {}  # see `sequence.call.Form`
        self.words = {name: words_of((states or {}).get(name, "N H"), f"{self.name}: {name}") for name in self.states}

    def __repr__(self) -> str:
        return f"<cell {self.name}({', '.join([self.input, *self.states])}, *, {', '.join(self.params)})>"

    def __reduce__(self) -> Any:
        """Pickle by name, as functions are, where the module has the cell under its name; else by its parts."""
        if self.wrap is not None:
            return self.wrap, (self.inner,)
        there: Any = sys.modules.get(self.__module__)
        for name in self.function.__qualname__.split("."):
            there = getattr(there, name, None)
        if there is self:
            return self.function.__qualname__
        return type(self), (self.function, {name: " ".join(words) for name, words in self.words.items()})

    # -- parameters ------------------------------------------------------------------------------------------------

    def init(
        self, rng: Any, *, dtype: Any = np.float32, init: Mapping[str, Any] | None = None, **sizes: int
    ) -> dict[str, Tensor]:
        """Parameters for sizes such as ``D=100, H=100``: leaves that require a gradient, in the order of the signature.

        ``rng`` is a generator, or a seed. ``init`` overrides schemes by parameter: ``{"Wh": "orthogonal",
        "b": {"f": 1.0}}``. A size that the equations make equal to another (D = H in ``h + x``) may be left out.
        Raises InvalidType for a missing or unknown size or parameter, InvalidValue for a size that is no whole number
        from 1, ShapeError for sizes that are different where the equations need equal ones.
        """
        return create(self, rng, dtype, init or {}, sizes)

    def sizes(self, params: Mapping[str, Any]) -> dict[str, int]:
        """The size of each letter, from the shapes of the parameters.

        Raises InvalidType for a missing or unknown parameter, ShapeError where shapes do not fit.
        """
        key = tuple([(name, np.shape(value(arg)) if name in self.params else ()) for name, arg in params.items()])
        if key in self._known:
            return dict(self._known[key])
        for name in self.params:
            if name not in params:
                raise InvalidType(f"{self.name}: missing parameter {name}")
        for name, default in self.config.items():
            if default is inspect.Parameter.empty and name not in params:
                raise InvalidType(f"{self.name}: missing argument {name}")
        for name in params:
            if name not in self.params and name not in self.config:
                known = ", ".join([*self.params, *self.config])
                raise InvalidType(f"{self.name}: has no parameter {name}, only {known}")
        return self._note(key, solve(self.name, self._axes(params)))

    def _note(self, key: Any, sizes: dict[str, int]) -> dict[str, int]:
        """Remember the sizes for these shapes: a scan checks its arguments at each call."""
        if len(self._known) > 256:
            self._known.clear()
        self._known[key] = dict(sizes)
        return sizes

    def _axes(self, params: Mapping[str, Any]) -> list[Axis]:
        """The axes of all parameters. Raises ShapeError for an array with another number of axes."""
        axes: list[Axis] = []
        for name, param in self.params.items():
            shape = np.shape(value(params[name]))
            fitting = param.axes(name, shape)
            if fitting is None:
                raise ShapeError(f"{self.name}: {name} is {shape}, should be {param}")
            axes += fitting
        return axes

    def bind(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The keyword arguments of the function: each parameter as `Stacked`, and the configuration as it was given."""
        bound = {name: argument for name, argument in params.items() if name not in self.params}
        for name, param in self.params.items():
            given = params[name]
            stacked = Stacked.__new__(Stacked)
            stacked._array = np.asarray(given._array) if isinstance(given, Tensor) else np.array(given)
            stacked.node = getattr(given, "node", None)
            stacked._blocks, stacked._name = param.blocks, name
            bound[name] = stacked
        return bound

    # -- one step --------------------------------------------------------------------------------------------------

    def check(self, x: Any, state: Sequence[Any], params: Mapping[str, Any]) -> dict[str, int]:
        """All sizes by letter; raises, in the names of the cell, where input, state and parameters do not fit."""
        for place, arg in enumerate((x, *state)):
            if isinstance(arg, Mapping):
                wanted = f"should be an array: {self.name}({', '.join([self.input, *self.states])}, **params)"
                raise InvalidType(f"{self.name}: argument {place} is a dict, {wanted}")
        sizes = self.sizes(params)
        key = (*sizes.items(), np.shape(value(x)), *[np.shape(value(array)) for array in state])
        if key in self._known:
            return dict(self._known[key])
        if len(state) != len(self.states):
            got = f"{len(state)} state{'s' * (len(state) != 1)}"
            raise InvalidType(f"{self.name}: got {got}, should be {len(self.states)}: {', '.join(self.states)}")
        shape = np.shape(value(x))
        if len(shape) != 2 or shape[1] != sizes.get("D", shape[1]):
            owners = [name for name, param in self.params.items() if "D" in letters_in(param.words)]
            known = f" with D = {sizes['D']} as in {owners[0]}" if owners and "D" in sizes else ""
            raise ShapeError(f"{self.name}: {self.input} is {shape}, should be (N, D){known}")
        sizes |= {"N": shape[0], "D": shape[1]}
        for name, array in zip(self.states, state, strict=True):
            got, words = np.shape(value(array)), self.words[name]
            for k, word in enumerate(words):
                infer(word, got[k] if k < len(got) else 0, sizes)
            want = self._lengths(words, sizes)
            if got != want:
                raise ShapeError(f"{self.name}: {name} is {got}, should be ({', '.join(words)}) = {want}")
        return self._note(key, solve(self.name, self._axes(params), sizes))

    def _lengths(self, words: Sequence[str], sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape of a state in numbers. Raises InvalidType for a size that no shape tells."""
        for letter in letters_in(words):
            if letter not in sizes:
                raise InvalidType(f"{self.name}: the size {letter} of the state is in no parameter; give the state")
        return tuple([length(word, sizes) for word in words])

    def zero_state(self, N: int, params: Mapping[str, Any], dtype: Any) -> tuple[Tensor, ...]:
        """Zeros for every state. Raises InvalidType if a size of a state is in no parameter."""
        sizes = self.sizes(params)
        if sizes and any(letter not in (*sizes, "N") for words in self.words.values() for letter in letters_in(words)):
            sizes = linked(self, sizes)
        sizes["N"] = N
        return tuple([make(np.zeros(self._lengths(self.words[name], sizes), dtype), None) for name in self.states])

    def step(self, x: Any, state: Sequence[Any], bound: Mapping[str, Any], check: bool) -> tuple[Any, ...]:
        """The new state as a tuple, from Tensors and bound parameters; ``check`` compares it with the old state."""
        new = self.function(x, *state, **bound)  # any work added here is paid at every step
        new = new if isinstance(new, tuple) else (new,)
        if check:
            self._check_new({self.input: x, **dict(zip(self.states, state)), **bound}, state, new)
        return new

    def _check_new(self, given: Mapping[str, Any], state: Sequence[Any], new: Sequence[Any]) -> None:
        """Raise unless the new states have the number, shapes and dtypes of the old ones.

        For a dtype the text names the arguments that have it too.
        """
        wanted = f"{len(state)}: the new {', '.join(self.states)}"
        if len(new) == 1 and new[0] is None:
            raise InvalidType(f"{self.name}: returned None, should return {wanted}; is a return missing?")
        if len(new) != len(state):
            got = "a list" if new and isinstance(new[0], list) else f"{len(new)} value{'s' * (len(new) != 1)}"
            raise InvalidType(f"{self.name}: returns {got}, should return {wanted}")
        for name, old, tensor in zip(self.states, state, new, strict=True):
            if not isinstance(tensor, Tensor):
                raise InvalidType(f"{self.name}: the new {name} is a {type(tensor).__name__}, should be a Tensor")
            if tensor.shape != old.shape:
                raise ShapeError(f"{self.name}: the new {name} is {tensor.shape}, should be {old.shape} as {name} was")
            if tensor.dtype != old.dtype:
                alike = [key for key, arg in given.items() if getattr(arg, "dtype", None) == tensor.dtype]
                seen = f" ({', '.join(alike)} too)" if alike else ""
                want = f"should be {old.dtype} as {name} was"
                raise InvalidType(f"{self.name}: the new {name} is {tensor.dtype}{seen}, {want}")

    def __call__(self, x: Any, *state: Any, **params: Any) -> Any:
        """One step: the new state, bare if there is one, else a tuple. Arrays give arrays; any Tensor gives Tensors.

        Raises InvalidType and ShapeError, in the names of the cell, for arguments that do not fit.
        """
        self.check(x, state, params)
        arrays = not any(isinstance(argument, Tensor) for argument in [x, *state, *params.values()])
        given = [copy.copy(argument) if isinstance(argument, Tensor) else make(np.array(argument), None)
                 for argument in (x, *state)]  # fmt: skip
        bound = self.bind(params)
        run = StepRun(self, range(1), given[1:], bound)
        run.starts.append(clock())
        new = self.step(given[0], given[1:], bound, check=True)
        run.states.append(positions(new))
        run.end = clock()
        run.mark(*new)
        result = tuple(tensor._array for tensor in new) if arrays else new
        return result if len(result) > 1 else result[0]


def cell(function: Callable[..., Any] | None = None, *, states: Mapping[str, str] | None = None) -> Any:
    """Decorator: turn the equations of one time step into a `Cell`::

        @cell
        def rnn(x, h, *, Wx=Param("D H"), Wh=Param("H H"), b=Param("H")):
            return tanh(x @ Wx + h @ Wh + b)

    The first argument is the input (N, D). The other positional arguments are the states, (N, H) unless ``states`` says
    otherwise (``states={"h": "N P"}``). Keyword-only arguments with a `Param` are parameters, the others configuration.
    The function returns the new states in the order of its arguments; the first is the output. Raises InvalidType for a
    function of another form.
    """
    if function is None:
        return lambda f: Cell(f, states)
    return Cell(function, states)
