"""The summary of a model: a table, and its rows as data."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.nn import Embedding, Linear, Module, Recurrent
from tinygrad_rnn.nn.summary import _bytes


class Model(Module):
    def __init__(self):
        rng = np.random.default_rng(0)
        self.embed, self.recurrent = Embedding(7, 3, rng=rng), Recurrent(tg.lstm, D=3, H=4, rng=rng, stateful=True)
        self.head = {"affine": Linear(4, 7, rng=rng)}

    def forward(self, ids):
        hs, state = self.recurrent(self.embed(ids))
        return self.head["affine"].forward(hs), state


IDS = np.zeros((2, 5), int)
PARAMETERS = 7 * 3 + (3 * 16 + 4 * 16 + 16) + (4 * 7 + 7)


def test_rows_have_shapes_parameters_and_bytes():
    rows = Model().summary(IDS).rows
    assert [(row.name, row.layer, row.output, row.parameters) for row in rows] == [
        ("", "Model", (2, 5, 7), PARAMETERS),
        ("embed", "Embedding", (2, 5, 3), 21),
        ("recurrent", "Recurrent", (2, 5, 4), 128),
        ("head.affine", "Linear", (2, 5, 7), 35),
    ]
    assert [row.memory for row in rows] == [4 * (row.parameters + int(np.prod(row.output))) for row in rows]


def test_the_text_is_a_table():
    model = Model()
    model.embed.freeze()
    assert str(model.summary(IDS)).splitlines() == [
        "name         layer      output     parameters  frozen   memory",
        "(model)      Model      (2, 5, 7)         184      21  1.02 kB",
        "embed        Embedding  (2, 5, 3)          21      21    204 B",
        "recurrent    Recurrent  (2, 5, 4)         128       0    672 B",
        "head.affine  Linear     (2, 5, 7)          35       0    420 B",
    ]
    assert "frozen" not in str(model.unfreeze().summary())


@pytest.mark.parametrize(("count", "text"), [(999, "999 B"), (1000, "1 kB"), (999_600, "1 MB"), (25_649_000, "25.6 MB"),
                                             (3.2e12, "3.2e+03 GB")])  # fmt: skip
def test_bytes_have_three_digits(count, text):
    assert _bytes(count) == text


def test_a_tied_weight_counts_once_in_the_model():
    tied = Module()
    tied.first, tied.second = Linear(4, 4, rng=0, bias=False), Linear(4, 4, rng=1, bias=False)
    tied.second.W = tied.first.W
    assert [row.parameters for row in tied.summary().rows] == [16, 16, 16] and tied.summary().parameters == 16


def test_without_inputs_no_shape_is_known():
    assert [row.output for row in Model().summary().rows] == [None] * 4
    assert " - " in str(Model().summary())


def test_it_leaves_the_model_as_it_is():
    model = Model()
    before, kinds = model.state_dict(), [type(module) for module in model.modules.values()]
    model.summary(IDS)
    assert model.training and model.recurrent.state is None
    assert [type(module) for module in model.modules.values()] == kinds
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_summary_of_a_module_without_a_forward_is_refused_as_its_call_is():
    class Loss(Module):
        def __init__(self):
            self.linear = Linear(3, 1, rng=0)

    with pytest.raises(TypeError, match=r"^Loss: it has no forward, should define forward\(self, \.\.\.\)$"):
        Loss().summary(np.ones((2, 3)))
