"""Every gradient rule, samples for it, and what it gives on arrays: what formulas are compared with."""

import numpy as np
import pytest

from helpers.op_samples import sample
from helpers.op_samples import text as case_text
from tinygrad_rnn.engine.graph import sum_to
from tinygrad_rnn.engine.op import OPS
from tinygrad_rnn.formula import known


def every_rule():
    """Every operation, case and input that has a rule."""
    for spec in OPS.values():
        for number, case in enumerate(spec.cases):
            for k, given in enumerate(case.inputs if case.raises is None else ()):
                if np.asarray(given).dtype.kind == "f" or isinstance(given, tuple):
                    argument = spec.arguments[0 if spec.variadic else k]
                    if argument in spec.rules:
                        yield pytest.param(spec, case, k, id=f"{spec.name}-{number}-{case_text(case)}-{k}")


def fresh(spec, case):
    """Other inputs of the same shapes; given arrays are scaled, so that zeros stay and integers are as they were."""
    drawn = sample(spec, case, seed=3).xs
    return [
        x if isinstance(given, tuple) else x * 0.9 if x.dtype.kind == "f" else x for given, x in zip(case.inputs, drawn)
    ]


def numbers(spec, k, xs, attrs, dy):
    """What the rule itself gives on arrays, un-broadcast as the engine does; and all it may name."""
    rule = spec.rules[spec.arguments[0 if spec.variadic else k]]
    names = {**known(spec, xs, attrs), "i": k}
    g = np.asarray(rule.fn(np.array(dy), *(names[name] for name in rule.names)))
    values = {**names, "dy": dy, **({f"xs[{j}]": x for j, x in enumerate(xs)})}
    return sum_to(g, xs[k].shape) if g.shape != xs[k].shape else g, values
