"""What is pickled, copied, or sent to another process is the same there, and learns there."""

import copy
import multiprocessing
import pickle
import subprocess
import sys
import textwrap
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.small_models import model_of, train
from tinygrad_rnn.engine.op import COMPOSITES, OPS

WRAPPED = tg.residual(tg.zoneout(tg.variational_dropout(tg.projected(tg.lstm), x=0.1, h=0.2), c=0.3))
CELLS = [tg.rnn, tg.lstm, tg.gru, tg.gru_after, tg.mgu, tg.peephole_lstm, tg.layer_norm_lstm]
WAYS = {f"protocol {k}": lambda x, k=k: pickle.loads(pickle.dumps(x, k)) for k in range(pickle.HIGHEST_PROTOCOL + 1)}
WAYS |= {"deepcopy": copy.deepcopy}
every_way = pytest.mark.parametrize("through", WAYS.values(), ids=WAYS)


@tg.cell(states={"h": "N K"})
def at_module_level(x, h, *, W=tg.Param("D K"), U=tg.Param("K K", "ab")):
    h = tg.tanh(x @ W + h @ U.a) * tg.sigmoid(h @ U.b)
    return h


def equations(x, h, *, W=tg.Param("D K"), U=tg.Param("K K")):
    return tg.tanh(x @ W + h @ U)


UNDER_ANOTHER_NAME = tg.cell(equations, states={"h": "N K"})


# -- Tensors ---------------------------------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble, np.int64, bool])
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3)])
def test_a_tensor_is_its_values_and_its_name(through, dtype, shape):
    x = tg.tensor(np.ones(shape, dtype), name="x")
    y = through(x)
    assert type(y) is tg.Tensor and (y.name, y.dtype, y.shape, y.node) == ("x", dtype, shape, None)
    np.testing.assert_array_equal(y.numpy(), x.numpy())
    assert through(tg.tensor(1.0)).name is None


@every_way
def test_a_large_leaf_is_written_to_as_before(through):
    """NumPy lets a large array from a pickle live in a bytes object, which cannot be watched."""
    w = through(tg.tensor(np.ones((30, 30)), requires_grad=True))
    with tg.no_grad():
        w += 1
    assert (w.numpy() == 2).all()


@every_way
@pytest.mark.parametrize("grad", [None, np.array([5.0, 6.0])])
def test_a_leaf_is_a_leaf_of_its_own(through, grad):
    w = tg.tensor([1.0, 2.0], requires_grad=True, name="w")
    w.grad = grad
    v = through(w)
    assert v.requires_grad and v.node is not w.node and v.node.label() == w.node.label()
    np.testing.assert_array_equal(v.grad, w.grad)
    v.grad = None
    (v * v).sum().backward()
    with tg.no_grad():
        v += 1
    np.testing.assert_array_equal([v.grad, v.numpy(), w.numpy()], [[2, 4], [2, 3], [1, 2]])
    np.testing.assert_array_equal(w.grad, grad)


def test_a_shallow_copy_is_the_same_leaf():
    w = tg.tensor([1.0, 2.0], requires_grad=True, name="w")
    v = copy.copy(w)
    assert v is not w and v.node is w.node and v.name == "w"
    h = w * 1
    twin = copy.copy(h)
    twin *= 3
    twin[0] = 0.0
    np.testing.assert_array_equal([h.numpy(), twin.numpy()], [[1, 2], [0, 6]])
    (twin + h).sum().backward()
    np.testing.assert_array_equal(v.grad, [1, 4])


@every_way
def test_what_belongs_to_a_graph_is_refused(through):
    h = tg.tanh(tg.tensor([1.0, 2.0], requires_grad=True))
    for x in (h, [h], tg.tensor([1.0], requires_grad=True).node):
        with pytest.raises(TypeError) as caught:
            through(x)
        assert str(caught.value) in (
            "pickle, deepcopy: the output (2,) of tanh belongs to a graph, should be a leaf, or free of it: detach(x)",
            "pickle, deepcopy: the node of a tensor of shape (1,) stays where it was made; pickle the Tensor",
        )
    np.testing.assert_array_equal(through(tg.detach(h)).numpy(), h.numpy())


def test_a_function_that_is_differentiated_cannot_lose_its_argument_in_a_copy():
    with pytest.raises(TypeError, match=r"^pickle, deepcopy: a tensor of shape \(2,\) belongs to a graph"):
        tg.grad(lambda x: (copy.deepcopy(x) * x).sum())(np.ones(2))


