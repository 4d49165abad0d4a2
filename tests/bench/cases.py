"""The seeded inputs and weights that all contenders share."""

from typing import Any, NamedTuple

import numpy as np

from spec import Array


class LSTMCase(NamedTuple):
    """One layer: ``xs (N, T, D)``, ``Wx (D, 4H)``, ``Wh (H, 4H)``, ``b (4H,)``; gates in the order f g i o."""

    xs: Array
    Wx: Array
    Wh: Array
    b: Array
    h0: Array
    c0: Array
    dhs: Array


class LMCase(NamedTuple):
    """A language model, ``W_embed (V, D)``, one LSTM layer, ``W_out (H, V)``, ``b_out (V,)``, and its text.

    ``ids (N, L)`` holds ``L`` tokens a row: step k reads columns ``kT ... kT+T-1`` and predicts the next ones.
    """

    params: dict[str, Array]
    ids: Array


def weights(rng: np.random.Generator, D: int, H: int, dtype: Any) -> tuple[Array, Array, Array]:
    """``Wx``, ``Wh`` scaled by 1 / sqrt(fan-in); a small random ``b``, so that a forgotten bias shows."""
    Wx = rng.standard_normal((D, 4 * H)) / np.sqrt(D)
    Wh = rng.standard_normal((H, 4 * H)) / np.sqrt(H)
    b = 0.1 * rng.standard_normal(4 * H)
    return Wx.astype(dtype), Wh.astype(dtype), b.astype(dtype)


def lstm_case(N: int, T: int, D: int, H: int, dtype: Any = np.float32) -> LSTMCase:
    """A layer and the gradient ``dhs`` that is handed to it: the loss is ``sum(hs * dhs)``."""
    rng = np.random.default_rng(1)
    Wx, Wh, b = weights(rng, D, H, dtype)
    xs = rng.standard_normal((N, T, D)).astype(dtype)
    dhs = rng.standard_normal((N, T, H)).astype(dtype)
    zeros = np.zeros((N, H), dtype)
    return LSTMCase(xs, Wx, Wh, b, zeros, zeros.copy(), dhs)


def lm_case(N: int, T: int, V: int, D: int, H: int, steps: int = 40, dtype: Any = np.float32) -> LMCase:
    """Weights as the book starts them, and a random text of ``steps`` different steps.

    Word frequencies fall as 1 / rank, as in a real text: the scatter of the embedding's gradient meets repeated rows.
    """
    rng = np.random.default_rng(2)
    Wx, Wh, b = weights(rng, D, H, dtype)
    params = {
        "W_embed": (rng.standard_normal((V, D)) / 100).astype(dtype),
        "Wx": Wx, "Wh": Wh, "b": b,
        "W_out": (rng.standard_normal((H, V)) / np.sqrt(H)).astype(dtype),
        "b_out": np.zeros(V, dtype),
    }
    frequency = 1 / np.arange(1, V + 1)
    ids = rng.choice(V, size=(N, steps * T + 1), p=frequency / frequency.sum())
    return LMCase(params, ids)
