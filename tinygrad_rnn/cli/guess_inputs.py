"""Inputs for a pair of functions, a loss or an operation, guessed from the names of the arguments.

``x`` is (N, D), or (N, T, D); ``prev_h`` is (N, H); ``Wx`` is (D, kH) with k gates. Every orientation and every k is
tried, and the first that runs counts: sizes are different primes, so shapes that do not belong together raise.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..check.layers.arguments import plain, required
from ..check.layers.discovered import floats_by_path
from ..check.layers.functions import global_variables
from ..errors import UserFileError

SIZES = {"N": 3, "T": 5, "D": 7, "H": 11, "V": 13}
#: The plain names of arguments, by their shape in words; a weight of gates has kH columns.
NAMES = {
    "x": ("x", "xs", "xt", "input", "inp", "seq", "sequence", "xseq"), "D": ("gamma", "beta", "scale", "shift", "gain"),
    "state": ("h", "prevh", "hprev", "h", "hs", "hinit", "c", "prevc", "cprev", "cinit", "hidden"),
    "D kH": ("wx", "wxh", "wih", "u"), "H kH": ("wh", "whh"), "kH": ("b", "bh", "bias"),
    "D+H kH": ("w",), "H V": ("why", "wy", "who", "wv", "v"), "V": ("by", "bv"),
    "ids": ("inputs", "targets", "ids", "idx", "labels", "target", "t"),
}  # fmt: skip
GATES = (1, 4, 3)
FORMS = ("rows", "columns", "columns, flat biases")  # of states; biases may be flat where states are columns
LAYOUTS = ("N", "NT", "TN")  # of x: one step, the batch first, or time first


def guessed_inputs(
    name: str, function: Callable[..., Any], call: Callable[..., Any], rng: np.random.Generator,
    sizes: Mapping[str, int], shapes: Sequence[tuple[int, ...]] | None, skip: int, lengths: Sequence[int] = (),
) -> list[Any]:  # fmt: skip
    """Inputs for ``function`` on which ``call``, forward and backward, runs; ``shapes`` are those of ``--inputs``.

    ``skip`` arguments at the front are no inputs. ``lengths`` are those of the weights, which are tried as sizes.
    Raises UserFileError if none are found.
    """
    names = required(function)[skip:]
    if shapes is not None:
        if len(shapes) != len(names):
            raise UserFileError(f"{name}({', '.join(names)}) takes {len(names)} inputs and --inputs has {len(shapes)} "
                                "shapes, should have one for each")  # fmt: skip
        ids = [kind_of(argument, names) == "ids" and len(shape) == 1 for argument, shape in zip(names, shapes)]
        return [rng.integers(2, size=shape).tolist() if whole else 0.5 * rng.standard_normal(shape)
                for whole, shape in zip(ids, shapes)]  # fmt: skip
    kinds = {argument: kind_of(argument, names) for argument in names}
    give = ("--inputs should have the shape of every argument in order, such as --inputs 3,7 3,11 7,44; a dict or a "
            "list is handed over in Python, to check_backward or check_loss")  # fmt: skip
    if strange := unknown(names):
        raise UserFileError(f"{name}({', '.join(names)}): no shape can be guessed for {', '.join(strange)}; {give}")
    arrays = floats_by_path(global_variables(function)).values()
    lengths = lengths or sorted({n for x in arrays for n in x.shape})
    errors = []
    for run in (call, function):  # a backward that raises on every input is for the check to tell
        for inputs in readings(kinds, {**SIZES, **sizes}, rng, lengths):
            errors.append(raised_by(run, inputs))
            if errors[-1] is None:
                return inputs
    raise UserFileError(f"{name}({', '.join(names)}) runs on none of the usual shapes; {give}\n  "
                        f"{type(errors[0]).__name__}: {errors[0]}")  # fmt: skip


def unknown(names: Sequence[str]) -> list[str]:
    """The arguments that are named after no kind of input."""
    return [argument for argument in names if not kind_of(argument, names)]


def raised_by(call: Callable[..., Any], inputs: Sequence[Any]) -> Exception | None:
    """What the user's function raises on copies of the inputs; None if it runs."""
    try:
        with np.errstate(all="ignore"):
            call(*(np.copy(x) if isinstance(x, np.ndarray) else x for x in inputs))
    except Exception as error:
        return error
    return None


def kind_of(argument: str, names: Sequence[str]) -> str:
    """The key of `NAMES` of an argument, or the shape of a weight of a single gate; "" if neither is known."""
    name = plain(argument)
    gate = re.fullmatch("([wub])[zrnfgioch]", name)
    known = next((kind for kind, keys in NAMES.items() if name in keys), "")
    if name == "w" and not any(plain(other) in NAMES["state"] for other in names):
        return "D kH"  # there is no state that it could be a weight of
    if name in ("w", "u") and {"w", "u"} <= set(map(plain, names)):
        return "D kH" if name == ("u" if "v" in map(plain, names) else "w") else "H kH"
    if not gate or sum(bool(re.fullmatch("w[zrnfgico]", plain(other))) for other in names) < 2:
        return known
    recurrent = any(re.fullmatch("u[zrnfgioch]", plain(other)) for other in names)
    return {"w": "D H" if recurrent else "D+H H", "u": "H H", "b": "H"}[gate[1]]


def readings(
    kinds: Mapping[str, str], sizes: Mapping[str, int], rng: np.random.Generator, lengths: Sequence[int] = ()
) -> Iterator[list[Any]]:  # fmt: skip
    """The inputs in each orientation: rows or columns, one step or over time, with 1, 4 or 3 gates.

    ``lengths`` are those of weights that are global variables: after the usual sizes, they are tried as D, H and V.
    """
    for D, H in [(sizes["D"], sizes["H"]), *itertools.product(lengths, lengths)]:
        now = {**sizes, "D": D, "H": H, "V": D if lengths else sizes["V"]}
        for form, layout, gates in itertools.product(FORMS, LAYOUTS, GATES):
            yield [_input(kind, form, layout, gates, now, rng) for kind in kinds.values()]


def _input(
    kind: str, form: str, layout: str, gates: int, sizes: Mapping[str, int], rng: np.random.Generator
) -> Any:  # fmt: skip
    N, T, D, H, V = (sizes[letter] for letter in "NTDHV")
    D = V if form == "columns" else D  # column vectors belong to one-hot words
    if kind == "ids":
        return [int(n) for n in rng.integers(V, size=T)]
    steps = {"N": (N, D), "NT": (N, T, D), "TN": (T, N, D)}
    shapes = {"x": steps[layout], "state": (N, H), "D kH": (D, gates * H), "H kH": (H, gates * H),
              "kH": (gates * H,), "D+H kH": (D + H, gates * H), "H V": (H, V), "V": (V,), "D H": (D, H),
              "D+H H": (D + H, H), "H H": (H, H), "H": (H,), "D": (D,)}  # fmt: skip
    shape: tuple[int, ...] = shapes[kind]
    if form == "columns" or (form == "columns, flat biases" and kind not in ("kH", "V", "H")):
        over_time = (T,) if kind == "x" and layout != "N" else ()
        shape = (*over_time, shape[-1], 1) if kind in ("state", "kH", "V", "H", "D", "x") else shape[::-1]
    return 0.5 * rng.standard_normal(shape)
