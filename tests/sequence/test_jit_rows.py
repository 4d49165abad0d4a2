"""Loops over rows become one loop only where each row is read in the same row; the text runs in Python too."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from tinygrad_rnn.sequence.jit.rows import apart, merged, of_one_row, of_part

TWICE = ["for n_ in range(3):", "    for j_ in range(4):", "        a_now[n_, j_] = 2 * x[t, n_, j_]"]
AFTER = ["for n_ in range(3):", "    for j_ in range(4):", "        y[t, n_, j_] = a_now[n_, j_] + 1"]
OTHER_ROW = ["for n_ in range(3):", "    for j_ in range(4):", "        y[t, n_, j_] = a_now[2 - n_, j_] + 1"]
SUMMED = ["for n_ in range(3):", "    for j_ in range(4):", "        s[j_] = s[j_] + a_now[n_, j_]"]
READ = ["for n_ in range(3):", "    for j_ in range(4):", "        y[t, n_, j_] = s[j_] * x[t, n_, j_]"]


def run(lines, rows):
    """The result of the lines, which are Python: y, and the sum s."""
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    space = {"x": x, "y": np.zeros((2, 3, 4)), "a_now": np.zeros((rows, 4)), "s": np.zeros(4), "t": 1}
    exec("\n".join(lines), space)
    return space["y"], space["s"]


@pytest.mark.parametrize(
    "loops, count", [([TWICE, AFTER], 1), ([TWICE, OTHER_ROW], 2), ([TWICE, SUMMED], 1), ([TWICE, SUMMED, READ], 2)]
)
def test_merged_loops_compute_the_same(loops, count):
    lines = [line for loop in loops for line in loop]
    blocks = merged(lines)
    assert len(blocks) == count
    one_row = of_one_row(blocks, ["a_now"])
    assert one_row == ["a_now"] * (OTHER_ROW not in loops)
    new = [line for block in blocks for line in block]
    for ours, theirs in zip(run(new, 1 if one_row else 3), run(lines, 3)):
        np.testing.assert_array_equal(ours, theirs)


def test_what_a_product_reads_keeps_its_rows():
    blocks = merged([*TWICE, "multiply(cut_0, rows(a_now, 0, 4), packed_0, rows(y, 0, 4))"])
    assert len(blocks) == 2
    assert of_one_row(blocks, ["a_now"]) == []


@pytest.mark.parametrize(
    "loops, free",
    [
        ([TWICE, AFTER], True),
        ([TWICE, OTHER_ROW], False),
        ([TWICE, SUMMED], False),
        ([TWICE, ["y[t, 0, 0] = 1"]], False),
    ],
)
def test_rows_are_shared_by_threads_only_where_they_are_apart(loops, free):
    blocks = merged([line for loop in loops for line in loop])
    assert apart(blocks, 3) is free
    assert not apart(blocks, 6)


def test_the_parts_of_loops_and_products():
    blocks = merged([*TWICE, "multiply(cut_0, rows(a_now, (t) * 12 + 4, 4), packed_0, rows(y, 0, 8))"])
    of_part(blocks, 3)
    assert blocks[0][0] == "for n_ in range(part * 3, part * 3 + 3):"
    rows = "rows(a_now, (t) * 12 + 4 + part * 3 * 4, 4), packed_0, rows(y, 0 + part * 3 * 8, 8)"
    assert blocks[1] == [f"multiply(cut_0, {rows})"]
