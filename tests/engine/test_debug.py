"""Where a NaN was born, forward and backward, and who wrote to what backward needs."""

import re
import sys

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import Param, Tensor, cell, scan
from tinygrad_rnn.engine.context import context
from tinygrad_rnn.engine.debug import trace_mutations, trace_nans
from tinygrad_rnn.engine.versions import saved_arrays
from tinygrad_rnn.errors import MutationError, NanError


def leaf(*values, name="x"):
    return Tensor(np.array(values, np.float64), requires_grad=True, name=name)


def line(back=0):
    """This file and the line of the caller, less some, as messages print it."""
    frame = sys._getframe(1)
    return re.escape(f"{frame.f_code.co_filename}:{frame.f_lineno - back}")


def test_the_log_of_a_negative_number():
    with trace_nans(), pytest.raises(NanError) as caught:
        tg.log(leaf(1, -1))
    here = line(1)
    assert re.fullmatch(rf"log: made NaN \(1 of 2\) from x = x \(2,\) from -1 to 1; at {here}", str(caught.value))


def test_zero_by_zero_in_step_3_of_a_users_cell():
    @cell
    def normalised(x, h, *, W=Param("D H")):
        a = x @ W
        return a / a + h

    xs = np.random.default_rng(0).standard_normal((2, 5, 3))
    xs[:, 3] = 0
    params = normalised.init(np.random.default_rng(0), D=3, H=4, dtype=np.float64)
    with trace_nans(), pytest.raises(NanError, match=r"divide: made NaN \(8 of 8\) from .*, in time step 3$"):
        scan(normalised, xs, None, params)
    assert context.step is None


def test_inf_times_zero_in_backward():
    x = leaf(0, 1)
    with trace_nans():
        y = tg.sqrt(x) * np.array([0.0, 1.0])
        made = line(1)
        with pytest.raises(NanError, match=rf"backward of sqrt: the gradient by x \(x \(2,\)\) is NaN \(1 of 2\), made "
                           rf"from dy \(2,\) from 0 to 1, y .*; the operation is at {made}"):  # fmt: skip
            y.sum().backward()


def test_backward_in_a_time_step():
    @cell
    def root(x, h, *, W=Param("D H")):
        return tg.sqrt(x @ W) + h

    xs = np.ones((1, 4, 2))
    xs[:, 2] = 0
    with trace_nans():
        hs, _ = scan(root, xs, None, {"W": leaf([1.0], [1.0], name="W")})
        with pytest.raises(NanError, match=r"backward of sqrt: .* is inf .*, in time step 2$"):
            hs.sum().backward()


def test_a_loss_that_is_nan_is_found_in_the_forward_pass():
    """pytorch#160016: there such a loss passes unnoticed, as its gradient is finite."""
    x = leaf(1, 2)
    with trace_nans(), pytest.raises(NanError, match="subtract: made NaN"):
        _ = (x + np.array([np.inf, 0])) - np.array([np.inf, 0])


def test_a_nan_that_was_there_before_is_told_as_such():
    x = leaf(1, np.nan, name="logits")
    with trace_nans(), pytest.raises(NanError, match=r"multiply: x holds NaN \(1 of 2\) already, made by no operation"):
        x * 2.0
    y = leaf(1, 2) * 1.0
    with trace_nans(), pytest.raises(NanError, match=r"backward: the gradient of .* was given NaN \(1 of 2\)"):
        y.backward(np.array([1, np.nan]))


def test_overflow_is_found_forward_and_in_a_sum_of_gradients():
    with trace_nans(), pytest.raises(NanError, match=r"exp: made inf \(1 of 1\) from x = x \(1,\) from 1000 to 1000"):
        tg.exp(leaf(1000))
    x = leaf(1)
    with trace_nans():
        y = x * 1.0 + x * 1.0
        with pytest.raises(NanError, match=r"summed up to inf"):
            y.backward(np.array([1.7e308]))


def test_a_mask_of_minus_infinity_goes_through():
    x = leaf(1, 2, 3)
    with trace_nans():
        tg.softmax(tg.where(np.array([True, False, True]), x, -np.inf)).sum().backward()
    assert np.isfinite(x.grad).all()


def test_right_code_is_left_alone_and_gives_the_same():
    grads = []
    for watch in (False, True):
        x = leaf(0.3, 0.7)
        if watch:
            with trace_nans(), trace_mutations():
                (tg.tanh(x) * tg.checkpoint(tg.sin)(x)).sum().backward()
        else:
            (tg.tanh(x) * tg.checkpoint(tg.sin)(x)).sum().backward()
        grads.append(x.grad)
    np.testing.assert_array_equal(*grads)


def saved(y):
    """An array that the rules of y have saved: what no user code can reach."""
    return next(saved_arrays(y.node))


def test_a_write_of_the_library_is_told_with_the_line_that_saved():
    x = leaf(1, 2)
    with trace_mutations():
        y = x * x
        line_of_y = line(1)
        with tg.no_grad():
            x -= 1.0
        text = rf"multiply: its w, an array of shape \(2,\), was changed .*{line_of_y}"
        with pytest.raises(MutationError, match=text):
            y.sum().backward()


def test_a_write_that_the_library_cannot_see():
    with trace_mutations():
        y = tg.tanh(leaf(1, 2))
        loss = y.sum()
        saved(y)[0] = 7
        with pytest.raises(MutationError, match="tanh: its result, an array of shape"):
            loss.backward()


def test_an_index_that_is_saved_cannot_be_written_to():
    y = leaf([1.0, 2], [3, 4])[np.array([0, 1])]
    with pytest.raises(ValueError, match="read-only"):
        saved(y)[0] = 1


def test_writes_that_backward_does_not_need_are_no_error():
    raw = np.array([1.0, 2.0])
    x = Tensor(raw, requires_grad=True)
    with trace_mutations():
        y = x + 1.0
        raw[0] = 5
        y.sum().backward()
        hs = tg.zeros((3, 2), dtype=np.float64)
        for t in range(3):
            hs[t] = tg.tanh(x) if t == 0 else tg.tanh(hs[t - 1])
        hs.sum().backward()


@pytest.mark.parametrize("order", [(trace_nans, trace_mutations), (trace_mutations, trace_nans)])
def test_both_at_once_in_either_order(order):
    first, second = order
    with first(), second():
        with pytest.raises(NanError):
            tg.log(leaf(-1))
        y = leaf(1, 2) ** 2.0
        saved(y)[0] = 3
        with pytest.raises(MutationError):
            y.sum().backward()
    assert context.observer is None


def test_everything_is_as_before_after_an_error():
    before = np.geterr()
    with pytest.raises(NanError), trace_nans():
        tg.log(leaf(-1))
    assert context.observer is None and np.geterr() == before
    with np.errstate(invalid="ignore"):
        assert np.isnan(tg.log(leaf(-1)).data).all()
