"""Products with packed weights: equal to NumPy's for every kind of edge, and written in vector instructions."""

import itertools
import platform
import re

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from helpers.compiled import assembly, compiled_function, optimised_text
from tinygrad_rnn.sequence.jit import panels, tile
from tinygrad_rnn.sequence.jit.source import Argument

AVX2, AVX512, SSE = tile.Registers(16, 256), tile.Registers(32, 512), tile.Registers(16, 128)


def source(cut, A, W, C, shift=0):
    """``C = A @ W`` for rows of A and C that begin ``shift`` numbers after those of the arrays."""
    text = f"""def loop(T, A, W, packed, C):
    for panel in range({cut.whole}):
        pack({cut!r}, packed, lambda k, j: W[j, k], panel)
    pack_rest({cut!r}, packed, lambda k, j: W[j, k])
    multiply({cut!r}, rows(A, {shift}, {A.shape[1]}), packed, rows(C, {shift}, {C.shape[1]}))
"""
    kind = A.dtype.name
    arrays = {"A": A, "W": W, "packed": np.full(cut.K * cut.padded, np.nan, kind), "C": C}
    return text, [Argument(name, array.shape, kind) for name, array in arrays.items()], list(arrays.values())


# (rows, K, columns, dtype, depth): tiles that fit and that do not, in rows, columns, lanes and depth
SIZES = [(5, 7, 53, np.float32, 3), (1, 9, 24, np.float64, 9), (9, 37, 20, np.float64, 20), (20, 4, 1, np.float32, 9)]


@pytest.mark.parametrize("rows, K, columns, dtype, depth", SIZES)
def test_a_product_with_a_packed_weight_is_the_product(rows, K, columns, dtype, depth, monkeypatch):
    monkeypatch.setattr(panels, "DEPTH", depth)
    rng = np.random.default_rng(0)
    A, C = rng.normal(size=(rows, K + 3)).astype(dtype), rng.normal(size=(rows, columns + 2)).astype(dtype)
    W, before = rng.normal(size=(columns, K)).astype(dtype), C.copy()
    cut = panels.panels(rows, K, columns, np.dtype(dtype).itemsize * 8)
    text, arguments, arrays = source(cut, A, W, C, shift=1)
    compiled_function(text, arguments)(0, *arrays)
    inner, eps = A[:, 1 : K + 1].astype(float), np.finfo(dtype).eps
    assert (abs(C[:, 1:-1] - inner @ W.T) <= K * eps * (abs(inner) @ abs(W.T.astype(float)))).all()
    np.testing.assert_array_equal(C[:, [0, -1]], before[:, [0, -1]])  # nothing beside the product is written


@pytest.mark.parametrize("registers", [AVX2, AVX512, SSE])
@pytest.mark.parametrize("bits", [32, 64])
def test_the_sums_of_a_tile_fit_into_the_registers(registers, bits):
    for rows, columns in itertools.product([1, 2, 5, 7, 20, 64], [1, 3, 32, 100, 2600]):
        cut = panels.panels(rows, 100, columns, bits, registers)
        vectors = cut.width // cut.lanes
        assert cut.lanes * bits == registers.bits
        assert cut.height * vectors + (cut.height > 1) * vectors + 1 <= registers.count
        assert cut.height <= panels.HEIGHT
        assert 1 <= cut.height <= rows
        assert cut.padded - cut.columns < cut.lanes


@pytest.mark.parametrize("rows, vectors", [(1, 1), (1, 2), (1, 5), (2, 1), (3, 2)])
def test_products_of_few_rows_do_not_wait_for_their_own_sums(rows, vectors):
    columns = vectors * tile.host_registers().bits // 32
    cut = panels.panels(rows, 32, columns, 32)
    A, W, C = (np.zeros(shape, np.float32) for shape in ((rows, 32), (columns, 32), (rows, columns)))
    text = optimised_text(*source(cut, A, W, C)[:2])
    count = len(re.findall(rf"phi <{cut.lanes} x float>", text))
    assert count > tile.LATENCY // 2  # else twice as many would be computed at a time


def test_a_depth_of_several_blocks_covers_each_row_once(monkeypatch):
    monkeypatch.setattr(panels, "DEPTH", 4)
    for K in range(1, 20):
        depth = panels.panels(3, K, 8, 32, AVX2).depth
        assert depth <= 4
        assert -(-K // depth) == -(-K // 4)


def test_the_kernel_is_made_of_vector_instructions():
    cut = panels.panels(4, 8, 24, 32)
    A, W, C = (np.zeros(shape, np.float32) for shape in ((4, 8), (24, 8), (4, 24)))
    text, arguments, _ = source(cut, A, W, C)
    assert f"<{cut.lanes} x float>" in optimised_text(text, arguments)
    if platform.machine() in ("x86_64", "AMD64"):
        blocks = re.split(r"\n(?=\.L)", assembly(text, arguments))
        loops = [block for block in blocks if block.count("vfmadd") >= cut.height * cut.width // cut.lanes]
        assert all("(%rsp)" not in re.split(r"\n\tj", block)[0] for block in loops)  # no sum is spilled
