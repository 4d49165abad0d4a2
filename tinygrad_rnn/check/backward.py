"""`check_backward`: a hand-derived gradient against autograd and against numbers, line by line.

To tell a cause from its consequences, the backward pass runs again with the hand-derived gradients in the place of the
right ones (`tracing.trace.pull`). This gives, for each line, the gradient that is right for the inputs of that line. A
wrong gradient that equals it follows correctly from a mistake in an earlier line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..errors import Uncheckable
from .derivation.adapter import CellDerivation, Derivation
from .derivation.rows import DerivationProblem
from .layer import checked, judged
from .layers.arguments import (
    as_cell,
    is_backward,
    parameters,
    refuse_deferred,
    refuse_inputs,
    takes_any,
    with_signature,
)
from .layers.cache_pair import pair_as_layer, takes_cache
from .report import Report
from .timeout import SECONDS


def check_backward(
    forward: Callable[..., Any], backward: Callable[..., Any], *inputs: Any, seed: int = 0,
    sizes: Mapping[str, int] | None = None, dtype: Any = None, timeout: float = SECONDS, **params: Any,
) -> Report:  # fmt: skip
    """Compare the gradients of a hand-derived ``backward`` with autograd's, and autograd's with numbers.

    There are four forms:

    - ``forward`` is a cell: ``backward(x, *states, **params, dh=, dc=)`` gets the arguments of the cell and the
      gradients by the *new* states.
    - ``forward`` is a cell and ``backward`` takes ``dhs``, which is backpropagation through time:
      ``backward(xs, *states, **params, dhs=, dh=, dc=)`` gets xs (N, T, D), the gradients dhs (N, T, H) by all
      outputs, and the gradients dh and dc by the last states (``backward`` may omit these).
    - ``forward`` is a function of arrays: ``backward(*inputs, dy)``, with one dy for each output.
    - ``forward`` returns a cache: ``out, cache = forward(*inputs)``, ``backward(dout, cache)``. Both are called on
      arrays only, and they are checked by numbers, as `check_layer` checks a layer.

    Missing inputs are random, of ``sizes`` by letter (default N=3, T=5, D=7, H=11). Arrays have ``dtype`` (default
    float64).

    ``backward`` returns a dict in the order of the derivation, or a tuple in the order of the inputs. A key is "d" and
    the name of a value: an argument (``"dx"``, ``"dWx"``; ``"dh"`` is by the old state) or a local variable (``"df"``,
    ``"dA"``; ``"dc'"`` is by the new ``c``). Over time the key of the input is ``"dxs"``, and gradients by local
    variables are stacked over the steps along axis 1. For a variable that is computed several times the gradient may
    be that of one computation, the sum over all, or all of them stacked. The gradients by all arguments are required;
    None for an argument that is no parameter of the cell means that nobody needs this gradient.

    Returns a `Report`: the first wrong gradient, those that are wrong only because of it, the smallest case that fails,
    and the wrong line of the source with a patch that was run, if there is one. It also checks the contract of
    a backward: that it repeats, modifies nothing, is linear in the cotangents, and keeps rows of the batch and steps
    apart. A violation is a diagnosis of kind "protocol: ...". Raises `Uncheckable` for arguments that do not fit, and
    if a call of forward or backward takes longer than ``timeout`` seconds.
    """
    forward, backward = with_signature(forward), with_signature(backward)
    right_way_round(forward, backward, inputs)
    if not isinstance(forward, Cell) and takes_cache(backward, forward):
        return checked(pair_as_layer(forward, backward), inputs, None, dtype=dtype, timeout=timeout)
    if not isinstance(forward, Cell) and not inputs:
        raise Uncheckable("check_backward: a function needs inputs: check_backward(f, backward, x, w)")
    rng = np.random.default_rng(seed)
    adapter = (CellDerivation(forward, backward, inputs, params, sizes or {}, dtype, rng, timeout)
               if isinstance(forward, Cell) else Derivation(forward, backward, inputs, dtype, timeout))  # fmt: skip
    report = Report(f"{type(adapter.layer).__name__}: hand-derived gradients against autograd and numbers")
    judged(DerivationProblem(adapter, adapter.run().outputs, rng), report)
    return report


def right_way_round(forward: Any, backward: Any, inputs: Sequence[Any]) -> None:
    """Raise Uncheckable unless ``forward`` takes the inputs and ``backward`` can be its backward, in this order."""
    if isinstance(forward, str):
        as_cell("check_backward", forward)
    refuse_deferred("check_backward", forward, backward)
    names = [getattr(f, "__name__", getattr(f, "name", type(f).__name__)) for f in (forward, backward)]
    functions = not isinstance(forward, (Cell, type)) and callable(forward) and bool(parameters(backward))
    if isinstance(backward, Cell) or (functions and _by_name(forward) and not _by_name(backward)):
        raise Uncheckable(f"check_backward: {names[0]} is handed over first and {names[1]} second, should be the "
                      f"forward and then its backward: check_backward({names[1]}, {names[0]}, ...)")  # fmt: skip
    for role, f, name in zip(("forward", "backward"), (forward, backward), names):
        if isinstance(f, type) or not callable(f):
            kind = f"the class {name}" if isinstance(f, type) else f"a {name}"
            raise Uncheckable(f"check_backward: {role} is {kind}, should be a function; a layer, an object with "
                          "forward and backward, is for check_layer")  # fmt: skip
    if inputs and not isinstance(forward, Cell):
        call = f"check_backward({names[0]}, {names[1]}, {{}})"
        refuse_inputs("check_backward", names[0], forward, inputs, call)


def _by_name(f: Callable[..., Any]) -> bool:
    """Does the function take a gradient by name?"""
    return takes_cache(f) or (not takes_any(f, "VAR_POSITIONAL", "VAR_KEYWORD") and is_backward(f))
