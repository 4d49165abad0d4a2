"""No function of NumPy makes an object array of a Tensor; no array takes one whose gradient it would lose."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from test_numpy_protocols import A, B, leaf, name_of

import tinygrad_rnn as tg
from tinygrad_rnn.border import FUNCTIONS, UFUNCS

EVERY = {
    f"{room.__name__}.{name}".replace("numpy", "np", 1): getattr(room, name)
    for room in (np, np.linalg, np.fft)
    for name in dir(room)
    if callable(getattr(room, name)) and not name.startswith("_") and not isinstance(getattr(room, name), type)
}
ARGUMENTS = [lambda x: [x], lambda x: [x, x], lambda x: [x, B], lambda x: [B, x], lambda x: [x, 1],
             lambda x: [[x, B]], lambda x: [x, x, x], lambda x: ["ij,ij", x, x], lambda x: [3, x],
             lambda x: [x, x, x, 0]]  # fmt: skip
#: They write files or to the screen, or set what NumPy does.
LEFT_OUT = [
    *("np.save", "np.savez", "np.savez_compressed", "np.savetxt", "np.load", "np.loadtxt", "np.genfromtxt"),
    *("np.fromfile", "np.info", "np.test", "np.linalg.test", "np.fft.test", "np.show_config", "np.show_runtime"),
    *("np.set_printoptions", "np.seterr", "np.seterrcall", "np.setbufsize", "np.get_include"),
]


def acceptable(y: Any) -> bool:
    if isinstance(y, (tuple, list)):
        return all(acceptable(one) for one in y)
    return getattr(getattr(y, "dtype", None), "kind", "f") != "O"


@pytest.mark.parametrize("name", [name for name in EVERY if name not in LEFT_OUT])
def test_no_function_of_numpy_makes_an_object_array(name):
    """A Tensor or a plain result; or an error, which names a function that is dispatched and has no operation."""
    f, errors, results = EVERY[name], [], []
    for arguments in ARGUMENTS:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                results.append(f(*arguments(leaf(A))))
        except Exception as error:  # noqa: PERF203, most arguments fit few functions
            errors.append(str(error))
    assert all(acceptable(y) for y in results)
    if f not in UFUNCS and f not in FUNCTIONS and (hasattr(f, "_implementation") or isinstance(f, np.ufunc)):
        assert any(f"{f.__name__} has no operation on Tensors" in text for text in errors), errors


def test_what_has_no_operation_is_named():
    cases = {
        "np.median has no operation on Tensors": lambda x: np.median(x),
        "np.linalg.inv has no operation on Tensors": lambda x: np.linalg.inv(x),
        "np.nextafter has no operation on Tensors": lambda x: np.nextafter(x, x),
        "np.add.at has no operation on Tensors": lambda x: np.add.at(x, 0, 1.0),
        "np.divide.reduce has no operation on Tensors": lambda x: np.divide.reduce(x),
    }
    for text, f in cases.items():
        with pytest.raises(TypeError) as caught:
            f(leaf(A))
        assert str(caught.value) == text


# -- into arrays -----------------------------------------------------------------------------------------------------

ADVICE = (
    "use x.detach() or x.numpy() if the gradient is not wanted, tinygrad_rnn.stack to make one of several, and for "
    "hs[:, t] = h make hs with tinygrad_rnn.zeros"
)


def assign(index: Any, x: tg.Tensor) -> None:
    hs = np.zeros((3, 3))
    hs[index] = x


INTO_ARRAYS = {
    "asarray": lambda x: np.asarray(x),
    "array of several": lambda x: np.array([x, x]),
    "array of numbers": lambda x: np.array([x[0, 0], x[0, 1]]),
    "row": lambda x: assign(0, x[0]),
    "column": lambda x: assign((slice(None), 1), x[0]),
    "all": lambda x: assign(..., x),
    "mask": lambda x: assign(np.eye(3, dtype=bool), x[0]),
    "list": lambda x: assign(0, [x[0, 0]] * 3),
    "full": lambda x: np.full((3, 3), x),
    "function of a list": lambda x: np.mean([x, x]),
}


@pytest.mark.parametrize("f", INTO_ARRAYS.values(), ids=INTO_ARRAYS)
def test_an_array_would_lose_the_gradient(f):
    with pytest.raises(TypeError) as caught:
        f(leaf(A))
    assert str(caught.value) == f"this Tensor needs a gradient, which an array would lose; {ADVICE}"


def test_one_element_of_an_array_would_lose_the_gradient():
    """NumPy asks for a float here, and puts words of its own before ours."""
    with pytest.raises(ValueError, match="setting an array element") as caught:
        assign((1, 2), leaf(0.5))
    assert str(caught.value.__cause__) == f"this Tensor needs a gradient, which an array would lose; {ADVICE}"
    assert float(leaf(0.5)) == 0.5 and [float(leaf(0.5))] == [0.5]


def test_what_needs_no_gradient_is_an_array():
    x = tg.tensor(A)
    for f in INTO_ARRAYS.values():
        f(x)
    assert np.asarray(x) is x.data
    np.testing.assert_array_equal(np.asarray(x, dtype=np.float32), A.astype(np.float32))


@pytest.mark.parametrize("f", [lambda x, out: np.add(x, 1, out=out), lambda x, out: np.exp(x, out=out),
                               lambda x, out: np.matmul(x, x, out=out), lambda x, out: out.__iadd__(x)])  # fmt: skip
def test_out_is_refused_with_advice(f):
    with pytest.raises(TypeError, match=r"^np\.\w+: a Tensor can't be written into an array; ") as caught:
        f(leaf(A), np.zeros((3, 3)))
    assert str(caught.value).endswith(ADVICE)


@pytest.mark.parametrize("f", [np.sum, np.mean, np.max, np.concatenate, np.clip], ids=name_of)
def test_out_of_a_function_is_refused(f):
    with pytest.raises(TypeError, match="out"):
        f([leaf(A)] if f is np.concatenate else leaf(A), out=np.zeros((3, 3)))
