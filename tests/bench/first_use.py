"""What the first call for new shapes takes: making a plan, compiling its loop, reading it from disk. An LSTM.

A run is a whole forward and backward pass with everything forgotten that was made before. The import of the libraries
is not counted.

``python tests/bench/first_use.py``
"""

import os
import tempfile
from collections.abc import Callable

from ours import built_in, layer
from spec import Bench, Job, library
from table import main


def known(N: int, T: int, D: int, H: int) -> Job:
    """A run with a plan that is there already: what the others are compared with."""
    return layer(built_in, "plan")(N, T, D, H)


def forgetful(mode: str, compiled: bool = False) -> Callable[..., Job]:
    """A run that makes its plan anew; with ``compiled`` into an empty folder of compiled loops."""

    def setup(N: int, T: int, D: int, H: int) -> Job:
        job, cache = layer(built_in, mode)(N, T, D, H), library("tinygrad_rnn.sequence.plan.cache")

        def run() -> object:
            cache.clear()
            if not compiled:
                return job.run()
            with tempfile.TemporaryDirectory() as folder:
                os.environ["XDG_CACHE_HOME"] = folder
                return job.run()

        return Job(run, job.check)

    return setup


def in_jax(N: int, T: int, D: int, H: int) -> Job:
    """JAX traces and compiles the gradient of `lax.scan` each time."""
    jax, scan = library("jax"), library("jax_peer").scan(N, T, D, H)

    def run() -> object:
        jax.clear_caches()
        return scan.run()

    return Job(run, scan.check)


SMALL, LARGE = "N20 T35 D100 H100", "N20 T35 D650 H650"
BENCH = Bench(
    module="first_use", title="first use of an LSTM", baseline="a later use",
    contenders={
        "a later use": known, "plan": forgetful("plan"), "jit, from disk": forgetful("jit"),
        "jit, first ever": forgetful("jit", compiled=True), "jax, jit(scan)": in_jax,
    },
    sizes={SMALL: {"N": 20, "T": 35, "D": 100, "H": 100}, LARGE: {"N": 20, "T": 35, "D": 650, "H": 650}},
)  # fmt: skip

if __name__ == "__main__":
    main(BENCH)
