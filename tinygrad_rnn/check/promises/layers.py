"""The protocol of a layer: what its forward, backward, params and grads do beside computing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..report import Diagnosis
from .protocol import Claims, broken, changes, later, linearity, modified, rows_apart, shared

if TYPE_CHECKING:
    from ..layers.hand import Hand, Run


def manners(
    hand: Hand, dys: Sequence[np.ndarray], accumulates: bool | None = None
) -> tuple[list[Diagnosis], list[str]]:
    """Every promise that the layer breaks, and what is as well to know of it."""
    run = hand.run(hand.floats, dys)
    found = _counts(hand, run)
    before = {**{name: hand.floats.get(name, x) for name, x in zip(hand.input_names, hand.inputs)},
              **{name: hand.floats.get(name, x) for name, x in zip(hand.param_names, hand.params)},
              **{_dy(k, dys): dy for k, dy in enumerate(dys)}}  # fmt: skip
    given = _given(hand, run)
    found += modified(before, given)
    back = {f"d{name}": g for name, g in zip(hand.input_names, run.returned)}
    grads = {id(g): (f"grads[{k}]", g) for k, g in enumerate(run.grads)}
    found += shared({**back, **dict(grads.values())}, given)
    again, notes = _again(hand, run, dys, accumulates)
    found += again
    if not found or all(one.kind != "protocol: shape" for one in found):
        claims = Claims(lambda floats, dys: hand.gradients(hand.run(floats, dys)),
                        lambda floats: hand.run(floats).outputs, hand.floats,
                        [name for name in hand.input_names if name in hand.floats], dys)  # fmt: skip
        linear = linearity(claims)
        found += linear + rows_apart(claims)
        found += later(claims, claims.inputs[0]) if claims.inputs and not linear and not _looks_ahead(hand) else []
    return found, _state(hand) + notes


def _dy(k: int, dys: Sequence[Any]) -> str:
    return "dy" if len(dys) == 1 else f"dy{k}"


def _given(hand: Hand, run: Run) -> dict[str, Any]:
    """What the layer was handed, by name, as it is now."""
    dys = {_dy(k, run.dys): dy for k, dy in enumerate(run.dys)}
    return {**dict(zip(hand.input_names, run.inputs)), **dict(zip(hand.param_names, run.params)), **dys}


def _counts(hand: Hand, run: Run) -> list[Diagnosis]:
    """As many gradients as there are things to have one; each a finite number."""
    found, floats = [], [name for name in hand.input_names if name in hand.floats]
    if len(run.returned) not in (len(hand.inputs), len(floats)):
        text = (f"backward returns {len(run.returned)} gradients, should be {len(hand.inputs)}, one for each of "
                f"{', '.join(hand.input_names)} (None for an input that has none)")  # fmt: skip
        found.append(broken("shape", "", text))
    if len(run.grads) != len(hand.layer.params):
        text = f"grads has {len(run.grads)} entries, params has {len(hand.layer.params)}; should be one for each"
        found.append(broken("shape", "", text))
    for name, g in hand.gradients(run).items():
        if g is not None and np.asarray(g).dtype.kind in "fiu":
            if np.shape(g) != hand.floats[name].shape:
                text = f"has shape {np.shape(g)}, should be {hand.floats[name].shape}, that of {name}"
                found.append(broken("shape", f"d{name}", text))
            elif not np.isfinite(g).all():
                found.append(broken("nan", f"d{name}", "has NaN or inf in it"))
        elif g is not None or name in hand.param_names:
            found.append(broken("none", f"d{name}", f"is a {type(g).__name__}, should be an array"))
    return found


def _looks_ahead(hand: Hand) -> bool:
    """Does an output depend on inputs of later steps, as it does in a layer that goes both ways?"""
    xs = next(iter(hand.floats.values()))
    if xs.ndim < 2 or xs.shape[1] < 2:
        return False
    moved = np.array(xs)
    moved[:, -1] = moved[:, -1] * 1.5 + 0.5
    name = next(iter(hand.floats))
    pairs = zip(hand.run().outputs, hand.run({**hand.floats, name: moved}).outputs)
    return any(a.ndim > 1 and not np.array_equal(a[:, :-1], b[:, :-1], equal_nan=True) for a, b in pairs)


def _again(
    hand: Hand, run: Run, dys: Sequence[np.ndarray], accumulates: bool | None
) -> tuple[list[Diagnosis], list[str]]:
    """The second backward after one forward: the same inputs' gradients; grads the same, or twice as large."""
    first = _copied(hand.gradients(run))
    try:
        second = _copied(hand.gradients(hand.back(run, dys)))
    except Exception as error:
        text = f"backward cannot be called twice after one forward: {type(error).__name__}: {error}"
        return [broken("again", "", text)], []
    params = [name for name in first if name in hand.param_names]
    twice = {name: 2 * g if name in params and g is not None else g for name, g in first.items()}
    other = changes(first, second)
    adds = [name for name in params if name in other]
    notes = ["it adds to grads: set them to zero before each backward"] if adds else []
    bad = changes(twice, second) if adds else other
    bad = [name for name in bad if name in other]
    text = "is another when backward is called twice: it keeps or overwrites what the first call computed with"
    found = [broken("again", f"d{name}", text) for name in bad]
    if accumulates is not None and accumulates != bool(adds) and not bad and params:
        text = "adds to grads, should write over them" if adds else "writes over grads, should add to them"
        found.append(broken("accumulates", "", f"backward {text}: accumulates is {accumulates}"))
    return found, notes


def _copied(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: np.array(g) if isinstance(g, np.ndarray) else g for name, g in found.items()}


def _state(hand: Hand) -> list[str]:
    """A layer that keeps something from call to call."""
    run = hand.run()
    first = [np.array(y) for y in run.outputs]
    with hand.drawing():
        result = run.layer.forward(*run.inputs)
    second = [np.asarray(y) for y in (result if isinstance(result, (tuple, list)) else [result])]
    second = [y for y in second if y.dtype.kind == "f"]
    if all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first, second)):
        return []
    return ["forward gives another result when it is called again: a state that is kept, or a random generator of its "
            "own; it was called on a fresh copy each time"]  # fmt: skip
