"""The mutation script on a few operations; all of them with ``python -m helpers.rule_mutants``."""

import pytest

from helpers import rule_mutants as mutation
from helpers.op_checks import check_gradients
from tinygrad_rnn.engine.op import OPS


@pytest.mark.parametrize("name", ["tanh", "multiply", "matmul", "getitem", "softmax_cross_entropy", "floor"])
def test_every_planted_error_is_caught(name):
    rows = list(mutation.run(name))
    assert len(rows) >= len(OPS[name].rules) and all(row[-1] for row in rows), rows


def test_the_checks_are_silent_about_what_is_right():
    for name in ("tanh", "matmul"):
        for s in mutation.samples_of(name):
            check_gradients(s)


def test_planting_is_undone():
    rule = OPS["tanh"].rules["x"]
    right = rule.fn
    with pytest.raises(KeyError), mutation.planted(rule, "fn", None):
        raise KeyError
    assert rule.fn is right
