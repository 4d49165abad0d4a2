"""The built-in cells once more, as plain functions of arrays and slices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def _sigmoid(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


def _parts(a: Any, count: int) -> Any:
    return np.split(a, count, axis=-1)


def _norm(a: Any, gain: Any) -> Any:
    d = a - a.mean(axis=-1, keepdims=True)
    return gain * d / np.sqrt((d * d).mean(axis=-1, keepdims=True) + 1e-5)


def rnn(x: Any, h: Any, *, Wx: Any, Wh: Any, b: Any) -> Any:
    return np.tanh(x @ Wx + h @ Wh + b)


def lstm(x: Any, h: Any, c: Any, *, Wx: Any, Wh: Any, b: Any) -> Any:
    f, g, i, o = _parts(x @ Wx + h @ Wh + b, 4)
    c = _sigmoid(f) * c + np.tanh(g) * _sigmoid(i)
    return _sigmoid(o) * np.tanh(c), c


def gru(x: Any, h: Any, *, Wx: Any, Wh: Any, b: Any) -> Any:
    (xz, xr, xh), (Uz, Ur, Uh) = _parts(x @ Wx + b, 3), _parts(Wh, 3)
    z, r = _sigmoid(xz + h @ Uz), _sigmoid(xr + h @ Ur)
    return (1 - z) * h + z * np.tanh(xh + (r * h) @ Uh)


def gru_after(x: Any, h: Any, *, Wx: Any, Wh: Any, bx: Any, bh: Any) -> Any:
    (xz, xr, xh), (hz, hr, hh) = _parts(x @ Wx + bx, 3), _parts(h @ Wh + bh, 3)
    z = _sigmoid(xz + hz)
    return (1 - z) * h + z * np.tanh(xh + _sigmoid(xr + hr) * hh)


def peephole_lstm(x: Any, h: Any, c: Any, *, Wx: Any, Wh: Any, p: Any, b: Any) -> Any:
    (f, g, i, o), (pf, pi, po) = _parts(x @ Wx + h @ Wh + b, 4), _parts(p, 3)
    new = _sigmoid(f + pf * c) * c + np.tanh(g) * _sigmoid(i + pi * c)
    return _sigmoid(o + po * new) * np.tanh(new), new


def layer_norm_lstm(x: Any, h: Any, c: Any, *, Wx: Any, Wh: Any, b: Any, gx: Any, gh: Any, gc: Any, bc: Any) -> Any:
    f, g, i, o = _parts(_norm(x @ Wx, gx) + _norm(h @ Wh, gh) + b, 4)
    c = _sigmoid(f) * c + np.tanh(g) * _sigmoid(i)
    return _sigmoid(o) * np.tanh(_norm(c, gc) + bc), c


def mgu(x: Any, h: Any, *, Wx: Any, Wh: Any, b: Any) -> Any:
    (xf, xh), (Uf, Uh) = _parts(x @ Wx + b, 2), _parts(Wh, 2)
    f = _sigmoid(xf + h @ Uf)
    return (1 - f) * h + f * np.tanh(xh + (f * h) @ Uh)


def projected_lstm(x: Any, h: Any, c: Any, *, Wx: Any, Wh: Any, b: Any, P: Any) -> Any:
    h, c = lstm(x, h, c, Wx=Wx, Wh=Wh, b=b)
    return h @ P, c


PLAIN: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (rnn, lstm, gru, gru_after, peephole_lstm, layer_norm_lstm, mgu)
}