@every_way
def test_one_tensor_stays_one(through):
    w, x = tg.tensor([1.0], requires_grad=True), tg.tensor([2.0])
    a, b, (c, d) = through([w, w, (x, x)])
    assert a is b and c is d and a is not w


# -- cells and operations --------------------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("cell", [*CELLS, at_module_level], ids=lambda cell: cell.name)
def test_a_cell_of_a_module_is_itself(through, cell):
    assert through(cell) is cell and copy.copy(cell) is cell


@every_way
@pytest.mark.parametrize("cell", [WRAPPED, tg.zoneout(at_module_level, h=0.5), UNDER_ANOTHER_NAME], ids=str)
def test_a_wrapped_cell_is_made_anew_from_its_parts(through, cell):
    new = through(cell)
    assert repr(new) == repr(cell)
    assert (new.words, new.config, list(new.params)) == (cell.words, cell.config, list(cell.params))
    sizes = {"D": 4, "H": 4, "P": 4} if cell is WRAPPED else {"D": 4, "K": 4}
    params = cell.init(np.random.default_rng(0), **sizes)
    xs, random = np.ones((2, 3, 4), "f"), [name for name in cell.config if name == "rng"]
    runs = [
        tg.scan(one, xs, None, {**params, **{name: np.random.default_rng(1) for name in random}})[0].numpy()
        for one in (cell, new)
    ]
    np.testing.assert_array_equal(*runs)


def test_a_cell_that_cannot_be_found_again_gives_the_error_of_pickle():
    @tg.cell
    def inside(x, h, *, W=tg.Param("D H")):
        return h + x @ W

    for cell in (inside, tg.zoneout(inside, h=0.5), tg.nn.Recurrent(inside, D=2, H=2, rng=np.random.default_rng(0))):
        with pytest.raises((AttributeError, pickle.PicklingError), match=r"local object .*inside"):
            pickle.dumps(cell)
    assert repr(copy.deepcopy(inside)) == repr(inside)


@every_way
def test_operations_are_themselves(through):
    for one in [*(spec.function for spec in OPS.values()), *(entry.function for entry in COMPOSITES.values())]:
        assert through(one) is one


# -- modules and optimisers ------------------------------------------------------------------------------------------


OPTIMIZERS = {
    "SGD": lambda params: tg.optim.SGD(params, lr=0.1, momentum=0.9),
    "Adam": lambda params: tg.optim.Adam(params, lr=0.1),
}
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)


@pytest.mark.sampled(every=4)
@every_way
@every_optimizer
@pytest.mark.parametrize("name", ["tied", *(cell.name for cell in CELLS)])
def test_a_model_and_its_optimiser_go_on_where_they_were(through, optimizer, name):
    model = model_of(name)
    pair = model, optimizer(model)
    train(*pair)
    new = through(pair)
    assert repr(new[0]) == repr(model)
    assert all(a is b for a, b in zip(new[1].params.values(), new[0].params.values(), strict=True))
    assert train(*new) == train(*pair)


def test_tied_weights_stay_tied():
    new = pickle.loads(pickle.dumps(model_of("tied")))
    assert new.linear.W is new.recurrent.Wh and list(new.params) == list(model_of("tied").params)


# -- another process -------------------------------------------------------------------------------------------------


@every_optimizer
def test_a_spawned_process_trains_bit_for_bit_alike(optimizer):
    """It starts anew, its clock too: the parameters must not bring their places from here."""
    pairs = [(model, optimizer(model)) for model in (model_of("tied"), model_of("gru"))]
    for _ in range(1000):
        tg.tensor(1.0, requires_grad=True)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:  # which raises where a child ends
        there = list(pool.map(train, *zip(*pairs), timeout=100))
    assert there == [train(*pair) for pair in pairs]


def test_a_cell_of_the_main_module_is_found_by_its_name():
    program = """
        import copy, pickle
        import numpy as np
        import tinygrad_rnn as tg

        @tg.cell
        def mine(x, h, *, W=tg.Param("D H")):
            return tg.tanh(h + x @ W)

        layer = tg.nn.Recurrent(tg.zoneout(mine, h=0.5), D=2, H=2, rng=np.random.default_rng(0))
        assert pickle.loads(pickle.dumps(layer)).cell.inner is mine
        print(pickle.dumps(mine).count(b"mine"))
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("1\n", "")
