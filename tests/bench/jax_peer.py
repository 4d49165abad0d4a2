"""The LSTM layer in JAX: the cell written out, under ``jit`` of the gradient of ``lax.scan``."""

from typing import Any

import numpy as np

from cases import lstm_case
from spec import Array, Job, library


def scan(N: int, T: int, D: int, H: int) -> Job:
    """Compiled before it is timed; a run waits for all gradients."""
    jax = library("jax")
    case = lstm_case(N, T, D, H)
    dhs = np.swapaxes(case.dhs, 0, 1)

    def loss(xs: Any, Wx: Any, Wh: Any, b: Any) -> Any:
        def step(state: Any, x: Any) -> Any:
            h, c = state
            f, g, i, o = jax.numpy.split(x @ Wx + h @ Wh + b, 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jax.numpy.tanh(g)
            h = jax.nn.sigmoid(o) * jax.numpy.tanh(c)
            return (h, c), h

        hs = jax.lax.scan(step, (case.h0, case.c0), jax.numpy.swapaxes(xs, 0, 1))[1]
        return (hs * dhs).sum()

    leaves = [jax.numpy.asarray(array) for array in (case.xs, case.Wx, case.Wh, case.b)]
    run = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2, 3)))

    def check() -> dict[str, Array]:
        value, grads = run(*leaves)
        return {"loss": np.asarray(value)} | dict(zip(("dxs", "dWx", "dWh", "db"), map(np.asarray, grads)))

    return Job(lambda: jax.block_until_ready(run(*leaves)), check)
