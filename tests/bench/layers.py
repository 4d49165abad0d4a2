"""Layers of one kind beside PyTorch's: GRU and RNN, float64, forward only, batches of 1 to 256 rows, long sequences.

``python tests/bench/layers.py``
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from spec import Array, Bench, Job, library
from table import main

#: Our cell, and for each block of PyTorch's its place and sign in ours: z of a GRU is 1 - z there.
KINDS: Mapping[str, tuple[str, tuple[tuple[int, int], ...]]] = {
    "LSTM": ("lstm", ((2, 1), (0, 1), (1, 1), (3, 1))),  # f g i o here, i f g o there
    "GRU": ("gru_after", ((1, 1), (0, -1), (2, 1))),  # z r h here, r z n there
    "RNN": ("rnn", ((0, 1),)),
}
BIASES = {"GRU": ("bx", "bh")}
STEPS = {"T20": 20, "T200": 200, "T2000": 2000}
ROWS = {"N1": 1, "N8": 8, "N64": 64, "N256": 256}


def case(kind: str, N: int, T: int, D: int, H: int, dtype: str) -> tuple[Array, Array, dict[str, Array]]:
    """xs (N, T, D), dhs (N, T, H), and the parameters of our cell by name."""
    rng, blocks = np.random.default_rng(1), len(KINDS[kind][1])
    params = {"Wx": rng.standard_normal((D, blocks * H)) / np.sqrt(D),
              "Wh": rng.standard_normal((H, blocks * H)) / np.sqrt(H)}  # fmt: skip
    params |= {name: 0.1 * rng.standard_normal(blocks * H) for name in BIASES.get(kind, ("b",))}
    xs, dhs = rng.standard_normal((N, T, D)), rng.standard_normal((N, T, H))
    return xs.astype(dtype), dhs.astype(dtype), {name: array.astype(dtype) for name, array in params.items()}


def to_torch(kind: str, stacked: Array) -> Array:
    """Our ``(D, blocks H)`` as ``(blocks H, D)`` in PyTorch's order."""
    order = KINDS[kind][1]
    blocks = np.split(stacked, len(order), axis=-1)
    return np.ascontiguousarray(np.concatenate([sign * blocks[k] for k, sign in order], axis=-1).T)


def from_torch(kind: str, stacked: Array) -> Array:
    """The other way round."""
    order = KINDS[kind][1]
    blocks = np.split(stacked.T, len(order), axis=-1)
    theirs = {k: sign * block for (k, sign), block in zip(order, blocks, strict=True)}
    return np.concatenate([theirs[k] for k in range(len(order))], axis=-1)


def ours(mode: str) -> Callable[..., Job]:
    """Our cell in `scan` with this mode."""

    def setup(N: int, T: int, D: int, H: int, kind: str = "LSTM", dtype: str = "float32", train: bool = True) -> Job:
        tg = library("tinygrad_rnn")
        if mode == "jit":
            library("llvmlite.binding")
        cell, (xs, dhs, given) = getattr(tg, KINDS[kind][0]), case(kind, N, T, D, H, dtype)
        leaves = {name: tg.tensor(array, requires_grad=True) for name, array in {"xs": xs, **given}.items()}
        params = {name: leaf for name, leaf in leaves.items() if name != "xs"}

        def forward() -> Any:
            return tg.scan(cell, leaves["xs"], None, params, mode=mode)[0]

        def train_once() -> Any:
            for leaf in leaves.values():
                leaf.grad = None
            loss = (forward() * dhs).sum()
            loss.backward()
            return loss

        def forward_once() -> Any:
            with tg.no_grad():
                return forward()

        def check() -> dict[str, Array]:
            if not train:
                return {"hs": forward_once().numpy()}
            return {"loss": train_once().data} | {f"d{name}": leaf.grad for name, leaf in leaves.items()}

        return Job(train_once if train else forward_once, check)

    return setup


def in_torch(N: int, T: int, D: int, H: int, kind: str = "LSTM", dtype: str = "float32", train: bool = True) -> Job:
    """``nn.LSTM``, ``nn.GRU`` or ``nn.RNN``."""
    torch = library("torch")
    xs, dhs, given = case(kind, N, T, D, H, dtype)
    module = getattr(torch.nn, kind)(D, H, batch_first=True, dtype=getattr(torch, dtype))
    theirs = {"Wx": module.weight_ih_l0, "Wh": module.weight_hh_l0,
              **dict(zip(BIASES.get(kind, ("b",)), (module.bias_ih_l0, module.bias_hh_l0)))}  # fmt: skip
    with torch.no_grad():
        module.bias_hh_l0.zero_()
        for name, parameter in theirs.items():
            parameter.copy_(torch.from_numpy(to_torch(kind, given[name])))
    inputs, dy = torch.from_numpy(xs).requires_grad_(), torch.from_numpy(dhs)

    def train_once() -> Any:
        for leaf in (inputs, *module.parameters()):
            leaf.grad = None
        loss = (module(inputs)[0] * dy).sum()
        loss.backward()
        return loss

    def forward_once() -> Any:
        with torch.no_grad():
            return module(inputs)[0]

    def check() -> dict[str, Array]:
        if not train:
            return {"hs": forward_once().numpy()}
        loss = train_once().detach().numpy()
        grads = {f"d{name}": from_torch(kind, parameter.grad.numpy()) for name, parameter in theirs.items()}
        return {"loss": loss, "dxs": inputs.grad.numpy(), **grads}

    return Job(train_once if train else forward_once, check)


def in_jax(N: int, T: int, D: int, H: int) -> Job:
    """JAX, an LSTM."""
    return library("jax_peer").scan(N, T, D, H)


def in_torch_eager(N: int, T: int, D: int, H: int) -> Job:
    """The LSTM in a Python loop of PyTorch."""
    return library("torch_peers").eager(N, T, D, H)


SMALL = {"N": 20, "T": 35, "D": 100, "H": 100}
CONTENDERS = {"torch, layer": in_torch, "torch, eager": in_torch_eager, "jax, jit(scan)": in_jax,
              **{f"ours, {mode}": ours(mode) for mode in ("plan", "jit")}}  # fmt: skip
SIZES: dict[str, dict[str, Any]] = {
    "GRU": {**SMALL, "kind": "GRU"}, "RNN": {**SMALL, "kind": "RNN"}, "LSTM float64": {**SMALL, "dtype": "float64"},
    "LSTM forward only": {**SMALL, "train": False},
}  # fmt: skip
BENCHES = [
    Bench(
        module="layers", title="a layer beside PyTorch's", baseline="torch, layer", sizes=SIZES,
        contenders={name: CONTENDERS[name] for name in ("torch, layer", "ours, plan", "ours, jit")},
    ),
    Bench(
        module="layers", title="LSTM layer by rows of the batch, T35 D256 H256", baseline="torch, layer",
        contenders=CONTENDERS, sizes={label: {"N": N, "T": 35, "D": 256, "H": 256} for label, N in ROWS.items()},
    ),
    Bench(
        module="layers", title="LSTM layer by steps, N8 D64 H64", baseline="torch, layer",
        contenders={name: CONTENDERS[name] for name in ("torch, layer", "ours, plan", "ours, jit")},
        sizes={label: {"N": 8, "T": T, "D": 64, "H": 64} for label, T in STEPS.items()},
    ),
]  # fmt: skip
#: The contenders of all tables, where a worker looks for its own.
BENCH = Bench(module="layers", title="layers", baseline="torch, layer", contenders=CONTENDERS, sizes=SIZES)

if __name__ == "__main__":
    main(*BENCHES)
