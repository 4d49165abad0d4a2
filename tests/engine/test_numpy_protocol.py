"""No function of NumPy makes an object array of a Tensor; no array takes one whose gradient it would lose."""

from __future__ import annotations

import math
import operator
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.numpy_protocol import A, B, leaf, name_of
from tinygrad_rnn.engine.numpy_protocol import FUNCTIONS, UFUNCS

EVERY = {
    f"{room.__name__}.{name}".replace("numpy", "np", 1): getattr(room, name)
    for room in (np, np.linalg, np.fft)
    for name in dir(room)
    if callable(getattr(room, name)) and not name.startswith("_") and not isinstance(getattr(room, name), type)
}
ARGUMENTS = [lambda x: [x], lambda x: [x, x], lambda x: [x, B], lambda x: [B, x], lambda x: [x, 1],
             lambda x: [[x, B]], lambda x: [x, x, x], lambda x: ["ij,ij", x, x], lambda x: [3, x],
             lambda x: [x, x, x, 0], lambda x: [np.array([0, 2, 2]), x[0]], lambda x: [B, x[0, 0]],
             lambda x: [x[0, 0]], lambda x: [B[0], x[0]], lambda x: [x[0, 0], x[0, 1]]]  # fmt: skip
#: Names of arguments that NumPy does not look for Tensors in, or not in all of its functions.
NAMED = ["weights", "fill_value", "initial", "constant_values", "values", "prepend", "to_end", "nan", "dx", "aweights",
         "mean", "step", "left", "period", "v", "b", "y", "default", "p", "loc", "scale", "size"]  # fmt: skip
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


def answers(f: Any, x: Any) -> list[Any]:
    """What f gives in plain arrays, of every kind of arguments that it takes."""
    calls: list[Any] = [lambda given=given: f(*given(x)) for given in ARGUMENTS]
    for base in ([B], [B[0]], [np.array([0, 2, 2])], [(3, 3)], [x]):
        calls += [lambda base=base, name=name, one=one: f(*base, **{name: one})
                  for name in NAMED for one in (x, x[0], x[0, 0])]  # fmt: skip
    results = []
    for call in calls:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                results.append(call())
        except Exception:  # noqa: PERF203, most arguments fit few functions
            results.append(None)
    return results


def leaves_of(y: Any) -> list[Any]:
    return [leaf for part in y for leaf in leaves_of(part)] if isinstance(y, (tuple, list)) else [y]


#: Their result is not a function of the values: memory that nobody has set, text, what was given.
NO_VALUES = ["np.empty_like", "np.empty", "np.array2string", "np.array_repr", "np.array_str", "np.result_type",
             "np.isscalar", "np.format_float_positional", "np.format_float_scientific", "np.iterable"]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in EVERY if name not in [*LEFT_OUT, *NO_VALUES]])
def test_no_function_of_numpy_loses_a_gradient(name):
    """What it answers in plain arrays stays as it is when its argument moves a little: the gradient is 0."""
    here, there = (answers(EVERY[name], leaf(A + shift)) for shift in (0.0, 1e-7))
    for y, moved in zip(here, there, strict=True):
        for one, other in zip(leaves_of(y), leaves_of(moved), strict=True):
            if isinstance(one, (np.ndarray, np.generic, float)) and isinstance(other, (np.ndarray, np.generic, float)):
                np.testing.assert_array_equal(one, other)


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
    "use x.detach() or x.numpy() if the gradient is not wanted, tinygrad_rnn.stack([a, b]) for np.array([a, b]), "
    "array @ x for array.dot(x), and for hs[:, t] = h make hs with tinygrad_rnn.zeros"
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


FILLING = {
    "fill": lambda a, x: a.fill(x),
    "fill of an attribute": lambda a, x: SimpleNamespace(array=a).array.fill(x),
    "__setitem__": lambda a, x: a.__setitem__((0, 0), x),
    "operator.setitem": lambda a, x: operator.setitem(a, (0, 0), x),
    "fromiter": lambda a, x: np.fromiter([x, x], float),
    "initial": lambda a, x: np.add.reduce(a, initial=x),
    "initial of a method": lambda a, x: a.sum(initial=x),
    "initial of a function": lambda a, x: np.max(a, initial=x),
    "ddof": lambda a, x: np.std(a, ddof=x),
}


@pytest.mark.parametrize("name", FILLING)
def test_one_number_in_an_array_would_lose_the_gradient(name):
    """NumPy asks for it as ``float(x)`` does."""
    a = np.ones((3, 3))
    with pytest.raises((TypeError, ValueError)) as caught:
        FILLING[name](a, leaf(0.5))
    why = caught.value if isinstance(caught.value, TypeError) else caught.value.__cause__
    assert str(why) == f"this Tensor needs a gradient, which an array would lose; {ADVICE}"
    assert (a == 1).all()


