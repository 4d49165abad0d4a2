"""Cells that no library has as a fused layer: forward and backward of ``sum(hs * dhs)``, float32.

Each is written twice, for PyTorch and for tinygrad_rnn. ``own`` is a cell of a user's own.

``python tests/bench/user_cells.py``
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from spec import Array, Bench, Job, Target, library
from table import main

SMALL, LARGE, LONG = "N20 T35 D100 H100", "N20 T35 D650 H650", "N1 T200 D32 H32"
CELLS = ("peephole_lstm", "layer_norm_lstm", "mgu", "own")


def own(tg: Any) -> Any:
    """A cell of a user's own: a slow and a fast memory, mixed by a gate."""
    shapes = {"Wx": tg.Param("D H", "fgs"), "Wh": tg.Param("H H", "fgs"), "b": tg.Param("H", "fgs")}

    def two_memories(x: Any, h: Any, c: Any, *, Wx: Any = shapes["Wx"], Wh: Any = shapes["Wh"],
                     b: Any = shapes["b"]) -> Any:  # fmt: skip
        f = tg.sigmoid(x @ Wx.f + h @ Wh.f + b.f)
        g = tg.tanh(x @ Wx.g + h @ Wh.g + b.g)
        s = tg.sigmoid(x @ Wx.s + h @ Wh.s + b.s)
        c = 0.95 * c + 0.05 * f * g
        h = s * tg.tanh(c) + (1 - s) * g
        return h, c

    return tg.cell(two_memories)


def case(name: str, N: int, T: int, D: int, H: int) -> tuple[Array, Array, list[Array], dict[str, Array]]:
    """xs, dhs, the first state, and the parameters by name."""
    rng = np.random.default_rng(1)
    blocks = {"mgu": 2, "own": 3}.get(name, 4)
    params = {"Wx": rng.standard_normal((D, blocks * H)) / np.sqrt(D),
              "Wh": rng.standard_normal((H, blocks * H)) / np.sqrt(H), "b": 0.1 * rng.standard_normal(blocks * H)}
    if name == "peephole_lstm":
        params["p"] = 0.1 * rng.standard_normal(3 * H)
    if name == "layer_norm_lstm":
        params |= {"gx": np.ones(4 * H), "gh": np.ones(4 * H), "gc": np.ones(H), "bc": np.zeros(H)}
    xs, dhs = rng.standard_normal((N, T, D)), rng.standard_normal((N, T, H))
    state = [np.zeros((N, H), np.float32) for _ in range(1 if name == "mgu" else 2)]
    return *(array.astype("f") for array in (xs, dhs)), state, {key: p.astype("f") for key, p in params.items()}


def torch_steps(torch: Any) -> Mapping[str, Callable[..., Any]]:
    """The same steps in PyTorch."""
    s, t, norm = torch.sigmoid, torch.tanh, torch.nn.functional.layer_norm

    def peephole_lstm(x: Any, h: Any, c: Any, *, Wx: Any, Wh: Any, b: Any, p: Any) -> Any:
        f, g, i, o = torch.chunk(torch.addmm(b, x, Wx) + h @ Wh, 4, dim=1)
        pf, pi, po = torch.chunk(p, 3)
        c = s(f + pf * c) * c + s(i + pi * c) * t(g)
        return s(o + po * c) * t(c), c

    def layer_norm_lstm(x: Any, h: Any, c: Any, *, Wx: Any, Wh: Any, b: Any, gx: Any, gh: Any, gc: Any,
                        bc: Any) -> Any:  # fmt: skip
        A = norm(x @ Wx, gx.shape, gx) + norm(h @ Wh, gh.shape, gh) + b
        f, g, i, o = torch.chunk(A, 4, dim=1)
        c = s(f) * c + s(i) * t(g)
        return s(o) * t(norm(c, gc.shape, gc, bc)), c

    def mgu(x: Any, h: Any, *, Wx: Any, Wh: Any, b: Any) -> Any:
        f, n = torch.chunk(torch.addmm(b, x, Wx), 2, dim=1)
        hf, hn = torch.chunk(Wh, 2, dim=1)
        f = s(f + h @ hf)
        return (torch.lerp(h, t(n + (f * h) @ hn), f),)

    def own(x: Any, h: Any, c: Any, *, Wx: Any, Wh: Any, b: Any) -> Any:
        f, g, gate = torch.chunk(torch.addmm(b, x, Wx) + h @ Wh, 3, dim=1)
        f, g, gate = s(f), t(g), s(gate)
        c = 0.95 * c + 0.05 * f * g
        return gate * t(c) + (1 - gate) * g, c

    return {step.__name__: step for step in (peephole_lstm, layer_norm_lstm, mgu, own)}


