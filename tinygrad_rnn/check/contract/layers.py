"""The contract of a layer: the behaviour of its forward, backward, params and grads, apart from the numbers.

The layer is called as in a training loop: forward and backward, repeatedly, with grads set to zero in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers.discovered import DiscoveredLayer
from ..layers.parameters import listed
from ..report import Diagnosis
from .protocol import Pullback, broken, causality, changes, equal, linearity, modified, rows_independent, shared_memory

if TYPE_CHECKING:
    from ..layers.adapter import Adapter, Run


#: Methods that set gradients to zero, if the layer has one.
ZERO = ("zero_grad", "zero_grads", "zerograds", "clear_grads", "cleargrads", "reset_grad", "reset_grads")
AGAIN = "differs when backward is called again with the same arguments: it keeps a state, or draws random numbers"
KEEPS = ("forward gives another result when it is called again: it keeps a state, or has a random generator of its "
         "own; it was called on a fresh copy each time")  # fmt: skip


def layer_contract(
    adapter: Adapter, dys: Sequence[np.ndarray], accumulates: bool | None = None
) -> tuple[list[Diagnosis], list[str]]:
    """Check the contract of a layer. Returns (diagnoses of violations, notes)."""
    run = adapter.run(adapter.floats, dys)
    diagnoses = _counts(adapter, run) if adapter.saves else []
    notes = [*_surplus(adapter, run), *getattr(adapter.layer, "constants", [])]
    before = {**{name: adapter.floats.get(name, x) for name, x in zip(adapter.input_names, adapter.inputs)},
              **{name: adapter.floats.get(name, x) for name, x in zip(adapter.param_names, adapter.params)},
              **dict(zip(adapter.dy_names(len(dys)), dys))}  # fmt: skip
    handed_over = _handed_over(adapter, run)
    diagnoses += modified(before, handed_over)
    first = _copied(adapter.gradients(run))
    results = [_shared(adapter, run, handed_over, dys), _adds(adapter, first, dys, accumulates)]
    if adapter.saves:
        results += [_loop(adapter, run, dys), _twice(adapter, first, dys), ([], _rebinds(adapter, dys))]
    for violations, remarks in results:
        diagnoses, notes = diagnoses + violations, notes + remarks
    if not any(diagnosis.kind in ("protocol: shape", "protocol: again") for diagnosis in diagnoses):
        pullback = Pullback(lambda floats, dys: adapter.gradients(adapter.run(floats, dys)),
                        lambda floats: adapter.run(floats).outputs, adapter.floats,
                        [name for name in adapter.batched if name in adapter.floats], dys)  # fmt: skip
        linear = linearity(pullback)
        diagnoses += linear + rows_independent(pullback)
        diagnoses += causality(pullback, pullback.inputs[0]) if pullback.inputs and not linear else []
    return diagnoses, notes


def _shared(
    adapter: Adapter, run: Run, handed_over: Mapping[str, Any], dys: Sequence[Any]
) -> tuple[list[Diagnosis], list[str]]:
    """Which gradients share memory; of an attribute that no later backward writes into, this is only a note."""
    gradients = {name: g for name, g in adapter.gradients(run).items() if g is not None}
    different = {name if name in run.returned else id(g): (f"d{name}", g) for name, g in gradients.items()}
    sharing = shared_memory(dict(different.values()), handed_over)
    kept = [f"d{name}" for name in adapter.param_names if isinstance(run.layer, DiscoveredLayer)]
    if any(each.tensor in kept for each in sharing):
        used = adapter.run(adapter.floats, dys)
        handed = used.dys
        adapter.rerun(used, adapter.floats, dys)
        kept = kept if all(map(equal, handed, dys)) else []
    notes = [each.text for each in sharing if not adapter.saves or each.tensor in kept]
    return [each for each in sharing if each.text not in notes], notes


def _rebinds(adapter: Adapter, dys: Sequence[Any]) -> list[str]:
    """A note if backward puts other arrays into the list ``grads`` than it had there after forward."""
    run = adapter.run()
    grads = run.layer.grads
    before = list(grads) if isinstance(grads, list) else []
    adapter.run_backward(run, dys)
    if run.layer.grads is not grads or all(a is b for a, b in zip(before, grads)):
        return []  # a new list is handed out by those who collect gradients after each backward
    return ["backward puts other arrays into grads: an optimiser that holds the old ones sees nothing; write into "
            "them, grads[0][...] = g"]  # fmt: skip


def _handed_over(adapter: Adapter, run: Run) -> dict[str, Any]:
    """The arrays that the layer was handed, by name, with their present values."""
    return {**dict(zip(adapter.input_names, run.inputs)), **dict(zip(adapter.param_names, run.params)),
            **dict(zip(adapter.dy_names(len(run.dys)), run.dys))}  # fmt: skip


def _counts(adapter: Adapter, run: Run) -> list[Diagnosis]:
    """Check the number, the shapes and the types of the gradients, and that they are finite if the outputs are."""
    diagnoses, arguments, finite = [], adapter.arguments, all(np.isfinite(y).all() for y in run.outputs)
    needed = [name for name in adapter.input_names if name in adapter.floats]
    if run.count < len(arguments) and not all(name in run.returned for name in needed):
        text = (f"backward returns {run.count} gradients, should be {len(arguments)}, one for each of "
                f"{', '.join(arguments)} (None for an input that has none)")  # fmt: skip
        diagnoses.append(broken("shape", "", text))
    if len(run.grads) != len(adapter.entries):
        text = f"grads has {len(run.grads)} entries, params has {len(adapter.entries)}; should be one for each"
        diagnoses.append(broken("shape", "", text))
    for name, g in adapter.gradients(run).items():
        if g is not None and np.asarray(g).dtype.kind in "fiu":
            if np.shape(g) != adapter.floats[name].shape:
                text = f"has shape {np.shape(g)}, should be {adapter.floats[name].shape}, that of {name}"
                diagnoses.append(broken("shape", f"d{name}", text))
            elif finite and not np.isfinite(g).all():
                diagnoses.append(broken("nan", f"d{name}", "has NaN or inf in it"))
        elif g is not None or name in adapter.param_names:
            diagnoses.append(broken("none", f"d{name}", f"is a {type(g).__name__}, should be an array"))
    return diagnoses


def _surplus(adapter: Adapter, run: Run) -> list[str]:
    """A note if backward returns more gradients than forward takes inputs."""
    if run.count <= len(adapter.arguments):
        return []
    names = ", ".join(f"d{name}" for name in adapter.arguments) or "none"
    return [f"backward returns {run.count} gradients, and forward takes {len(adapter.arguments)} inputs: the first are "
            f"taken for {names}, the others are not checked"]  # fmt: skip


# -- repeated calls ---------------------------------------------------------------------------------------------------


def _adds(
    adapter: Adapter, first: Mapping[str, Any], dys: Sequence[np.ndarray], accumulates: bool | None
) -> tuple[list[Diagnosis], list[str]]:
    """Does backward overwrite the values in grads, or add to them? Both are right; anything else is a violation."""
    fill = 0.75
    second = _copied(adapter.gradients(adapter.run(adapter.floats, dys, fill)))
    added = {name: g + fill if name in adapter.param_names and _is_array(g) else g for name, g in first.items()}
    adds = changes(first, second)
    bad = [name for name in changes(added, second) if name in adds]
    if bad:
        text = "depends on the earlier values in grads, should overwrite them or add to them"
        text = text if adapter.params else AGAIN
        return [broken("again", f"d{name}", text) for name in bad], []
    params = [name for name in first if name in adapter.param_names]
    if accumulates is not None and accumulates != bool(adds) and params:
        text = "adds to grads, should write over them" if adds else "writes over grads, should add to them"
        return [broken("accumulates", "", f"backward {text}: accumulates is {accumulates}")], []
    return [], ["it adds to grads: set them to zero before each backward"] if adds else []


def _loop(adapter: Adapter, run: Run, dys: Sequence[np.ndarray]) -> tuple[list[Diagnosis], list[str]]:
    """Call forward and backward on the same layer again: with the same values, with others, and with the first.

    The gradients must equal those of a fresh copy. If the outputs of forward differ already, the layer keeps a state:
    that is a note, and `check_layer` compares the gradients of a second call with numbers.
    """
    rng = np.random.default_rng(6)
    other = {name: x * rng.uniform(0.8, 1.2, x.shape) for name, x in adapter.floats.items()}
    diagnoses: dict[str, Diagnosis] = {}
    cases = (adapter.floats, "the same"), (other, "other inputs and parameters"), (adapter.floats, "the first")
    for floats, when in cases:
        try:
            fresh = adapter.run(floats, dys)
        except Exception:  # of the user's code, which may not run on other inputs
            continue
        try:
            run = _once_more(adapter, run, floats, dys)
        except Exception as error:
            text = f"forward and backward cannot be called again on the same layer: {type(error).__name__}: {error}"
            return [broken("again", "", text)], []
        if not _same_outputs(fresh, run):
            return list(diagnoses.values()), [KEEPS]
        text = f"differs when forward and backward are called again, on {when}: it keeps or accumulates earlier values"
        for name in changes(adapter.gradients(fresh), adapter.gradients(run)):
            diagnoses.setdefault(name, broken("again", f"d{name}", text))
    return list(diagnoses.values()), []


def _once_more(adapter: Adapter, run: Run, floats: Mapping[str, Any], dys: Sequence[np.ndarray]) -> Run:
    """The next iteration of a training loop: the parameters change in place, and the gradients are set to zero."""
    for name, p in zip(adapter.param_names, run.params):
        p[...] = floats.get(name, p)
    for name in ZERO:
        if callable(getattr(run.layer, name, None)):
            getattr(run.layer, name)()
    for g in listed(run.layer.grads):
        if isinstance(g, np.ndarray) and g.flags.writeable:
            g[...] = 0
    return adapter.rerun(run, floats, dys)


def _same_outputs(first: Run, other: Run) -> bool:
    """Are the outputs of both runs equal?"""
    return len(first.outputs) == len(other.outputs) and all(map(equal, first.outputs, other.outputs))


def _twice(adapter: Adapter, first: Mapping[str, Any], dys: Sequence[np.ndarray]) -> tuple[list[Diagnosis], list[str]]:
    """Call backward twice after one forward. A layer that consumes its cache cannot do that, which is only a note."""
    text = "backward can be called once after each forward: it consumes, or changes, what forward has saved"
    try:
        run = adapter.run(adapter.floats, dys)
        for g in run.grads:
            if isinstance(g, np.ndarray) and g.flags.writeable:
                g[...] = 0
        second = adapter.gradients(adapter.run_backward(run, dys))
    except Exception:
        return [], [text]
    return [], [text] if changes(first, second) else []


def _copied(gradients: Mapping[str, Any]) -> dict[str, Any]:
    """The gradients with all arrays copied."""
    return {name: np.array(g) if isinstance(g, np.ndarray) else g for name, g in gradients.items()}


def _is_array(g: Any) -> bool:
    return g is not None and np.asarray(g).dtype.kind in "fiu"
