"""`fit` refuses arguments that it cannot train with before the first batch, and says what they should be."""

import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.learners import Regression, pairs
from tinygrad_rnn.optim import SGD, Adam, Cosine
from tinygrad_rnn.train import fit

AGAIN = "should be a list, or an object with __iter__ and __len__, since every epoch iterates over it"
XS, TS = pairs(1)[0]


def refused(error, text, batches=None, **options):
    """`fit` raises the error with exactly the text, and changes no parameter."""
    trained = Regression()
    before, optimizer = trained.state_dict(), options.pop("optimizer", SGD(trained, lr=0.1))
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        fit(trained, pairs(2) if batches is None else batches, optimizer, report=False, **options)
    for name, array in trained.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(("options", "text"), [
    ({"batches": iter(pairs(2))}, f"fit: batches is a list_iterator, {AGAIN}"),
    ({"batches": (pair for pair in pairs(2))}, f"fit: batches is a generator, {AGAIN}"),
    ({"batches": 3}, f"fit: batches is a int, {AGAIN}"),
    ({"valid": (pair for pair in pairs(2)), "epochs": 2}, f"fit: valid is a generator, {AGAIN}"),
    ({"batches": np.arange(9)}, "fit: batches is an array (9,), should hold batches: data.windows(ids, N, T)"),
    ({"valid": np.arange(9)}, "fit: valid is an array (9,), should hold batches: data.windows(ids, N, T)"),
    ({"optimizer": SGD}, "fit: optimizer is the class SGD, should be an Optimizer, such as optim.SGD(model, lr=0.1)"),
    ({"optimizer": "adam"}, "fit: optimizer is 'adam', should be an Optimizer, such as optim.SGD(model, lr=0.1)"),
    ({"schedule": Cosine}, "fit: schedule is the class Cosine, should be a schedule of the optimizer, such as "
     "optim.Cosine(optimizer, steps=1000)"),
    ({"schedule": "cosine"}, "fit: schedule is 'cosine', should be a schedule of the optimizer, such as "
     "optim.Cosine(optimizer, steps=1000)"),
])  # fmt: skip
def test_what_is_of_another_kind(options, text):
    refused(TypeError, text, **options)


@pytest.mark.parametrize(("options", "text"), [
    ({"valid": []}, "fit: valid is empty, should have at least one batch"),
    ({"epochs": -1}, "fit: epochs is -1, should be a whole number from 0"),
    ({"epochs": 1.5}, "fit: epochs is 1.5, should be a whole number from 0"),
    ({"epochs": None}, "fit: epochs is None, should be a whole number from 0"),
    ({"patience": 0}, "fit: patience is 0, should be a whole number from 1"),
    *[({"max_norm": norm}, f"fit: max_norm is {norm!r}, should be more than 0, or None, which does not clip")
      for norm in (0, -1.0, float("nan"), "1")],
    ({"optimizer": Adam(Regression(), lr=0.1)},
     "fit: optimizer has no parameter of the model, should be created with it: Adam(model, ...)"),
    ({"schedule": Cosine(SGD(Regression(), lr=0.1), steps=3)},
     "fit: schedule sets the lr of another optimizer, should be created with this one"),
])  # fmt: skip
def test_what_is_out_of_range_or_belongs_to_another_model(options, text):
    refused(ValueError, text, **options)


@pytest.mark.parametrize(("batch", "text"), [
    ([XS, TS], "that is a list (missing a required argument: 'ts')"),
    ({"xs": XS, "ts": TS}, "that is a dict (missing a required argument: 'ts')"),
    ((XS, TS, TS), "of 3 arrays (too many positional arguments)"),
])  # fmt: skip
def test_a_batch_that_the_loss_cannot_be_called_with(batch, text):
    refused(TypeError, f"fit: got a batch {text}, should be a tuple of what loss(xs, ts) takes", batches=[batch],
            loss=lambda xs, ts: None)  # fmt: skip


def test_the_loss_is_told_without_its_annotations():
    def loss(xs: np.ndarray, ts: "np.ndarray", weight: float = 1.0) -> tg.Tensor: ...

    refused(TypeError, "fit: got a batch that is a list (missing a required argument: 'ts'), should be a tuple of what "
            "loss(xs, ts, weight=1.0) takes", batches=[[XS, TS]], loss=loss)  # fmt: skip


def test_a_loss_of_predictions_and_targets_is_no_loss_of_a_batch():
    refused(TypeError, "fit: loss returned a float32, should return a Tensor computed by the model; it is called as "
            "loss(*batch)", batches=[(TS.astype("f"), TS.astype("f"))], loss=tg.mean_squared_error)  # fmt: skip


def test_validation_batches_need_no_length():
    class Endless:
        def __iter__(self):
            return iter(pairs(1))

    trained = Regression()
    history = fit(trained, pairs(2), SGD(trained, lr=0.1), epochs=2, valid=Endless(), report=False)
    assert [row["epoch"] for row in history.epochs] == [1, 2]


def test_a_layer_that_is_frozen_after_the_optimizer_was_created_stays_and_the_others_are_trained():
    trained = Regression()
    trained.scale = tg.tensor(np.ones(1, "f"), requires_grad=True)
    optimizer = Adam(trained, lr=0.1)
    frozen = next(module for name, module in trained.modules.items() if name)
    frozen.freeze()
    before = trained.state_dict()
    fit(trained, pairs(3), optimizer, loss=lambda xs, ts: ((trained(xs) * trained.scale - ts) ** 2).mean(),
        max_norm=1.0, report=False)  # fmt: skip
    changed = [name for name, array in trained.state_dict().items() if not np.array_equal(array, before[name])]
    assert changed == ["scale"]
