"""Generate the public function of an operation, which records a call as a node.

An operation is called often and does little. So its public function is generated as source code in which nothing is
left to look up at the call. That of ``multiply`` reads::

    def multiply(x, w):
        if isinstance(x, _Tensor): x_array, x_node = x._array, x.node
        else: x_array, x_node = x if x.__class__ not in _sequences else _array(x), None
        ...
        try: y = _forward(x_array, w_array)
        except Exception as error: _refuse(error, (x_array, w_array), {})
        if (x_node is None and w_node is None) or _anywhere.special: return _record(...)
        if x_array is x and x.__class__ is not _float: x_array = _frozen(x)
        ...
        _output = _new(_Tensor)
        _output._array = y
        _output.node = node = _new(_Node)
        node.parents = (x_node, w_node)
        node.edges = (None if x_node is None else (x_node, x_rule, (w_array,)), ...)
        return _output
"""

from __future__ import annotations

import linecache
from collections.abc import Sequence
from inspect import Parameter, Signature
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidType, InvalidValue
from .context import anywhere, context
from .graph import Node, clock
from .tensor import Tensor, make
from .versions import frozen, secured

if TYPE_CHECKING:
    from .op import Op

_INPUT = """
    if isinstance({name}, _Tensor): {name}_array, {name}_node = {name}._array, {name}.node
    else: {name}_array, {name}_node = {name} if {name}.__class__ not in _sequences else _array({name}), None"""
_ATTRIBUTE = """
        if {name}.__class__ not in _simple: {name} = _settled("{name}", {name})"""
_FROZEN = """
    if {name}_array is {name} and {name}.__class__ is not _float: {name}_array = _frozen({name})"""

_EDGE = "None if {name}_node is None else ({name}_node, {name}_rule, {saved})"
_FUNCTION = """def {name}({signature}):{inputs}
    try:{attributes}
        y{results} = _forward({arrays}{passed})
    except Exception as error: _refuse(error, ({arrays}), {attrs})
    if ({untracked}){unruled} or _anywhere.special:
        return _record(_spec, ({arguments}), y, {attrs}, ({edges})){frozen}
    _output = _new(_Tensor)
    _output._array = y
    _output.node = node = _new(_Node)
    node.seq, node.op, node.attrs = _clock(), _spec, {attrs}
    node.parents, node.edges = ({parents}), ({edges})
    node.shape, node.dtype = y.shape, y.dtype
    return _output
"""


def source(spec: Op) -> str:
    """The source code of the public function of ``spec``."""
    names = spec.arguments
    ruled = [name for name in names if name in spec.rules]
    edges = [_EDGE.format(name=name, saved=spec.rules[name].places) if name in ruled else "None" for name in names]
    required = [name for name, default in spec.attributes.items() if default is Parameter.empty]
    return _FUNCTION.format(
        name=spec.name,
        signature=_listed([*names, *(name if name in required else f"{name}={name}" for name in spec.attributes)]),
        inputs="".join(_INPUT.format(name=name) for name in names),
        attributes="".join(_ATTRIBUTE.format(name=name) for name in spec.attributes),
        results="".join(f", {name}" for name in spec.keeps),
        arguments=_listed(names),
        arrays=_listed(f"{name}_array" for name in names),
        passed=_listed(f"{name}={name}" for name in spec.attributes),
        attrs="{" + _listed(f"{name!r}: {name}" for name in spec.attributes) + "}" if spec.attributes else "_nothing",
        unruled="".join(f" or {name}_node is not None" for name in names if name not in ruled),
        untracked=" and ".join(f"{name}_node is None" for name in ruled) or "True",
        frozen="".join(_FROZEN.format(name=name) for name in names if _saved_for_others(spec, name)),
        parents=_listed(f"{name}_node" if name in ruled else "None" for name in names),
        edges=_listed(edges),
    )


def _saved_for_others(spec: Op, name: str) -> bool:
    """Does the rule of another input save this input? Then it is saved even if it needs no gradient itself."""
    return any(name in rule.names for argument, rule in spec.rules.items() if argument != name)


def _listed(parts: Any) -> str:
    return "".join(f"{part}, " for part in parts)


SIMPLE = frozenset([int, float, bool, str, slice, type(None), type(Ellipsis)])  # types of immutable attributes


def settled(name: str, attribute: Any) -> Any:
    """``attribute`` as a node saves it: arrays and lists are copied, so that the caller may change them.

    A Tensor is saved as its array. A Tensor that needs a gradient is refused, because attributes have no rules.
    """
    if isinstance(attribute, tuple):
        for part in attribute:
            if part.__class__ not in SIMPLE:
                return tuple([settled(name, part) for part in attribute])
        return attribute
    if isinstance(attribute, Tensor):
        if attribute.node is not None and context.recording:
            raise InvalidType(
                f"{name} is a Tensor that needs a gradient, which only positional arguments have; "
                f"{name}.detach() is a constant"
            )
        attribute = attribute._array
    if isinstance(attribute, (list, np.ndarray)) and not _unchangeable(attribute):
        array = np.array(attribute)
        if isinstance(attribute, list) and not array.size:  # an empty index
            array = array.astype(np.intp)
        array.flags.writeable = False
        return array
    return attribute


def _unchangeable(array: Any) -> bool:
    """Is it an array in read-only memory, such as a copy from an earlier call?"""
    while isinstance(array, np.ndarray) and not array.flags.writeable:
        array = array.base
    return array is None


