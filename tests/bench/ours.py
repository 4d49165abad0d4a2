"""The LSTM layer in tinygrad_rnn: the built-in cell, and a cell written by hand gate by gate.

Both take the stacked weights of the baseline (f g i o), so their gradients compare one to one.  The leaves are made
once and their ``.grad`` is dropped before each run: a run pays for new gradient arrays, as the peers do.
"""

from collections.abc import Callable
from typing import Any

from cases import lstm_case
from spec import Array, Job, library


def built_in(tg: Any) -> Any:
    """``tg.lstm``"""
    return tg.lstm


def nine_lines(tg: Any) -> Any:
    """The equations as a user writes them: four gates, each with its own two products."""
    sigmoid, tanh = tg.sigmoid, tg.tanh
    to_x, to_h, bias = (tg.Param(shape, "fgio") for shape in ("D H", "H H", "H"))

    def gates(x: Any, h: Any, c: Any, *, Wx: Any = to_x, Wh: Any = to_h, b: Any = bias) -> Any:
        f = sigmoid(x @ Wx.f + h @ Wh.f + b.f)
        g = tanh(x @ Wx.g + h @ Wh.g + b.g)
        i = sigmoid(x @ Wx.i + h @ Wh.i + b.i)
        o = sigmoid(x @ Wx.o + h @ Wh.o + b.o)
        c = f * c + i * g
        h = o * tanh(c)
        return h, c

    return tg.cell(gates)


def layer(make: Callable[[Any], Any], mode: str) -> Callable[..., Job]:
    """A contender that scans the cell ``make(tg)`` in the given mode (``eager``, ``plan``, ``jit``)."""

    def setup(N: int, T: int, D: int, H: int, dtype: str = "float32") -> Job:
        tg = library("tinygrad_rnn")
        if mode == "jit":
            library("llvmlite.binding")
        cell, case = make(tg), lstm_case(N, T, D, H, dtype)
        xs = tg.tensor(case.xs, requires_grad=True)
        params = {name: tg.tensor(getattr(case, name), requires_grad=True) for name in ("Wx", "Wh", "b")}

        def run() -> Any:
            for leaf in (xs, *params.values()):
                leaf.grad = None
            hs, _ = tg.scan(cell, xs, (case.h0, case.c0), params, mode=mode)
            loss = (hs * case.dhs).sum()
            loss.backward()
            return loss

        def check() -> dict[str, Array]:
            loss = run()
            return {"loss": loss.data, "dxs": xs.grad} | {f"d{name}": p.grad for name, p in params.items()}

        return Job(run, check)

    return setup
