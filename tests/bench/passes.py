"""What each pass of the plan is worth: the nine lines of an LSTM, planned without one of the passes.

``python tests/bench/passes.py``
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ours import layer, nine_lines
from spec import Bench, Job, library
from table import main


def _unchanged(program: Any, *_: Any) -> tuple[Any, dict[int, int]]:
    return program, {value.number: value.number for value in program.values}


#: A pass, the module and the name of what does it, and what stands in its place.
PASSES: Mapping[str, tuple[tuple[str, str, Any], ...]] = {
    "computing all steps at once": (("schedule", "can_batch", lambda *_: False),),
    "merging blocks": (("build", "merge", _unchanged),),
    "regrouping sums and products": (("build", "regrouped", _unchanged),),
    "writing in place": (("bulk", "BulkBuffers._place", lambda *_: None),),
    "memory that is used again": (("write", "empty", np.empty), ("pool", "empty", np.empty)),
    "weight gradients in one product": (("write", "Sections._fused", lambda _: {}),),
    "transposed products from the other side": (("buffers", "Buffers._turns", lambda *_: False),),
}


def places(name: str) -> Iterator[tuple[Any, str, Any]]:
    """What to set for a plan without the pass: the object, the name of its attribute, and the other value."""
    for module, target, other in PASSES.get(name, ()):
        *inside, last = target.split(".")
        yield functools.reduce(getattr, inside, library(f"tinygrad_rnn.sequence.plan.{module}")), last, other


def without(name: str = "") -> Callable[..., Job]:
    """A contender that plans without a pass; with all if no name is given."""

    def setup(N: int, T: int, D: int, H: int, dtype: str = "float32") -> Job:
        for place, last, other in places(name):
            setattr(place, last, other)
        return layer(nine_lines, "plan")(N, T, D, H, dtype)

    return setup


SIZES: Mapping[str, Mapping[str, Any]] = {
    "N20 T35 D100 H100": {"N": 20, "T": 35, "D": 100, "H": 100},
    "N1 T200 D32 H32": {"N": 1, "T": 200, "D": 32, "H": 32},
    "N20 T35 D100 H100 float64": {"N": 20, "T": 35, "D": 100, "H": 100, "dtype": "float64"},
}
BENCH = Bench(
    module="passes", title="the plan without a pass", baseline="all passes", sizes=SIZES,
    contenders={"all passes": without(), **{f"without {name}": without(name) for name in PASSES}},
)  # fmt: skip

if __name__ == "__main__":
    main(BENCH)