def test_an_element_by_its_flat_number_is_refused_in_words_of_numpy():
    a = np.ones((3, 3))
    with pytest.raises(ValueError, match="setting single item"):
        a.flat[0] = leaf(0.5)


def test_a_float_for_an_array_is_meant():
    a, x = np.ones(3), leaf(0.5)
    a.fill(float(x)), a.put(0, x.item())
    a[1] = float(x)
    values = [*map(float, [x, x]), math.exp(x), np.float64(x), max(0.0, float(x))]
    np.testing.assert_array_equal([*a, *values], [0.5, 0.5, 0.5, 0.5, 0.5, math.exp(0.5), 0.5, 0.5])


WRITING = {
    "copyto": lambda a, x: np.copyto(a, x),
    "place": lambda a, x: np.place(a, a > 0, x),
    "put": lambda a, x: np.put(a, [0, 1], x),
    "putmask": lambda a, x: np.putmask(a, a > 0, x),
    "put_along_axis": lambda a, x: np.put_along_axis(a, np.zeros((3, 1), int), x, axis=1),
    "fill_diagonal": lambda a, x: np.fill_diagonal(a, x),
}


@pytest.mark.parametrize("name", WRITING)
@pytest.mark.parametrize("into", [np.array(A), leaf(A), leaf(A) * 1], ids=["array", "leaf", "tensor"])
def test_functions_that_write_into_arrays_are_refused(name, into):
    with pytest.raises(TypeError) as caught:
        WRITING[name](into, leaf(A[:, :1]))
    assert str(caught.value) in (
        f"np.{name}: a Tensor can't be written into an array; {ADVICE}",
        f"this Tensor needs a gradient, which an array would lose; {ADVICE}",
    )
    assert (np.asarray(tg.detach(into)) == A).all()


def test_what_needs_no_gradient_is_an_array():
    x = tg.tensor(A)
    for f in INTO_ARRAYS.values():
        f(x)
    assert np.asarray(x) is x.data
    np.testing.assert_array_equal(np.asarray(x, dtype=np.float32), A.astype(np.float32))


# -- Python numbers --------------------------------------------------------------------------------------------------

NUMBERS = {
    "float": float, "int": int, "complex": complex, "item": lambda x: x.item(), "math.exp": math.exp,
    "tolist": lambda x: x.tolist(),
    "math.floor": math.floor, "map": lambda x: next(map(float, [x])), "sum": lambda x: math.fsum([x, x]),
}  # fmt: skip
#: What a Tensor may be asked for anywhere: text, truth, and steps, whose gradient is 0.
ASKING = {
    "bool": lambda x: bool(x), "comparison": lambda x: x > 1.0 and not x < 0.5, "format": lambda x: f"{x:.3f}",
    "round": lambda x: round(x, 2), "repr": repr, "str": str, "np.round": np.round, "np.isnan": np.isnan,
    "detached": lambda x: float(x.detach()), "detached item": lambda x: x.detach().item(),
    "numpy": lambda x: float(x.numpy()),
}  # fmt: skip


@tg.cell
def asking(x, h, *, ask=None):
    """A cell that asks its state for something."""
    ask(h[0, 0])
    return h * 1.5 + x


def through_scan(ask: Any) -> None:
    xs = tg.tensor(np.full((1, 2, 1), 2.5), requires_grad=True)
    tg.scan(asking, xs, tg.tensor(np.full((1, 1), 2.5)), {"ask": ask})


def asked(ask: Any) -> Any:
    """A function that asks its argument for something, and goes on with it."""

    def f(x: Any) -> Any:
        ask(x)
        return x * x

    return f


RECORDED = {
    "grad": lambda ask: tg.grad(asked(ask))(2.5),
    "value_and_grad": lambda ask: tg.value_and_grad(asked(ask))(2.5),
    "vjp": lambda ask: tg.vjp(asked(ask), 2.5),
    "jvp": lambda ask: tg.jvp(asked(ask), (2.5,), (1.0,)),
    "hessian": lambda ask: tg.hessian(asked(ask))(2.5),
    "hvp": lambda ask: tg.hvp(asked(ask), 2.5, 1.0),
    "grad in trace_nans": lambda ask: in_debugging(lambda: tg.grad(asked(ask))(2.5)),
    "scan": through_scan,
    "derive": lambda ask: tg.derive(asking_of(ask)),
    "draw": lambda ask: tg.draw(asking_of(ask)),
}


def asking_of(ask: Any) -> Any:
    @tg.cell
    def another(x, h, *, b=tg.Param("H")):
        ask(tg.sum(b))
        return h * b

    return another


