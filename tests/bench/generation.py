"""One step at a time, as a model writes text: a row, an LSTM of 100 units, no gradients. A run is 100 steps.

``python tests/bench/generation.py``
"""

from collections.abc import Callable
from typing import Any

from cases import lstm_case
from spec import Array, Bench, Job, library
from table import main
from torch_peers import fill

STEPS = 100


def ours(mode: str) -> Callable[..., Job]:
    """A call of `scan` with this mode for each step."""

    def setup(N: int, D: int, H: int) -> Job:
        tg, case = library("tinygrad_rnn"), lstm_case(N, STEPS, D, H)
        if mode == "jit":
            library("llvmlite.binding")
        params = {name: tg.tensor(getattr(case, name), requires_grad=True) for name in ("Wx", "Wh", "b")}
        xs = [tg.tensor(case.xs[:, t : t + 1]) for t in range(STEPS)]

        def run() -> Any:
            state = tg.tensor(case.h0), tg.tensor(case.c0)
            with tg.no_grad():
                for x in xs:
                    _, state = tg.scan(tg.lstm, x, state, params, mode=mode)
            return state[0].numpy()

        return Job(run, lambda: {"h": run()}, STEPS)

    return setup


def lstm_cell(N: int, D: int, H: int) -> Job:
    """``nn.LSTMCell``"""
    torch, case = library("torch"), lstm_case(N, STEPS, D, H)
    module = torch.nn.LSTMCell(D, H)
    fill(module, case)
    xs, first = [torch.from_numpy(case.xs[:, t]) for t in range(STEPS)], (case.h0, case.c0)

    def run() -> Array:
        state = tuple(map(torch.from_numpy, first))
        with torch.no_grad():
            for x in xs:
                state = module(x, state)
        return state[0].numpy()

    return Job(run, lambda: {"h": run()}, STEPS)


BENCH = Bench(
    module="generation", title="generation, one step", baseline="torch, nn.LSTMCell", unit="us",
    contenders={"torch, nn.LSTMCell": lstm_cell, **{f"ours, {mode}": ours(mode) for mode in ("eager", "plan", "jit")}},
    sizes={"N1 D100 H100": {"N": 1, "D": 100, "H": 100}},
)  # fmt: skip

if __name__ == "__main__":
    main(BENCH)
