"""The LSTM layer on the other NumPy tapes: HIPS autograd and MyGrad, written as their users write it.

The loop is the same text for both.  autograd has no sigmoid of its own, so it gets the formula; it returns gradients
where MyGrad fills ``.grad``.
"""

from collections.abc import Callable
from typing import Any

from cases import lstm_case
from spec import Array, Job, library


def unroll(xs: Any, h: Any, c: Any, weights: tuple[Any, Any, Any], sigmoid: Callable[..., Any],
           tanh: Callable[..., Any]) -> list[Any]:
    """The cell in a loop over time; a list of the T outputs (N, H)."""
    Wx, Wh, b = weights
    H, hs = h.shape[1], []
    for t in range(xs.shape[1]):
        A = xs[:, t] @ Wx + h @ Wh + b
        f = sigmoid(A[:, :H])
        g = tanh(A[:, H:2 * H])
        i = sigmoid(A[:, 2 * H:3 * H])
        o = sigmoid(A[:, 3 * H:])
        c = f * c + g * i
        h = o * tanh(c)
        hs.append(h)
    return hs


def autograd(N: int, T: int, D: int, H: int) -> Job:
    """HIPS autograd: ``value_and_grad`` of a function of the four arrays."""
    np = library("autograd.numpy")
    case = lstm_case(N, T, D, H)

    def loss(xs: Any, Wx: Any, Wh: Any, b: Any) -> Any:
        hs = unroll(xs, case.h0, case.c0, (Wx, Wh, b), lambda x: 1 / (1 + np.exp(-x)), np.tanh)
        return np.sum(np.stack(hs, axis=1) * case.dhs)

    both = library("autograd").value_and_grad(loss, argnum=(0, 1, 2, 3))

    def check() -> dict[str, Array]:
        value, grads = both(case.xs, case.Wx, case.Wh, case.b)
        return {"loss": value} | dict(zip(("dxs", "dWx", "dWh", "db"), grads, strict=True))

    return Job(lambda: both(case.xs, case.Wx, case.Wh, case.b), check)


def mygrad(N: int, T: int, D: int, H: int) -> Job:
    """MyGrad: tensors and ``backward``."""
    mg = library("mygrad")
    sigmoid = library("mygrad.nnet.activations").sigmoid
    case = lstm_case(N, T, D, H)
    leaves = {name: mg.tensor(getattr(case, name)) for name in ("xs", "Wx", "Wh", "b")}

    def run() -> Any:
        for leaf in leaves.values():
            leaf.null_grad()
        xs, Wx, Wh, b = leaves.values()
        hs = unroll(xs, case.h0, case.c0, (Wx, Wh, b), sigmoid, mg.tanh)
        loss = (mg.stack(hs, axis=1) * case.dhs).sum()
        loss.backward()
        return loss.data

    def check() -> dict[str, Array]:
        return {"loss": run()} | {f"d{name}": leaf.grad for name, leaf in leaves.items()}

    return Job(run, check)