def run_source(text: str, file: str, names: dict[str, Any], results: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run generated source and return what it defines; a traceback through it shows its lines.

    ``file`` is the name of the source in tracebacks. Source that is run under the same name again replaces the first.
    """
    code, results = compile(text, file, "exec"), names if results is None else results
    linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
    exec(code, names, results)
    return results


def first_call(*args: Any, **attrs: Any) -> Any:
    """The code of a public function until its first call. Most programs call few operations."""
    _generate(_spec)  # type: ignore[name-defined]  # noqa: F821  in the names of the function
    return _spec.function(*args, **attrs)  # type: ignore[name-defined]  # noqa: F821


def function(spec: Op) -> Any:
    """The public function of an operation with a fixed number of inputs; its first call generates the code."""
    names = dict(spec.attributes, _spec=spec, _forward=spec.forward, _refuse=spec.refuse, _record=record, _nothing={},
                 _Tensor=Tensor, _Node=Node, _new=object.__new__, _clock=clock, _anywhere=anywhere, _shape=np.shape,
                 _sequences=(list, tuple), _array=np.asarray, _simple=SIMPLE, _settled=settled, _frozen=frozen,
                 _float=float, _generate=_generate)  # fmt: skip
    apply: Any = FunctionType(first_call.__code__, names, spec.name)
    defaults = {**dict.fromkeys(spec.arguments, Parameter.empty), **spec.attributes}
    kind = Parameter.POSITIONAL_OR_KEYWORD
    apply.__signature__ = Signature([Parameter(name, kind, default=value) for name, value in defaults.items()])
    return apply


def _generate(spec: Op) -> None:
    """Give the public function its code, with the edges for the rules; the function object stays the same."""
    names = spec.function.__globals__
    names.update({f"{name}_rule": rule for name, rule in spec.rules.items()})
    defined = run_source(source(spec), f"<operation {spec.name}>", {**names}, {})[spec.name]
    spec.function.__defaults__ = defined.__defaults__  # before the code: other threads may be calling
    spec.function.__code__ = defined.__code__


def rewrite(spec: Op) -> None:
    """Let the public function record the rules that were set; before its first call there is nothing to do."""
    if spec.function.__code__ is not first_call.__code__:
        _generate(spec)


def record(spec: Op, args: Sequence[Any], y: Any, attrs: Any, edges: Sequence[Any]) -> Any:
    """``y`` as a Tensor, with a node if it needs a gradient; unchanged if no input is a Tensor."""
    if y is None:
        raise InvalidType(f"{spec.name}: returned None, should return an array; is a return missing?")
    if not any(isinstance(a, Tensor) for a in args):
        return y
    if context.recording and None in edges:
        _check_rules(spec, args, edges)
    tracked = context.recording and any(edge is not None for edge in edges)
    output = make(y, Node(secured(edges, args), y.shape, y.dtype, spec, attrs) if tracked else None)
    if context.scope and output.node is not None:
        output.node.scope = context.scope
    if context.observer is not None:
        context.observer.operation(spec, args, output)
    return output


def _check_rules(spec: Op, args: Sequence[Any], edges: Sequence[Any]) -> None:
    """Raise if an input needs a gradient and has no rule: its part of the gradient would be lost silently."""
    for k, (a, edge) in enumerate(zip(args, edges)):
        if edge is None and isinstance(a, Tensor) and a.node is not None:
            name = spec.arguments[0 if spec.variadic else k]
            raise InvalidType(
                f"{spec.name}: {name} needs a gradient and has no rule, should have {spec.name}.vjp({name}=...); "
                f"{name}.detach() is a constant"
            )


def variadic(spec: Op) -> Any:
    """The public function of an operation on any number of inputs: ``f([a, b])`` as NumPy's, or ``f(a, b)``."""
    argument = spec.arguments[0]
    led = any(default is Parameter.empty for default in spec.attributes.values())  # by einsum's subscripts

    def apply(*args: Any, **attrs: Any) -> Any:
        if args and isinstance(args[0], str):
            attrs, args = {next(iter(spec.attributes)): args[0], **attrs}, args[1:]
        elif args and isinstance(args[0], (list, tuple)):
            attrs, args = {**dict(zip(spec.attributes, args[1:])), **attrs}, tuple(args[0])
        elif len(args) == 1 and not led:
            raise several(spec.name, args[0])
        if not args:
            raise InvalidValue(f"{spec.name}: needs at least one array")
        xs = tuple(a._array if isinstance(a, Tensor) else np.asarray(a) for a in args)
        attrs = {**spec.attributes, **attrs}
        try:
            attrs = {name: settled(name, attribute) for name, attribute in attrs.items()}
            results = spec.forward(*xs, **attrs)
        except Exception as error:
            spec.refuse(error, xs, attrs)
        y, *saved = results if spec.keeps else (results,)
        known = {**attrs, **dict(zip(spec.keeps, saved)), "y": y, "xs": xs}
        rule = spec.rules.get(argument)
        edges = [_open_edge(a, rule, i, known) for i, a in enumerate(args)]
        return record(spec, args, y, attrs, edges)

    return apply


def several(name: str, x: Any) -> TypeError:
    """The error for a single array where several are joined: NumPy would split it along its first axis."""
    return TypeError(
        f"{name}: got one array {np.shape(x)}, should be a list of arrays: {name}([x]) for x alone, {name}(list(x)) "
        "for its parts along the first axis, as NumPy's"
    )


def _open_edge(a: Any, rule: Any, i: int, known: dict[str, Any]) -> Any:
    if rule is None or not isinstance(a, Tensor) or a.node is None:
        return None
    return a.node, rule, tuple(i if name == "i" else known[name] for name in rule.names)