def in_torch(name: str) -> Callable[..., Job]:
    """The cell in a Python loop of PyTorch."""

    def setup(N: int, T: int, D: int, H: int) -> Job:
        torch = library("torch")
        step = torch_steps(torch)[name]
        xs, dhs, first, given = case(name, N, T, D, H)
        leaves = {"xs": xs, **given}
        leaves = {key: torch.from_numpy(array).requires_grad_() for key, array in leaves.items()}
        params = {key: leaf for key, leaf in leaves.items() if key != "xs"}
        dy, losses = torch.from_numpy(dhs), [None]

        def run() -> None:
            for leaf in leaves.values():
                leaf.grad = None
            state, hs = [torch.from_numpy(array) for array in first], []
            for k in range(T):
                state = step(leaves["xs"][:, k], *state, **params)
                hs.append(state[0])
            losses[0] = (torch.stack(hs, 1) * dy).sum()
            losses[0].backward()  # type: ignore[attr-defined]

        return Job(run, lambda: _checked(run, losses, leaves, lambda y: y.detach().numpy()))

    return setup


def in_ours(name: str, mode: str) -> Callable[..., Job]:
    """The cell in `scan` with this mode."""

    def setup(N: int, T: int, D: int, H: int) -> Job:
        tg = library("tinygrad_rnn")
        if mode == "jit":
            library("llvmlite.binding")
        cell = own(tg) if name == "own" else getattr(tg, name)
        xs, dhs, first, given = case(name, N, T, D, H)
        leaves = {key: tg.tensor(array, requires_grad=True) for key, array in {"xs": xs, **given}.items()}
        params = {key: leaf for key, leaf in leaves.items() if key != "xs"}
        losses = [None]

        def run() -> None:
            for leaf in leaves.values():
                leaf.grad = None
            hs, _ = tg.scan(cell, leaves["xs"], tuple(first), params, mode=mode)
            losses[0] = (hs * dhs).sum()
            losses[0].backward()  # type: ignore[attr-defined]

        return Job(run, lambda: _checked(run, losses, leaves, lambda y: y.numpy()))

    return setup


def _checked(run: Callable[[], None], losses: list[Any], leaves: Mapping[str, Any], array: Any) -> dict[str, Array]:
    run()
    return {"loss": array(losses[0])} | {f"d{key}": np.asarray(leaf.grad) for key, leaf in leaves.items()}


BENCHES = [
    Bench(
        module="user_cells",
        title=f"{'a cell of a user' if name == 'own' else name}, forward + backward",
        baseline=f"{name} torch, eager",
        contenders={f"{name} torch, eager": in_torch(name),
                    **{f"{name} ours, {mode}": in_ours(name, mode) for mode in ("eager", "plan", "jit")}},
        sizes={SMALL: {"N": 20, "T": 35, "D": 100, "H": 100}, LARGE: {"N": 20, "T": 35, "D": 650, "H": 650},
               LONG: {"N": 1, "T": 200, "D": 32, "H": 32}},
        targets={label: (Target(f"{name} ours, jit", f"{name} torch, eager", at_most),)
                 for label, at_most in ((SMALL, 0.25), (LARGE, 0.55), (LONG, 0.03))},
        slow=(f"{name} ours, eager",),
    )
    for name in CELLS
]  # fmt: skip
#: The contenders of all cells, where a worker looks for its own.
BENCH = Bench(
    module="user_cells", title="user-written cells", baseline=BENCHES[0].baseline, sizes=BENCHES[0].sizes,
    contenders={name: setup for bench in BENCHES for name, setup in bench.contenders.items()},
)  # fmt: skip

if __name__ == "__main__":
    main(*BENCHES)
