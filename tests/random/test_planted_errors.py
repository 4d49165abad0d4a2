"""Test the testers: every kind of error in a gradient rule is noticed by random graphs."""

import itertools

import pytest

from helpers import rule_mutants as mutation
from helpers.op_samples import INNER
from helpers.random import cells as cells_at_random
from helpers.random import graphs
from tinygrad_rnn.engine.op import OPS

#: Programs that are tried before an error counts as missed.
TRIES = 150


def mutants(name):
    """(argument, form, what is planted, how) for every rule of an operation and every form of it."""
    for argument, rule in OPS[name].rules.items():
        flat = mutation._is_flat(rule, mutation.samples_of(name))
        for slot, text, mutant in [*mutation._fn_mutants(rule, flat), *mutation._cheaper_mutants(rule)]:
            yield rule, f"{name} d{argument} {slot}: {text}", slot, mutant


def noticed(name, slot):
    """Does a random graph around the operation go wrong? Uses that are taken together are those over time."""
    for seed in range(TRIES):
        program = cells_at_random.build(seed) if slot == "sum_over_uses" else graphs.build(seed, INNER.get(name, name))
        if graphs.error_of(program):
            return True
    return False


def missed(planted):
    found = []
    for rule, text, slot, mutant in planted:
        with mutation.planted(rule, slot, mutant):
            if not noticed(text.split()[0], slot):
                found.append(text)
    return found


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("name", OPS)
def test_planted_errors_are_noticed(name, trials):
    """The first one of each operation in every run, and all of them in a full sweep."""
    assert missed(itertools.islice(mutants(name), trials(1, 1000))) == []


@pytest.mark.parametrize("name", ["tanh", "multiply", "getitem", "softmax_cross_entropy"])
def test_every_planted_error_is_noticed(name):
    assert missed(mutants(name)) == []


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("name", ["tanh", "multiply", "matmul", "getitem", "softmax_cross_entropy"])
def test_right_rules_are_left_alone(name):
    assert [seed for seed in range(0, 40, 2) if graphs.error_of(graphs.build(seed, name))] == []
