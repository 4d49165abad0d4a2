"""The protocol of a layer: what its forward, backward, params and grads do beside computing.

It is called as a training loop does, forward and then backward, again and again, with grads set to zero in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..report import Diagnosis
from .protocol import Claims, broken, changes, equal, later, linearity, modified, rows_apart, shared

if TYPE_CHECKING:
    from ..layers.adapter import Hand, Run


#: Methods that set gradients to zero, where a layer has one.
ZERO = ("zero_grad", "zero_grads", "zerograds", "clear_grads", "cleargrads", "reset_grad", "reset_grads")
KEEPS = ("forward gives another result when it is called again: a state that is kept, or a random generator of its "
         "own; it was called on a fresh copy each time")  # fmt: skip


def manners(
    hand: Hand, dys: Sequence[np.ndarray], accumulates: bool | None = None
) -> tuple[list[Diagnosis], list[str]]:
    """Every promise that the layer breaks, and what is as well to know of it."""
    run = hand.run(hand.floats, dys)
    found, notes = _counts(hand, run), _unasked(hand, run)
    before = {**{name: hand.floats.get(name, x) for name, x in zip(hand.input_names, hand.inputs)},
              **{name: hand.floats.get(name, x) for name, x in zip(hand.param_names, hand.params)},
              **{_dy(k, dys): dy for k, dy in enumerate(dys)}}  # fmt: skip
    given = _given(hand, run)
    found += modified(before, given)
    back = {f"d{name}": g for name, g in run.returned.items()}
    grads = {id(g): (f"grads[{k}]", g) for k, g in enumerate(run.grads)}
    found += shared({**back, **dict(grads.values())}, given)
    first = _copied(hand.gradients(run))
    for more in (_adds(hand, first, dys, accumulates), _loop(hand, run, first, dys), _twice(hand, first, dys)):
        found, notes = found + more[0], notes + more[1]
    if not found or all(one.kind != "protocol: shape" for one in found):
        claims = Claims(lambda floats, dys: hand.gradients(hand.run(floats, dys)),
                        lambda floats: hand.run(floats).outputs, hand.floats,
                        [name for name in hand.input_names if name in hand.floats], dys)  # fmt: skip
        linear = linearity(claims)
        found += linear + rows_apart(claims)
        found += later(claims, claims.inputs[0]) if claims.inputs and not linear else []
    return found, notes


def _dy(k: int, dys: Sequence[Any]) -> str:
    return "dy" if len(dys) == 1 else f"dy{k}"


def _given(hand: Hand, run: Run) -> dict[str, Any]:
    """What the layer was handed, by name, as it is now."""
    dys = {_dy(k, run.dys): dy for k, dy in enumerate(run.dys)}
    return {**dict(zip(hand.input_names, run.inputs)), **dict(zip(hand.param_names, run.params)), **dys}


def _counts(hand: Hand, run: Run) -> list[Diagnosis]:
    """As many gradients as there are things to have one; each a finite number, where the outputs are."""
    found, arguments, finite = [], hand.arguments, all(np.isfinite(y).all() for y in run.outputs)
    if run.count < len(arguments) and not all(name in run.returned for name in hand.input_names if name in hand.floats):
        text = (f"backward returns {run.count} gradients, should be {len(arguments)}, one for each of "
                f"{', '.join(arguments)} (None for an input that has none)")  # fmt: skip
        found.append(broken("shape", "", text))
    if len(run.grads) != len(hand.entries):
        text = f"grads has {len(run.grads)} entries, params has {len(hand.entries)}; should be one for each"
        found.append(broken("shape", "", text))
    for name, g in hand.gradients(run).items():
        if g is not None and np.asarray(g).dtype.kind in "fiu":
            if np.shape(g) != hand.floats[name].shape:
                text = f"has shape {np.shape(g)}, should be {hand.floats[name].shape}, that of {name}"
                found.append(broken("shape", f"d{name}", text))
            elif finite and not np.isfinite(g).all():
                found.append(broken("nan", f"d{name}", "has NaN or inf in it"))
        elif g is not None or name in hand.param_names:
            found.append(broken("none", f"d{name}", f"is a {type(g).__name__}, should be an array"))
    return found


def _unasked(hand: Hand, run: Run) -> list[str]:
    """Gradients that backward returns beside those by the inputs."""
    if run.count <= len(hand.arguments):
        return []
    names = ", ".join(f"d{name}" for name in hand.arguments) or "none"
    return [f"backward returns {run.count} gradients, and forward takes {len(hand.arguments)} inputs: the first are "
            f"taken for {names}, the others are not checked"]  # fmt: skip


# -- again and again ---------------------------------------------------------------------------------------------------


def _adds(
    hand: Hand, first: Mapping[str, Any], dys: Sequence[np.ndarray], accumulates: bool | None
) -> tuple[list[Diagnosis], list[str]]:
    """Does backward write over what stands in grads, or add to it? Both are fine; something else is not."""
    fill = 0.75
    second = _copied(hand.gradients(hand.run(hand.floats, dys, fill)))
    added = {name: g + fill if name in hand.param_names and _is_array(g) else g for name, g in first.items()}
    adds = changes(first, second)
    bad = [name for name in changes(added, second) if name in adds]
    if bad:
        text = "depends on what stands in grads before, should write over it or add to it"
        return [broken("again", f"d{name}", text) for name in bad], []
    params = [name for name in first if name in hand.param_names]
    if accumulates is not None and accumulates != bool(adds) and params:
        text = "adds to grads, should write over them" if adds else "writes over grads, should add to them"
        return [broken("accumulates", "", f"backward {text}: accumulates is {accumulates}")], []
    return [], ["it adds to grads: set them to zero before each backward"] if adds else []


def _loop(
    hand: Hand, run: Run, first: Mapping[str, Any], dys: Sequence[np.ndarray]
) -> tuple[list[Diagnosis], list[str]]:
    """Forward and backward on the same layer once more, then on other inputs, then on the first again.

    What they give is what a fresh copy gives, unless forward does not; of such a layer `second_call` sees the numbers.
    """
    rng = np.random.default_rng(6)
    other = {name: x * rng.uniform(0.8, 1.2, x.shape) for name, x in hand.floats.items()}
    found: dict[str, Diagnosis] = {}
    for floats, when in ((hand.floats, "the same"), (other, "other inputs and parameters"), (hand.floats, "the first")):
        try:
            fresh = hand.run(floats, dys)
        except Exception:  # of the user's code, which need not run on other inputs than it was given
            continue
        try:
            run = _once_more(hand, run, floats, dys)
        except Exception as error:
            text = f"forward and backward cannot be called again on the same layer: {type(error).__name__}: {error}"
            return [broken("again", "", text)], []
        if not _same_outputs(fresh, run):
            return list(found.values()), [KEEPS]
        text = f"is another when forward and backward are called again, on {when}: it keeps or adds up what was before"
        for name in changes(hand.gradients(fresh), hand.gradients(run)):
            found.setdefault(name, broken("again", f"d{name}", text))
    return list(found.values()), []


def _once_more(hand: Hand, run: Run, floats: Mapping[str, Any], dys: Sequence[np.ndarray]) -> Run:
    """The next turn of a training loop: the parameters are others, in place, and the gradients zero."""
    for name, p in zip(hand.param_names, run.params):
        p[...] = floats.get(name, p)
    for name in ZERO:
        if callable(getattr(run.layer, name, None)):
            getattr(run.layer, name)()
    for g in run.layer.grads.values() if isinstance(run.layer.grads, dict) else run.layer.grads:
        if isinstance(g, np.ndarray) and g.flags.writeable:
            g[...] = 0
    return hand.again(run, floats, dys)


def _same_outputs(one: Run, other: Run) -> bool:
    return len(one.outputs) == len(other.outputs) and all(map(equal, one.outputs, other.outputs))


def _twice(hand: Hand, first: Mapping[str, Any], dys: Sequence[np.ndarray]) -> tuple[list[Diagnosis], list[str]]:
    """A second backward after one forward. Who uses its cache up cannot, and nobody trains like that: a note."""
    text = "backward can be called once after each forward: it uses up, or changes, what forward has kept"
    try:
        run = hand.run(hand.floats, dys)
        for g in run.grads:
            if isinstance(g, np.ndarray) and g.flags.writeable:
                g[...] = 0
        second = hand.gradients(hand.back(run, dys))
    except Exception:
        return [], [text]
    return [], [text] if changes(first, second) else []


def _copied(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: np.array(g) if isinstance(g, np.ndarray) else g for name, g in found.items()}


def _is_array(g: Any) -> bool:
    return g is not None and np.asarray(g).dtype.kind in "fiu"
