"""Inputs for a pair of functions, a loss or an operation, guessed from names, from known weights, and by trial.

``x`` is (N, D), or (N, T, D); ``prev_h`` is (N, H); ``Wx`` is (D, kH) with k gates. Every orientation and every k is
tried, and of an argument with another name every usual shape. The first that runs counts: sizes are different primes,
so shapes that do not belong together raise.
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..check.layers.arguments import parameters, plain, required
from ..check.layers.discovered import WEIGHT, floats_by_path
from ..check.layers.functions import global_variables
from ..errors import UserFileError
from .guess_weights import keys_read, made_weights
from .option_types import InputShape
from .trial import first_that_runs, raised_by

SIZES = {"N": 3, "T": 5, "D": 7, "H": 11, "V": 13}
#: The plain names of arguments, by their shape in words; a weight of gates has kH columns.
NAMES = {
    "x": ("x", "xs", "xt", "input", "inp", "seq", "sequence", "xseq"), "D": ("gamma", "beta", "scale", "shift", "gain"),
    "state": ("h", "prevh", "hprev", "hs", "hinit", "c", "prevc", "cprev", "cinit", "hidden", "aprev", "a"),
    "D kH": ("wx", "wxh", "wih", "wax", "u"), "H kH": ("wh", "whh", "waa"), "kH": ("b", "bh", "ba", "bias"),
    "D+H kH": ("w",), "H V": ("why", "wy", "who", "wya", "wv", "v"), "V": ("by", "bv"),
    "ids": ("inputs", "targets", "ids", "idx", "labels", "target", "t"),
}  # fmt: skip
WHOLE = ("", "ids", "x")  # kinds that may be whole numbers
TRIED = ("", "ids", "weight")  # kinds of which every usual shape is tried
LIKE_WEIGHT = re.compile("[WUVB]|[wuvb]_|gamma|beta|[wW]eight|[bB]ias|[kK]ernel|[eE]mbedding")  # ``words`` is none
#: Weights of one letter that come together: that of the input, that of the state, and perhaps that of the output.
PAIRS = (("u", "w", "v"), ("w", "u"), ("u", "v"), ("w", "r"))
GATES = (1, 4, 3)
FORMS = ("rows", "columns", "columns, flat biases", "columns of a batch")  # biases may be flat where states are columns
LAYOUTS = ("N", "NT", "TN")  # of x: one step, the batch first, or time first


def guessed_inputs(
    name: str, function: Callable[..., Any], call: Callable[..., Any], rng: np.random.Generator,
    sizes: Mapping[str, int], shapes: Sequence[InputShape] | None, skip: int = 0, lengths: Sequence[int] = (),
    notes: list[str] | None = None,
) -> list[Any]:  # fmt: skip
    """Inputs for ``function`` on which ``call``, forward and backward, runs; ``shapes`` are those of ``--inputs``.

    ``skip`` arguments at the front are no inputs. ``lengths`` are those of the weights, which are tried as sizes. What
    was chosen by trial is added to ``notes``. Raises UserFileError if nothing runs.
    """
    errors, sizes = list[str](), {**SIZES, **sizes}
    for names in dict.fromkeys(tuple(names[skip:]) for names in (required(function), _with_optional(function))):
        given = given_inputs(name, names, shapes or (), rng)
        given.update(made_weights(function, [argument for argument in names if argument not in given], sizes))
        if len(given) == len(names) and not errors:
            return [given[argument] for argument in names]
        kinds = {argument: keys_read(function, argument) or kind_of(argument, names)
                 for argument in names if argument not in given}  # fmt: skip
        weights = floats_by_path([global_variables(function), given, getattr(function, "__self__", None)])
        lengths = lengths or sorted({n for x in weights.values() for n in x.shape})
        known = all(isinstance(kind, (dict, list)) or kind not in TRIED for kind in kinds.values())
        for run in (call, function)[: 1 + known]:  # a backward that raises on inputs that are known is for the check

            def tried(inputs: Mapping[str, Any], run: Any = run, given: Any = given, names: Any = names) -> Any:
                return raised_by(run, [{**given, **inputs}[argument] for argument in names])

            for options in readings(kinds, sizes, rng, lengths):
                inputs, error = first_that_runs(options, tried)
                if error is None:
                    (notes if notes is not None else []).extend(by_trial(kinds, inputs))
                    return [{**given, **inputs}[argument] for argument in names]
                errors.append(not_guessed(name, names, kinds, error))
    raise UserFileError(errors[0])


def _with_optional(function: Callable[..., Any]) -> list[str]:
    """The arguments up to the last whose default is None, if no other default lies before it."""
    defaults = [argument.default for argument in parameters(function).values()]
    others = [k for k, x in enumerate(defaults) if x is not None and x is not inspect.Parameter.empty]
    return list(parameters(function))[: min(others, default=len(defaults))]


def by_trial(kinds: Mapping[str, Any], inputs: Mapping[str, Any]) -> list[str]:
    """A note on the inputs whose shapes no name has told."""
    whole = {argument: "ids:" * (x.dtype.kind == "i") for argument, x in inputs.items()
             if kinds[argument] in ("", "weight")}  # fmt: skip
    text = " ".join(f"{argument}={kind}{','.join(map(str, inputs[argument].shape))}" for argument, kind in whole.items()
                    if inputs[argument].shape)  # fmt: skip
    hidden = any(np.ndim(x) > 1 and np.shape(x)[-1] == 1 for x in inputs.values())
    column = "; the batch is one column, which hides a mistake in a sum over the batch" * hidden
    return [f"inputs were chosen by trial; others are given as --inputs {text}{column}"] if text else []


def not_guessed(name: str, names: Sequence[str], kinds: Mapping[str, Any], error: Exception) -> str:
    """The text of the error where no inputs were found, with what to write."""
    strange = [argument for argument in kinds if kinds[argument] in TRIED] or list(kinds)
    more = [f"{argument}=3,7" for argument in strange]
    ids = [f", or {argument}=ids:5 for whole numbers" for argument in strange if kinds[argument] in WHOLE]
    return (f"{name}({', '.join(names)}) runs on none of the usual shapes; --inputs should say those of "
            f"{', '.join(strange)}, such as --inputs {' '.join(more)}{''.join(ids[-1:])}; a dict or a list is handed "
            "over in Python: check_loss, check_backward or check_layer\n  "
            f"{type(error).__name__}: {error}")  # fmt: skip


def given_inputs(
    name: str, names: Sequence[str], shapes: Sequence[InputShape], rng: np.random.Generator
) -> dict[str, Any]:  # fmt: skip
    """The inputs of ``--inputs`` by argument: of those that are named, of all, or of all whose names tell no shape."""
    by_name = {shape.name: shape for shape in shapes if shape.name}
    rest = [shape for shape in shapes if not shape.name]
    free = [argument for argument in names if argument not in by_name]
    strange = [argument for argument in free if kind_of(argument, names) in TRIED]
    order = next((places for places in (free, strange) if len(places) == len(rest)), None)
    if (order is None and rest) or not all(argument in names for argument in by_name):
        raise UserFileError(f"{name}({', '.join(names)}) takes {len(names)} inputs and --inputs has {len(shapes)} "
                            f"shapes, should have one for each, or name their arguments: --inputs {names[-1]}=3,7"
                            )  # fmt: skip
    by_name.update(zip(order or (), rest))
    ids = [argument for argument, shape in by_name.items()
           if shape.whole or (kind_of(argument, names) == "ids" and len(shape.sizes) == 1)]  # fmt: skip
    return {argument: rng.integers(2, size=shape.sizes) if argument in ids else 0.5 * rng.standard_normal(shape.sizes)
            for argument, shape in by_name.items()}  # fmt: skip


def kind_of(argument: str, names: Iterable[str]) -> str:
    """The key of `NAMES` of an argument, the shape of a weight of a single gate, or "weight"; "" if none is known."""
    name, others = plain(argument), [plain(other) for other in names]
    gate = re.fullmatch("([wub])[zrnfgioch]", name)
    weight = WEIGHT.fullmatch(argument) or LIKE_WEIGHT.match(argument)
    known = next((kind for kind, keys in NAMES.items() if name in keys), "weight" if weight else "")
    if name == "w" and not any(other in NAMES["state"] for other in others):
        return "D kH"  # there is no state that it could be a weight of
    pair = next((pair for pair in PAIRS if {*pair} <= {*others}), "")
    if name in pair:
        return ("D kH", "H kH", "H V")[pair.index(name)]
    if not gate or sum(bool(re.fullmatch("w[zrnfgico]", other)) for other in others) < 2:
        return known
    recurrent = any(re.fullmatch("u[zrnfgioch]", other) for other in others)
    return {"w": "D H" if recurrent else "D+H H", "u": "H H", "b": "H"}[gate[1]]


def readings(
    kinds: Mapping[str, Any], sizes: Mapping[str, int], rng: np.random.Generator, lengths: Sequence[int] = ()
) -> Iterator[dict[str, list[Any]]]:  # fmt: skip
    """The inputs by argument in each orientation: rows or columns, one step or over time, with 1, 4 or 3 gates.

    ``lengths`` are those of weights that are known: after the usual sizes, they are tried as D, H and V. An argument
    whose name tells no shape has several options; in the end, so has each that is no weight.
    """
    seen: list[Any] = []
    free = [argument for argument, kind in kinds.items() if kind in TRIED]
    more = [argument for argument, kind in kinds.items() if kind in (*TRIED, "x", "state")]
    orders = [*itertools.product((free, more), (FORMS,))] if free else [([], FORMS[:1]), ([], FORMS[1:]), (more, FORMS)]
    for unknown, forms in orders:  # all sizes in rows before columns, (D, 1): einsum takes an axis of 1 for any
        for D, H in [(sizes["D"], sizes["H"]), *itertools.product(lengths, lengths)]:
            now = {**sizes, "D": D, "H": H, "V": D if lengths else sizes["V"]}
            for form, layout, gates in itertools.product(forms, LAYOUTS, GATES):
                known = {argument: [_inputs(kind, list(kinds), form, layout, gates, now, rng)]
                         for argument, kind in kinds.items() if argument not in unknown}  # fmt: skip
                shapes = [unknown, *(x.shape for x in floats_by_path(known).values())]
                if shapes not in seen:
                    seen.append(shapes)
                    tried = lengths or sorted({D, H, sizes["V"], gates * H, D + H})
                    yield {**known, **{argument: usual(kinds[argument], sizes, rng, tried) for argument in unknown}}


def usual(kind: str, sizes: Mapping[str, int], rng: np.random.Generator, lengths: Sequence[int]) -> list[Any]:
    """Inputs of every usual shape: floats with one of the ``lengths``, then whole numbers; ids the other way round."""
    N, T = sizes["N"], sizes["T"]
    if kind == "weight":
        shapes = [*itertools.product(lengths, lengths), *((n,) for n in lengths), *((n, 1) for n in lengths)]
        return [0.5 * rng.standard_normal(shape) for shape in shapes]
    shapes = [form(n) for form in (
        lambda n: (N, n), lambda n: (N, T, n), lambda n: (T, N, n), lambda n: (T, n), lambda n: (n, 1),
        lambda n: (n, N), lambda n: (T, n, 1), lambda n: (n, N, T), lambda n: (n,)) for n in lengths]  # fmt: skip
    floats = [0.5 * rng.standard_normal(shape) for shape in [*shapes, (N, 1), (N, T, 1), (N,), (T,), ()]]
    ids = [rng.integers(high, size=shape) for high in (4, 2) for shape in ((T,), (N,), (N, T), (T, N), ())]
    return [*ids, *floats] if kind == "ids" else [*floats, *ids]


def _inputs(kind: Any, names: Sequence[str], *how: Any) -> Any:
    """An array of a kind; or, of keys or of a tuple of names, the weights with these names."""
    if isinstance(kind, dict):
        return {key: _input(kind_of(key, [*names, *kind]), *how) for key in kind}
    return tuple(_input(kind_of(key, [*names, *kind]), *how) for key in kind) if isinstance(kind, list) else (
        _input(kind, *how))  # fmt: skip


def _input(
    kind: str, form: str, layout: str, gates: int, sizes: Mapping[str, int], rng: np.random.Generator
) -> Any:  # fmt: skip
    N, T, D, H, V = (sizes[letter] for letter in "NTDHV")
    D = V if form.startswith("columns") and not form.endswith("batch") else D  # columns belong to one-hot words
    steps = {"N": (N, D), "NT": (N, T, D), "TN": (T, N, D)}
    shapes = {"x": steps[layout], "state": (N, H), "D kH": (D, gates * H), "H kH": (H, gates * H),
              "kH": (gates * H,), "D+H kH": (D + H, gates * H), "H V": (H, V), "V": (V,), "D H": (D, H),
              "D+H H": (D + H, H), "H H": (H, H), "H": (H,), "D": (D,)}  # fmt: skip
    shape: tuple[int, ...] = shapes[kind]
    flat = kind in ("kH", "V", "H", "D")
    if form == "columns of a batch" and not flat:
        shape = {"x": {"N": (D, N), "NT": (D, N, T), "TN": (T, D, N)}[layout]}.get(kind, shape[::-1])
    elif form == "columns" or (form != "rows" and not (flat and form == "columns, flat biases")):
        over_time = (T,) if kind == "x" and layout != "N" else ()
        shape = (*over_time, shape[-1], 1) if kind in ("state", "x") or flat else shape[::-1]
    return 0.5 * rng.standard_normal(shape)
