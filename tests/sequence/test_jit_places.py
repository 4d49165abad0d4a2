"""The places of views, and the indices of reshaped arrays, are those of NumPy."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from tinygrad_rnn.sequence.jit.moves import reshaped
from tinygrad_rnn.sequence.jit.places import part, viewed, whole

VIEWS = [
    ("getitem", {"index": (Ellipsis, slice(1, 3))}),
    ("getitem", {"index": (slice(None, None, -1), 2)}),
    ("getitem", {"index": (1, None, slice(0, 5, 2))}),
    ("getitem", {"index": -1}),
    ("transpose", {}),
    ("transpose", {"axes": (2, 0, 1)}),
    ("swapaxes", {"axis1": 0, "axis2": -1}),
    ("expand_dims", {"axis": -1}),
    ("expand_dims", {"axis": (0, 2)}),
    ("squeeze", {}),
    ("detach", {}),
]


def view_of(op, attrs, x):
    """The same view by NumPy."""
    if op == "getitem":
        return x[attrs["index"]]
    if op == "transpose":
        return x.transpose(attrs.get("axes"))
    return {
        "swapaxes": lambda: x.swapaxes(0, -1),
        "detach": lambda: x,
        "expand_dims": lambda: np.expand_dims(x, **attrs),
        "squeeze": lambda: np.squeeze(x, **attrs),
    }[op]()


def gathered(place, shape, x):
    """The elements at the indices that the place writes."""
    result = np.empty(shape, x.dtype)
    for indices in np.ndindex(*shape):
        result[indices] = eval(place.index([str(n) for n in indices]), {"x": x})
    return result


@pytest.mark.parametrize("op, attrs", VIEWS)
@pytest.mark.parametrize("second, more", VIEWS)
def test_a_view_of_a_view_is_where_numpy_has_it(op, attrs, second, more):
    x = np.arange(2 * 3 * 5).reshape(2, 3, 5)
    once = view_of(op, attrs, x)
    place = viewed(op, attrs, whole("x", "", x.shape), x.shape)
    np.testing.assert_array_equal(gathered(place, once.shape, x), once)
    try:
        twice = view_of(second, more, once)
    except (IndexError, ValueError):
        return  # the view does not fit this rank
    place = viewed(second, more, place, once.shape)
    np.testing.assert_array_equal(gathered(place, twice.shape, x), twice)
    if place.strides().keys() == set(range(twice.ndim)):
        assert all(place.strides()[axis] * x.itemsize == twice.strides[axis] for axis in range(twice.ndim))


def test_a_part_of_a_place_and_the_time_step():
    x = np.arange(4 * 2 * 6).reshape(4, 2, 6)
    place = part(whole("x", "t + 1", (2, 6)), 3, 1)
    assert place.index(["n", "j"]) == "x[t + 1, n, j + 3]"
    assert x.ravel()[eval(place.start(), {"t": 1})] == x[2, 0, 3]


@pytest.mark.parametrize(
    "shape, new", [((6, 4), (2, 3, 4)), ((2, 3), (6,)), ((5,), (5, 1)), ((1, 6), (3, 2)), ((1,), ())]
)
def test_the_indices_of_a_reshaped_array(shape, new):
    x = np.arange(np.prod(shape)).reshape(shape)
    for indices in np.ndindex(*new):
        texts = reshaped(shape, new, [str(n) for n in indices])
        assert eval(f"x[{', '.join(texts)}]", {"x": x}) == x.reshape(new)[indices]
