"""Random lines around the declared cases of an operation: for those that no other generator writes."""

from __future__ import annotations

from typing import Any

import numpy as np

from helpers.random.programs import Builder
from tinygrad_rnn.engine.numpy_protocol import FUNCTIONS
from tinygrad_rnn.engine.op import Composite, Op


def production(spec: Op | Composite) -> Any:
    """A call with the shapes and the attributes of one of its cases."""
    cases = [case for case in spec.cases if case.raises is None]
    named = getattr(np, spec.name, None)

    def declared(b: Builder) -> None:
        case = b.choose(cases)
        xs = [b.array(*spec.domain, shape=x) if isinstance(x, tuple) else b.add(np.asarray(x)) for x in case.inputs]
        attrs = [f"{name}={text(a)}" for name, a in case.attrs.items()]
        where = b.choose(["F", "np"]) if named in FUNCTIONS else "F"
        call = f"{where}.{spec.name}({', '.join([*xs, *attrs])})"
        y = eval(call, {"np": np, "F": b.plain, **b.values})
        b.emit(f"{call}[{int(b.rng.integers(len(y)))}]" if isinstance(y, (list, tuple)) else call, subject=spec.name)

    return declared


def text(attribute: Any) -> str:
    """An attribute as Python writes it."""
    if isinstance(attribute, np.ndarray):
        return f"np.array({attribute.tolist()})"
    return "np.inf" if attribute is np.inf else repr(attribute)
