"""The LSTM layer in PyTorch: the cell written out and eager, ``nn.LSTMCell`` in a loop, and the fused ``nn.LSTM``.

PyTorch stacks gates as i f g o and keeps weights ``(4H, D)`` with two biases; ``to_torch`` and ``from_torch`` are the
translation.  The two biases have the same gradient, so one of them is compared.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from cases import LSTMCase, lstm_case
from spec import Array, Job, library

TORCH_ORDER = (2, 0, 1, 3)  # i f g o, as positions in f g i o
BOOK_ORDER = (1, 2, 0, 3)  # f g i o, as positions in i f g o


def reorder(stacked: Array, order: tuple[int, ...]) -> Array:
    """Permute the four blocks of the last axis."""
    blocks = np.split(stacked, 4, axis=-1)
    return np.concatenate([blocks[k] for k in order], axis=-1)


def to_torch(stacked: Array) -> Array:
    """``(D, 4H)`` in f g i o -> ``(4H, D)`` in i f g o"""
    return np.ascontiguousarray(reorder(stacked, TORCH_ORDER).T)


def from_torch(stacked: Array) -> Array:
    """``(4H, D)`` in i f g o -> ``(D, 4H)`` in f g i o"""
    return reorder(stacked.T, BOOK_ORDER)


def fill(module: Any, case: LSTMCase) -> tuple[Any, Any, Any]:
    """Copy the case's weights into an ``nn.LSTM`` or ``nn.LSTMCell``; returns its Wx, Wh and first bias."""
    torch = library("torch")
    own = dict(module.named_parameters())
    wih, whh, bih, bhh = (own[next(k for k in own if k.startswith(p))]
                          for p in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    with torch.no_grad():
        for param, value in ((wih, case.Wx), (whh, case.Wh), (bih, case.b)):
            param.copy_(torch.from_numpy(to_torch(value)))
        bhh.zero_()
    return wih, whh, bih


def job(forward: Callable[[], Any], dhs: Any, leaves: tuple[Any, ...], modular: bool) -> Job:
    """Time ``(forward() * dhs).sum().backward()``; leaves are xs, Wx, Wh, b, in a module's layout if ``modular``."""
    losses: list[Any] = [None]

    def run() -> None:
        for leaf in leaves:
            leaf.grad = None
        losses[0] = (forward() * dhs).sum()
        losses[0].backward()

    def check() -> dict[str, Array]:
        run()
        dxs, *grads = (leaf.grad.numpy() for leaf in leaves)
        dWx, dWh, db = map(from_torch, grads) if modular else grads
        return {"loss": losses[0].detach().numpy(), "dxs": dxs, "dWx": dWx, "dWh": dWh, "db": db}

    return Job(run, check)


def eager(N: int, T: int, D: int, H: int) -> Job:
    """The cell written out.  Steps are ``xs[:, t]``: ``xs.unbind(1)`` was slower at H = 650, no faster elsewhere."""
    torch = library("torch")
    case = lstm_case(N, T, D, H)
    h0, c0, dhs = map(torch.from_numpy, (case.h0, case.c0, case.dhs))
    xs, Wx, Wh, b = (torch.from_numpy(a).requires_grad_() for a in (case.xs, case.Wx, case.Wh, case.b))

    def forward() -> Any:
        h, c, hs = h0, c0, []
        for t in range(T):
            A = xs[:, t] @ Wx + h @ Wh + b
            f = torch.sigmoid(A[:, :H])
            g = torch.tanh(A[:, H:2 * H])
            i = torch.sigmoid(A[:, 2 * H:3 * H])
            o = torch.sigmoid(A[:, 3 * H:])
            c = f * c + g * i
            h = o * torch.tanh(c)
            hs.append(h)
        return torch.stack(hs, 1)

    return job(forward, dhs, (xs, Wx, Wh, b), modular=False)


def lstm_cell(N: int, T: int, D: int, H: int) -> Job:
    """``nn.LSTMCell`` called in a Python loop."""
    torch = library("torch")
    case = lstm_case(N, T, D, H)
    module = torch.nn.LSTMCell(D, H)
    xs = torch.from_numpy(case.xs).requires_grad_()
    h0, c0, dhs = map(torch.from_numpy, (case.h0, case.c0, case.dhs))

    def forward() -> Any:
        h, c, hs = h0, c0, []
        for t in range(T):
            h, c = module(xs[:, t], (h, c))
            hs.append(h)
        return torch.stack(hs, 1)

    return job(forward, dhs, (xs, *fill(module, case)), modular=True)


def lstm_layer(N: int, T: int, D: int, H: int) -> Job:
    """``nn.LSTM``: one hand-fused kernel, which no user-written cell can use."""
    torch = library("torch")
    case = lstm_case(N, T, D, H)
    module = torch.nn.LSTM(D, H, batch_first=True)
    xs = torch.from_numpy(case.xs).requires_grad_()
    state = torch.from_numpy(case.h0)[None], torch.from_numpy(case.c0)[None]
    dhs = torch.from_numpy(case.dhs)
    return job(lambda: module(xs, state)[0], dhs, (xs, *fill(module, case)), modular=True)
