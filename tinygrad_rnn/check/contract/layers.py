"""The contract of a layer: the behaviour of its forward, backward, params and grads, apart from the numbers.

The layer is called as in a training loop: forward and backward, repeatedly, with grads set to zero in between. Each
check yields violations, as diagnoses of kind "protocol: ...", and notes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..layers.adapter import Adapter, Floats, Run
from ..layers.arguments import listed
from ..report import Diagnosis
from .protocol import broken, causality, changes, equal, linearity, modified, numbers, rows_independent, shared_memory

Arrays = Sequence[np.ndarray]
Findings = Iterator[Diagnosis | str]  # violations and notes
#: Methods that set gradients to zero, if the layer has one.
ZERO = ("zero_grad", "zero_grads", "zerograds", "clear_grads", "cleargrads", "reset_grad", "reset_grads")
AGAIN = "differs when backward is called again with the same arguments: it keeps a state, or draws random numbers"
KEEPS = ("forward gives another result when it is called again: it keeps a state, or has a random generator of its "
         "own; it was called on a fresh copy each time")  # fmt: skip


def layer_contract(adapter: Adapter, dys: Arrays, accumulates: bool | None = None) -> tuple[list[Diagnosis], list[str]]:
    """Check the contract of a layer. Returns (diagnoses of violations, notes)."""
    findings = list(_findings(adapter, dys, accumulates))
    diagnoses = [item for item in findings if isinstance(item, Diagnosis)]
    if not any(diagnosis.kind in ("protocol: shape", "protocol: again") for diagnosis in diagnoses):
        linear = linearity(adapter, dys)
        diagnoses += linear + rows_independent(adapter, dys)
        diagnoses += [] if linear else causality(adapter, dys)
    return diagnoses, [item for item in findings if isinstance(item, str)]


def _findings(adapter: Adapter, dys: Arrays, accumulates: bool | None) -> Findings:
    run = adapter.run(adapter.floats, dys)
    first = numbers(adapter.gradients(run))
    names = [*adapter.input_names, *adapter.param_names, *adapter.dy_names(len(dys))]
    arrays = zip(names, [*adapter.inputs, *adapter.params])
    before = dict(zip(names, [*(adapter.floats.get(name, x) for name, x in arrays), *dys]))
    handed_over = dict(zip(names, [*run.inputs, *run.params, *run.dys]))
    yield from _counts(adapter, run) if adapter.saves else ()
    yield from adapter.places.constants if adapter.places else ()
    yield from modified(before, handed_over)
    yield from _shared(adapter, run, handed_over, dys)
    yield from _adds(adapter, first, dys, accumulates)
    if adapter.saves:
        yield from _loop(adapter, run, dys)
        yield from _twice(adapter, first, dys)
        yield from _rebinds(adapter, dys)


def _shared(adapter: Adapter, run: Run, handed_over: Mapping[str, Any], dys: Sequence[Any]) -> Findings:
    """Which gradients share memory; of an attribute that no later backward writes into, this is only a note."""
    gradients = {name: g for name, g in adapter.gradients(run).items() if g is not None}
    different = {name if name in run.returned else id(g): (f"d{name}", g) for name, g in gradients.items()}
    sharing = shared_memory(dict(different.values()), handed_over)
    kept = [f"d{name}" for name in adapter.param_names if adapter.places]
    if any(each.tensor in kept for each in sharing):
        used = adapter.run(adapter.floats, dys)
        handed = used.dys
        adapter.rerun(used, adapter.floats, dys)
        kept = kept if all(map(equal, handed, dys)) else []
    yield from (each.text if not adapter.saves or each.tensor in kept else each for each in sharing)


def _rebinds(adapter: Adapter, dys: Sequence[Any]) -> Findings:
    """A note if backward puts other arrays into the list ``grads`` than it had there after forward."""
    run = adapter.run()
    grads = adapter.grads_of(run.layer)
    before = list(grads) if isinstance(grads, list) else []
    adapter.run_backward(run, dys)
    put = adapter.grads_of(run.layer) is grads and not all(a is b for a, b in zip(before, grads))
    if put:  # a new list is handed out by those who collect gradients after each backward
        yield ("backward puts other arrays into grads: an optimiser that holds the old ones sees nothing; write into "
               "them, grads[0][...] = g")  # fmt: skip


def _counts(adapter: Adapter, run: Run) -> Findings:
    """Check the number, the shapes and the types of the gradients, and that they are finite if the outputs are."""
    arguments, finite = adapter.arguments, all(np.isfinite(y).all() for y in run.outputs)
    names = ", ".join(f"d{name}" for name in arguments) or "none"
    if run.count > len(arguments):
        yield (f"backward returns {run.count} gradients, and forward takes {len(arguments)} inputs: the first are "
               f"taken for {names}, the others are not checked")  # fmt: skip
    if run.count < len(arguments) and any(
        name in adapter.floats and name not in run.returned for name in adapter.input_names
    ):
        text = (f"backward returns {run.count} gradients, should be {len(arguments)}, one for each of "
                f"{', '.join(arguments)} (None for an input that has none)")  # fmt: skip
        yield broken("shape", "", text)
    if len(run.grads) != len(adapter.entries):
        text = f"grads has {len(run.grads)} entries, params has {len(adapter.entries)}; should be one for each"
        yield broken("shape", "", text)
    gradients = adapter.gradients(run)
    arrays = numbers(gradients)
    for name, g in gradients.items():
        if name in arrays:
            if np.shape(g) != adapter.floats[name].shape:
                text = f"has shape {np.shape(g)}, should be {adapter.floats[name].shape}, that of {name}"
                yield broken("shape", f"d{name}", text)
            elif finite and not np.isfinite(g).all():
                yield broken("nan", f"d{name}", "has NaN or inf in it")
        elif g is not None or name in adapter.param_names:
            yield broken("none", f"d{name}", f"is a {type(g).__name__}, should be an array")


# -- repeated calls ---------------------------------------------------------------------------------------------------


def _adds(adapter: Adapter, first: Mapping[str, np.ndarray], dys: Arrays, accumulates: bool | None) -> Findings:
    """Does backward overwrite the values in grads, or add to them? Both are right; anything else is a violation."""
    fill = 0.75
    second = adapter.gradients(adapter.run(adapter.floats, dys, fill))
    added = {name: g + fill if name in adapter.param_names else g for name, g in first.items()}
    adds = changes(first, second)
    bad = [name for name in changes(added, second) if name in adds]
    for name in bad:
        text = "depends on the earlier values in grads, should overwrite them or add to them"
        yield broken("again", f"d{name}", text if adapter.params else AGAIN)
    if not bad and accumulates is not None and accumulates != bool(adds) and adapter.param_names:
        text = "adds to grads, should write over them" if adds else "writes over grads, should add to them"
        yield broken("accumulates", "", f"backward {text}: accumulates is {accumulates}")
    elif adds and not bad:
        yield "it adds to grads: set them to zero before each backward"


def _loop(adapter: Adapter, run: Run, dys: Arrays) -> Findings:
    """Call forward and backward on the same layer again: with the same values, with others, and with the first.

    The gradients must equal those of a fresh copy. If the outputs of forward differ already, the layer keeps a state:
    that is a note, and `check_layer` compares the gradients of a second call with numbers.
    """
    rng, reported = np.random.default_rng(6), list[str]()
    other = {name: x * rng.uniform(0.8, 1.2, x.shape) for name, x in adapter.floats.items()}
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
            yield broken("again", "", text)
            return
        if len(fresh.outputs) != len(run.outputs) or not all(map(equal, fresh.outputs, run.outputs)):
            yield KEEPS
            return
        text = f"differs when forward and backward are called again, on {when}: it keeps or accumulates earlier values"
        new = [name for name in changes(adapter.gradients(fresh), adapter.gradients(run)) if name not in reported]
        yield from (broken("again", f"d{name}", text) for name in new)
        reported += new


def _once_more(adapter: Adapter, run: Run, floats: Floats, dys: Arrays) -> Run:
    """The next iteration of a training loop: the parameters change in place, and the gradients are set to zero."""
    for name, p in zip(adapter.param_names, run.params):
        p[...] = floats.get(name, p)
    for name in ZERO:
        if callable(getattr(run.layer, name, None)):
            getattr(run.layer, name)()
    _set_to_zero(listed(adapter.grads_of(run.layer)))
    return adapter.rerun(run, floats, dys)


def _set_to_zero(grads: Sequence[Any]) -> None:
    for g in grads:
        if isinstance(g, np.ndarray) and g.flags.writeable:
            g[...] = 0


def _twice(adapter: Adapter, first: Mapping[str, Any], dys: Arrays) -> Findings:
    """Call backward twice after one forward. A layer that consumes its cache cannot do that, which is only a note."""
    try:
        run = adapter.run(adapter.floats, dys)
        _set_to_zero(run.grads)
        same = not changes(first, adapter.gradients(adapter.run_backward(run, dys)))
    except Exception:
        same = False
    if not same:
        yield "backward can be called once after each forward: it consumes, or changes, what forward has saved"