def in_debugging(f: Any) -> Any:
    with tg.trace_nans(), tg.trace_mutations():
        return f()


LOST = (
    "this Tensor needs a gradient, which a Python number would lose, inside of grad, scan or a function that is "
    "recorded; compute with the Tensor itself (tinygrad_rnn.exp for math.exp), or use x.detach() if the gradient is "
    "not wanted"
)


@pytest.mark.parametrize("where", RECORDED)
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_would_lose_the_gradient(name, where):
    with pytest.raises(TypeError) as caught:
        RECORDED[where](NUMBERS[name])
    assert LOST in str(caught.value)


@pytest.mark.parametrize("where", RECORDED)
@pytest.mark.parametrize("name", ASKING)
def test_text_and_truth_may_be_asked_for_anywhere(name, where):
    RECORDED[where](ASKING[name])


@pytest.mark.parametrize("name", NUMBERS)
def test_elsewhere_a_tensor_gives_a_number(name):
    """For the log of a training loop, also while it is debugged; and wherever nothing is recorded."""
    x = leaf(2.5)
    expected = NUMBERS[name](np.float64(2.5))
    assert NUMBERS[name](x) == NUMBERS[name](x * 1) == in_debugging(lambda: NUMBERS[name](x * 1)) == expected

    def f(y: Any) -> Any:
        with tg.no_grad():
            assert NUMBERS[name](y) == expected
        return y * y

    assert tg.grad(f)(2.5) == 5.0


def test_a_number_of_numpy_would_lose_the_gradient():
    with pytest.raises(TypeError, match="this Tensor needs a gradient, which an array would lose"):
        tg.grad(asked(np.float64))(2.5)


def test_a_loss_in_text():
    loss = leaf(2.34567) * 1
    assert f"{loss:.3f} {loss:8.2e} {loss:>6.1f}" == "2.346 2.35e+00    2.3"
    assert f"{loss}" == str(loss) == repr(loss)
    assert (round(loss, 3), round(loss), round(tg.tensor([1.55]), 1)) == (2.346, 2, round(1.55, 1))
    for ask, text in ((lambda x: f"{x:.3f}", "format '.3f': the Tensor has shape (2,), should be one number"),
                      (lambda x: round(x, 3), "round: the Tensor has shape (2,), should be one number")):  # fmt: skip
        with pytest.raises(TypeError) as caught:
            ask(tg.tensor([1.0, 2.0]))
        assert str(caught.value) == text


# -- SciPy -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["expit", "erf"])
def test_functions_of_scipy_record(name):
    special = pytest.importorskip("scipy.special")
    f = getattr(special, name)
    y, pull = tg.vjp(f, A)
    np.testing.assert_allclose(y, f(A), rtol=1e-15)
    np.testing.assert_allclose(pull(B)[0], (f(A + 1e-6) - f(A - 1e-6)) / 2e-6 * B, rtol=1e-8)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_functions_of_scipy_that_cannot_record_name_ours(name):
    special = pytest.importorskip("scipy.special")
    with pytest.raises(TypeError) as caught:
        getattr(special, name)(leaf(A), axis=-1)
    assert str(caught.value) == (
        "this Tensor needs a gradient, which an array would lose; "
        f"scipy.special.{name} has no operation on Tensors; write tinygrad_rnn.{name}(x, axis=...)"
    )
    np.testing.assert_allclose(getattr(tg, name)(A, axis=-1), getattr(special, name)(A, axis=-1), rtol=1e-14)


def test_other_functions_of_scipy_have_no_operation():
    special = pytest.importorskip("scipy.special")
    with pytest.raises(TypeError, match=r"^gammaln has no operation on Tensors$"):
        special.gammaln(leaf(A))


# -- out -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [lambda x, out: np.add(x, 1, out=out), lambda x, out: np.exp(x, out=out),
                               lambda x, out: np.matmul(x, x, out=out), lambda x, out: out.__iadd__(x)])  # fmt: skip
def test_out_is_refused_with_advice(f):
    with pytest.raises(TypeError, match=r"^np\.\w+: a Tensor can't be written into an array; ") as caught:
        f(leaf(A), np.zeros((3, 3)))
    assert str(caught.value).endswith(ADVICE)


@pytest.mark.parametrize("f", [np.sum, np.mean, np.max, np.concatenate, np.clip], ids=name_of)
def test_out_of_a_function_is_refused(f):
    bounds = (0, 1) if f is np.clip else ()
    with pytest.raises(TypeError, match="out"):
        f([leaf(A)] if f is np.concatenate else leaf(A), *bounds, out=np.zeros((3, 3)))
