"""Random graphs over all operations: values, dtypes, first and second derivatives, in every way to get them."""

import pytest

from helpers.op_samples import INNER
from helpers.random import graphs
from helpers.random.sweeps import assert_all_right, in_parts, seeds
from helpers.random.truth import Truth
from helpers.random.ways import WAYS
from tinygrad_rnn.engine.op import COMPOSITES, OPS


@in_parts
def test_random_graphs(part, trials):
    assert_all_right(lambda seed: graphs.failure(graphs.build(seed)), seeds(part, trials(200, 100_000)))


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("name", graphs.PRODUCTIONS)
def test_graphs_around_each_operation(name, trials):
    assert_all_right(lambda seed: graphs.failure(graphs.build(seed, name)), range(trials(2, 200)))


@pytest.mark.parametrize("name", [*OPS, *COMPOSITES])
def test_every_operation_is_in_the_programs(name):
    """Inner ones are reached through derivatives of others."""
    name = INNER.get(name, name)
    programs = (graphs.build(seed, name) for seed in range(40))
    assert any(line.subject == name for program in programs for line in program.lines)


def test_few_programs_are_skipped_near_a_kink(trials):
    results = [graphs.examine(graphs.build(seed, "sin")) for seed in range(trials(50, 1000))]
    assert results.count("skipped") <= 0.02 * len(results)


def test_lines_come_in_another_order_and_every_one_of_them():
    programs = [graphs.build(seed) for seed in range(30)]
    pairs = [(program.lines, program.reordered().lines) for program in programs]
    assert all(sorted(map(str, a)) == sorted(map(str, b)) for a, b in pairs)
    assert sum(a != b for a, b in pairs) > 10


def test_a_seed_gives_one_program():
    for seed in range(10):
        assert graphs.build(seed).source() == graphs.build(seed).source()


@pytest.mark.parametrize("seed", range(20))
def test_a_program_can_be_pasted(seed):
    """Its text alone gives the gradients that the checks see."""
    program = graphs.build(seed)
    printed = []
    exec(program.source(), {"print": printed.append})
    for g, right in zip(printed, WAYS["backward from each output"](program), strict=True):
        assert (right == 0).all() if g is None else g.tobytes() == right.tobytes()


def test_the_truth_is_that_of_calculus():
    """Of x² with weight w in the direction v it is 2 x w v: by complex step and by differences."""
    programs = (graphs.build(seed, "square") for seed in range(100))
    small = (p for p in programs if len(p.leaves) == len(p.outputs) == 1 and [x.subject for x in p.lines] == ["square"])
    program = next(p for p in small if p.leaves[0].array.size)
    truth = Truth(program)
    right = (2 * program.leaves[0].array * program.weights[0] * truth.vs[0]).sum()
    assert truth.exact[0] == pytest.approx(right, rel=1e-14)
    assert float(truth.differences()[0]) == pytest.approx(right, rel=1e-14)
