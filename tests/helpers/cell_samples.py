"""Inputs for the tests of cells: sizes that cannot be mixed up, and every parameter away from its special values."""

from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.cells.builtin import BUILT_IN

D, H, T = 3, 4, 6
CELLS = list(BUILT_IN.values())

#: short rows, one of them of no step at all
LENGTHS = np.array([0, 3, T, 1, 5])


def sample(cell, N=5, T=T, dtype=np.float64, seed=0, **sizes):
    """xs, a state and parameters for ``cell``, as arrays; biases and gains are random too."""
    rng = np.random.default_rng(seed)
    sizes = {word: {"D": D, "H": H, **sizes}[word] for param in cell.params.values() for word in param.words}
    params = {
        name: rng.normal(0.2, 0.7, param.shape(sizes)).astype(dtype) for name, param in cell.params.items()
    }
    shapes = [tuple({"N": N, "D": D, **sizes}[word] for word in cell.words[name]) for name in cell.states]
    state = tuple(rng.normal(0, 0.8, shape).astype(dtype) for shape in shapes)
    return SimpleNamespace(xs=rng.normal(0, 1, (N, T, D)).astype(dtype), state=state, params=params)


def leaves(params):
    """The parameters as Tensors that require grad."""
    return {name: tg.tensor(array, requires_grad=True) for name, array in params.items()}


def scanned(cell, seed=1, **options):
    """A loss to which every output of `scan` contributes: f(xs, state, params) -> Σ weights ⊙ (hs, last state)."""

    def loss(xs, state, params):
        hs, last = tg.scan(cell, xs, state, params, **options)
        rng = np.random.default_rng(seed)
        parts = [tg.sum(output * rng.normal(size=output.shape)) for output in (hs, *last)]
        return sum(parts[1:], parts[0])

    return loss


def looped(cell, seed=1):
    """`scanned` by the loop in the docstring of `scan`."""

    def loss(xs, state, params):
        hs = []
        for t in range(xs.shape[1]):
            new = cell(xs[:, t], *state, **params)
            state = new if isinstance(new, tuple) else (new,)
            hs.append(state[0])
        rng = np.random.default_rng(seed)
        parts = [tg.sum(output * rng.normal(size=output.shape)) for output in (tg.stack(hs, axis=1), *state)]
        return sum(parts[1:], parts[0])

    return loss


def everything(f, s):
    """The gradients by xs, state and params."""
    return tg.grad(f, argnums=(0, 1, 2))(s.xs, s.state, s.params)


def flat(tree):
    """The arrays of a tree of tuples and dicts, by path."""
    if isinstance(tree, dict):
        return {f"{key}.{path}": array for key, sub in tree.items() for path, array in flat(sub).items()}
    if isinstance(tree, (tuple, list)):
        return {f"{k}.{path}": array for k, sub in enumerate(tree) for path, array in flat(sub).items()}
    return {"": tree.numpy() if isinstance(tree, tg.Tensor) else np.asarray(tree)}


def assert_same(actual, expected, rtol=0.0, atol=0.0):
    """Equal trees: bit for bit if no tolerance is given."""
    actual, expected = flat(actual), flat(expected)
    assert list(actual) == list(expected)
    for path, array in actual.items():
        np.testing.assert_allclose(array, expected[path], rtol=rtol, atol=atol, err_msg=path)


def assert_gradients(f, args, rtol=1e-8, eps=4e-5, seed=2):
    """Each gradient of f against differences along a random direction, of fourth order: the error is O(eps⁴)."""
    grads = flat(tg.grad(f, argnums=tuple(range(len(args))))(*args))
    rng = np.random.default_rng(seed)
    leaves = flat(args)
    for path in leaves:
        v = {key: rng.normal(size=array.shape) if key == path else 0 for key, array in leaves.items()}
        near, far = (float(f(*moved(args, v, k * eps))) - float(f(*moved(args, v, -k * eps))) for k in (1, 2))
        numeric = (8 * near - far) / (12 * eps)
        exact = float(np.sum(grads[path] * v[path]))
        assert abs(exact - numeric) <= rtol * max(1, abs(exact), abs(numeric)), (path, exact, numeric)


def assert_second_derivatives(f, args, rtol=1e-7, eps=4e-5, seed=2):
    """The Hessian by all arguments at once, times a random direction, against differences of gradients."""
    rng = np.random.default_rng(seed)
    v = {path: rng.normal(size=array.shape) for path, array in flat(args).items()}
    gradient = tg.grad(f, argnums=tuple(range(len(args))))
    ahead, back, far, behind = (flat(gradient(*moved(args, v, k * eps))) for k in (1, -1, 2, -2))
    for path, array in flat(tg.hvp(f, args, moved(args, v, 1.0, keep=0))).items():
        numeric = (8 * (ahead[path] - back[path]) - (far[path] - behind[path])) / (12 * eps)
        np.testing.assert_allclose(array, numeric, rtol=rtol, atol=rtol * max(1, np.abs(numeric).max()), err_msg=path)


def moved(tree, v, eps, path="", keep=1):
    """The tree with eps · v added, leaf by leaf; with keep=0 the direction eps · v alone, as such a tree."""
    if isinstance(tree, dict):
        return {key: moved(sub, v, eps, f"{path}{key}.", keep) for key, sub in tree.items()}
    if isinstance(tree, (tuple, list)):
        return tuple(moved(sub, v, eps, f"{path}{k}.", keep) for k, sub in enumerate(tree))
    return keep * np.asarray(tree) + eps * np.asarray(v[path])


def refusal(run, *args, **kwargs):
    """The error that a call raises, as 'Type: text'."""
    with pytest.raises(Exception) as caught:
        run(*args, **kwargs)
    return f"{caught.type.__name__}: {caught.value}"
