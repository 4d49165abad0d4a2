"""Random cells of 3 to 20 operations, and random calls of `scan`: run by the plan, and by the loop."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

import tinygrad_rnn as tg

D, H = 3, 4
#: Texts with values {a} and {b} of (N, H), blocks of the parameters W (H, H) and V (H), and a slice at {k}.
STEPS = """{a} + {b} | {a} - {b} | {a} * {b} | {a} / (1.5 + tg.square({b})) | -{a} | 0.5 * {a} | 1 - {a} | tg.tanh({a})
    tg.sigmoid({a}) | tg.sigmoid({a}) | tg.tanh({a} + {b}) | {a} @ W.{w} | {a} @ W.{w} | {a} + V.{w} | {a} * V.{w}
    tg.tanh({a} @ W.{w} + {b} @ W.{w} + V.{w}) | tg.relu({a}) | tg.softplus({a}) | tg.maximum({a}, {b}) | tg.sin({a})
    tg.where({a} > {b}, {a}, 0.3 * {b}) | {a} - {a}.mean(axis=-1, keepdims=True) | {a} * {b}.sum(axis=1, keepdims=True)
    tg.concatenate([{a}[:, {k}:], {b}[:, :{k}]], axis=1) | tg.softmax({a}, axis=-1) | {a}[:, ::-1]
    tg.detach({a}) * {b}
    tg.exp(-tg.square({a})) | ({a} @ {b}.T) @ {a} * 0.1 | {a} * tg.einsum("nh,nh->n", {a}, {b})[:, None] | {a} * C
    {a} / tg.sqrt(1 + tg.square({b}).mean(axis=-1, keepdims=True)) | {a} + ({b} > 0.2) * {a} | tg.abs({a} + 0.1) + M
    {a}.sum(axis=0) + {b} | tg.clip({a}, -0.7, 0.7) | {a}.max(axis=1, keepdims=True) - {b}
    tg.reshape({a}, (-1, 4)) * {b}
    tg.split(tg.concatenate([{a}, {b}], axis=1), 2)[1] | tg.stack([{a}, {b}], axis=0)[1] | tg.swapaxes({a}, 0, 1).T"""
CHOICES = [text.strip() for line in STEPS.splitlines() for text in line.split("|")]


def random_cell(rng: np.random.Generator) -> tuple[Any, str]:
    """A cell, and its source."""
    states = ["h", "c", "s"][: rng.integers(1, 4)]
    lines, names = ["u = x @ U + V.p" if rng.random() < 0.8 else "u = h * 0.5"], [*states, "u"]
    for k in range(rng.integers(2, 19)):
        recent = names[-6:] if rng.random() < 0.7 else names
        a, b = rng.choice(recent), rng.choice(recent)
        text = str(rng.choice(CHOICES)).format(a=a, b=b, w=rng.choice(list("pqrs")), k=rng.integers(0, H + 1))
        names.append(f"v{k}")
        lines.append(f"v{k} = {text}")
    new = [f"tg.tanh({rng.choice(names[-4:])})" if rng.random() < 0.8 else str(rng.choice(names)) for _ in states]
    lines.append(f"return {', '.join(new)}")
    blocks = 'U=tg.Param("D H"), W=tg.Param("H H", "pqrs"), V=tg.Param("H", "pqrs")'
    source = f"def random_cell(x, {', '.join(states)}, *, {blocks}):\n    " + "\n    ".join(lines) + "\n"
    space = {"tg": tg, "C": np.linspace(0.5, 1.0, H), "M": tg.tensor(0.1 * np.ones(H), requires_grad=True)}
    exec(source, space)
    return tg.cell(space["random_cell"]), source


def random_call(cell: Any, rng: np.random.Generator, dtype: Any = np.float64) -> SimpleNamespace:
    """Arguments of scan: some need a gradient, rows may be short, arrays may be read-only or not contiguous."""
    N, T = int(rng.choice([1, 2, 5])), int(rng.choice([1, 2, 7]))

    def array(shape: Any) -> Any:
        values = rng.normal(0, 0.5, shape).astype(dtype)
        if rng.random() < 0.3:
            values = np.asfortranarray(values)
        values.flags.writeable = rng.random() < 0.7
        return values

    xs, params = array((N, T, D)), {name: array(p.shape({"D": D, "H": H})) for name, p in cell.params.items()}
    state = [array((N, H)) for _ in cell.states]
    lengths = rng.integers(0, T + 1, N) if rng.random() < 0.3 else None
    tracked = [bool(rng.random() < 0.8) for _ in range(1 + len(state) + len(params))]
    options = {"lengths": lengths, "reverse": bool(rng.random() < 0.3)}
    dys = [rng.standard_normal((N, T, H)), *(rng.standard_normal((N, H)) for _ in state)]
    kept = rng.random(len(dys)) < 0.8
    return SimpleNamespace(xs=xs, state=state, params=params, options=options, tracked=tracked, dys=dys, kept=kept)


def run(cell: Any, call: SimpleNamespace, mode: str) -> list[Any]:
    """The outputs, the last states, and the gradients of a sum over some of them."""
    leaves = [tg.tensor(array, requires_grad=tracked)
              for array, tracked in zip([call.xs, *call.state, *call.params.values()], call.tracked)]  # fmt: skip
    state, params = leaves[1 : 1 + len(call.state)], dict(zip(call.params, leaves[1 + len(call.state) :]))
    outside = cell.function.__globals__.get("M")
    if outside is not None:
        outside.grad = None
    hs, last = tg.scan(cell, leaves[0], state, params, mode=mode, **call.options)
    ys = [hs, *last]
    terms = [tg.sum(y * dy.astype(y.dtype)) for y, dy, kept in zip(ys, call.dys, call.kept) if kept and y.requires_grad]
    if terms:
        sum(terms[1:], terms[0]).backward()
    grads = [leaf.grad for leaf in leaves] + [outside.grad if outside is not None else None]
    return [*(y.numpy() for y in ys), *grads]


def distance(ours: Any, theirs: Any) -> float:
    """Relative to the norm, unless that is so small that the value may be 0 but for rounding; None is zero."""
    if ours is None or theirs is None:
        return float(np.max(np.abs(theirs if ours is None else ours), initial=0.0)) if ours is not theirs else 0.0
    if not np.array_equal(np.isfinite(ours), np.isfinite(theirs)):
        return np.inf
    with np.errstate(all="ignore"):
        difference = np.nan_to_num(np.asarray(ours, float) - theirs, posinf=0, neginf=0)
    norm = float(np.linalg.norm(np.nan_to_num(theirs)))
    return float(np.linalg.norm(difference)) / max(norm, 1e-3 * np.sqrt(difference.size))


def failure(seed: int) -> str:
    """What is wrong with the plan of a random cell; nothing if it equals the loop."""
    rng = np.random.default_rng(seed)
    cell, source = random_cell(rng)
    call = random_call(cell, rng)
    with np.errstate(all="ignore"):
        theirs = run(cell, call, "eager")
        try:
            ours = run(cell, call, "plan")
        except tg.Error as error:
            return f"{type(error).__name__}: {error}\n{source}"
    worst = max(map(distance, ours, theirs))
    return (
        ""
        if worst < 1e-11
        else f"{worst:.1e} apart: {[f'{distance(a, b):.0e}' for a, b in zip(ours, theirs)]}\n{source}"
    )
