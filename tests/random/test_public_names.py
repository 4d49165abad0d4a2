"""Every public name is in a generator or in a named test, and the table of that is true."""

import re
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.random import public_names
from tinygrad_rnn.engine.numpy_protocol import UFUNCS

TESTS = Path(__file__).resolve().parents[1]


def test_every_public_name_is_held():
    assert [name for name, place in public_names.where().items() if not place] == []


@pytest.mark.parametrize("line", public_names.TABLE.strip().splitlines())
def test_the_table_names_tests_that_are_there(line):
    """The test exists, and its file uses the name."""
    name, place, *called = line.split()
    file, test = place.split("::")
    text = (TESTS / file).read_text(encoding="utf-8")
    assert f"def {test}(" in text
    assert re.search(rf"\b{called[0] if called else name.rsplit('.', 1)[1]}\b", text)


def test_the_table_has_no_name_that_is_gone():
    known = dict.fromkeys(public_names.public())
    assert [line for line in public_names.TABLE.strip().splitlines() if line.split()[0] not in known] == []


def test_a_new_name_is_noticed(monkeypatch):
    def brand_new(x):
        """An operation of which nobody has thought."""

    brand_new.__module__ = "tinygrad_rnn.ops"
    monkeypatch.setattr(tg, "brand_new", brand_new, raising=False)
    monkeypatch.setattr(tg, "__all__", [*tg.__all__, "brand_new"])
    assert [name for name, place in public_names.where().items() if not place] == ["tg.brand_new"]


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0, 2)])
def test_a_tensor_is_a_python_object_as_an_array_is(shape):
    a = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    x = tg.Tensor(a, requires_grad=True, name="x")
    assert (x.shape, x.dtype, x.ndim, x.size, x.tolist()) == (a.shape, a.dtype, a.ndim, a.size, a.tolist())
    assert x.name == "x" and x.requires_grad and x.node is not None and "name='x'" in repr(x)
    assert (0.0 in x) == (0.0 in a) and x in {x: 1} and hash(x) != hash(tg.Tensor(a))
    if a.ndim:
        assert len(x) == len(a) and [row.tolist() for row in x] == [row.tolist() for row in a]
    if a.size == 1:
        assert (bool(x), x.item()) == (bool(a), a.item())
    if not a.ndim:
        assert (int(x + 3), float(x)) == (int(a + 3), float(a))
        assert [10, 20][tg.Tensor(a.astype(int))] == 10


@pytest.mark.parametrize("ufunc", [key[0] for key in UFUNCS if isinstance(key, tuple) and key[1] == "outer"])
def test_comparisons_on_an_outer_grid_are_numpys(ufunc):
    """Of every ufunc of two; the gradients of those that have one are among the random graphs."""
    x, w = np.array([0.5, 1.5, 0.7]), np.array([0.7, 1.2])
    for a, b in ((x, w), (x, w.reshape(2, 1)), (x[0], w)):
        y = tg.detach(ufunc.outer(tg.Tensor(a, requires_grad=True), tg.Tensor(b)))
        np.testing.assert_array_equal(y, ufunc.outer(a, b))
        assert np.asarray(y).dtype == ufunc.outer(a, b).dtype


def test_unique_values_are_numpys():
    x = np.array([1.5, 0.5, 1.5])
    np.testing.assert_array_equal(tg.detach(np.unique(tg.Tensor(x))), np.unique(x))
