"""Subscripts drawn at random: repeated labels, labels of one operand, batches, results implied and in any order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg

SIZES = {"a": 2, "b": 3, "c": 4, "d": 1}


@st.composite
def einsums(draw: Any) -> tuple[str, list[np.ndarray]]:
    terms = draw(st.lists(st.text("abcd", max_size=3), min_size=1, max_size=3))
    letters = sorted(set("".join(terms)))
    result = "".join(draw(st.permutations(letters)))[: draw(st.integers(0, len(letters)))]
    subscripts = ",".join(terms) + ("->" + result if draw(st.booleans()) else "")
    rng = np.random.default_rng(0)
    sizes = [[SIZES[c] if draw(st.integers(0, 4)) or term.count(c) > 1 else 1 for c in term] for term in terms]
    return subscripts, [rng.standard_normal(size) for size in sizes]  # some are stretched


@settings(max_examples=150, deadline=None)
@given(einsums())
def test_each_gradient_is_the_adjoint(drawn):
    """einsum is linear in each operand, so its derivative is itself."""
    subscripts, xs = drawn
    y, pull = tg.vjp(lambda *xs: tg.einsum(subscripts, *xs), *xs)
    np.testing.assert_allclose(y, np.einsum(subscripts, *xs), rtol=1e-12, atol=1e-12)
    rng = np.random.default_rng(1)
    dy = rng.standard_normal(np.shape(y))
    for k, g in enumerate(pull(dy)):
        v = rng.standard_normal(xs[k].shape)
        moved = np.einsum(subscripts, *(v if j == k else x for j, x in enumerate(xs)))
        np.testing.assert_allclose(np.sum(g * v), np.sum(dy * moved), rtol=1e-9, atol=1e-9)


BATCHES = ["...ab,...bc->...ac", "a...b,bc->...ac", "...ab,bc", "a...,...->a...", "...aa->...a", "a...,b...->...ba"]


@pytest.mark.parametrize("subscripts", BATCHES)
@pytest.mark.parametrize("first", [(), (5,), (6, 5)], ids=str)
@pytest.mark.parametrize("second", [(), (1,), (5,)], ids=str)
def test_batches(subscripts, first, second):
    rng = np.random.default_rng(0)
    xs = []
    for term, batch in zip(subscripts.split("->")[0].split(","), (first, second)):
        before, _, after = term.partition("...") if "..." in term else (term, "", "")
        own = batch if "..." in term else ()
        xs.append(rng.standard_normal([SIZES[c] for c in before] + list(own) + [SIZES[c] for c in after]))
    y, pull = tg.vjp(lambda *xs: tg.einsum(subscripts, *xs), *xs)
    dy = rng.standard_normal(np.shape(y))
    for k, g in enumerate(pull(dy)):
        v = rng.standard_normal(xs[k].shape)
        moved = np.einsum(subscripts, *(v if j == k else x for j, x in enumerate(xs)))
        np.testing.assert_allclose(np.sum(g * v), np.sum(dy * moved), rtol=1e-9)


SUBLISTS = {
    "matmul": ([0, 1], [1, 2], [0, 2]),
    "implied result": ([2, 0], [0, 1]),
    "large labels": ([27, 51], [51, 3], [3, 27]),
    "batch": ([..., 0, 1], [1, 2], [..., 2]),
    "to a number": ([0, 1], [1, 0], []),
}


@pytest.mark.parametrize("labels", SUBLISTS.values(), ids=SUBLISTS)
def test_lists_of_labels_are_letters(labels):
    x, w = np.random.default_rng(0).standard_normal((2, 3, 3))
    y, pull = tg.vjp(lambda x, w: np.einsum(x, labels[0], w, labels[1], *labels[2:]), x, w)
    np.testing.assert_allclose(y, np.einsum(x, labels[0], w, labels[1], *labels[2:]), rtol=1e-14)
    dy = np.cos(np.arange(np.size(y))).reshape(np.shape(y))
    for k, (g, v) in enumerate(zip(pull(dy), (w, x))):
        pair = (v, w) if k == 0 else (x, v)
        moved = np.einsum(pair[0], labels[0], pair[1], labels[1], *labels[2:])
        np.testing.assert_allclose(np.sum(g * v), np.sum(dy * moved), rtol=1e-12)


def test_without_subscripts_it_says_what_comes_first():
    text = "einsum: needs subscripts first, such as einsum('ij,jk->ik', x, w); np.einsum takes lists of labels; "
    with pytest.raises(TypeError) as caught:
        tg.einsum(tg.Tensor(np.ones((2, 3))), [0, 1], [0])
    assert str(caught.value).startswith(text)


def test_a_list_of_numbers_is_an_operand():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    tg.einsum("i,i", [3.0, 4.0], x).backward()
    np.testing.assert_array_equal(x.grad, [3, 4])


def test_a_repeated_label_before_a_batch_says_that_it_has_no_gradient():
    x = tg.tensor(np.ones((3, 3, 2)), requires_grad=True)
    with pytest.raises(ValueError) as caught:
        tg.sum(tg.einsum("ii...->i...", x)).backward()
    assert str(caught.value) == "einsum: 'ii...' repeats a label before '...', which has no gradient"
