"""Random programs over the operations that PyTorch has too: its values, first and second derivatives are ours."""

import re

import numpy as np
import pytest

from helpers.random import elementwise, graphs
from helpers.random.sweeps import assert_all_right
from helpers.random.ways import by_hvp, by_total

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

NAMES = [spec.name for spec in elementwise.UNARY + elementwise.BINARY if hasattr(torch, spec.name)]
NAMES += ["matmul", "softmax_cross_entropy", "kron"]
NAMES.remove("remainder")  # has no derivative by its second operand there


class Torch:
    """``F.name(...)`` in PyTorch."""

    softmax_cross_entropy = staticmethod(lambda x, labels: _mean_of_counted(x, labels))
    sum = staticmethod(torch.sum)

    def __getattr__(self, name):
        function = getattr(torch, ALIASES.get(name, name))
        return lambda *args: function(*(a if isinstance(a, torch.Tensor) else in_float64(a) for a in args))


def in_float64(x):
    """PyTorch makes float32 of numbers and of integers."""
    return torch.tensor(x, dtype=torch.float64)


ALIASES = {"radians": "deg2rad", "degrees": "rad2deg", "conjugate": "positive", "fabs": "abs"}


def _mean_of_counted(x, labels):
    labels = torch.as_tensor(labels.astype(np.int64)).reshape(-1)
    rows = x.reshape(-1, x.shape[-1])
    total = torch.nn.functional.cross_entropy(rows, labels, ignore_index=-1, reduction="sum")
    return total / max(int((labels != -1).sum()), 1)


def in_both(name, seed):
    """A program of the seed that PyTorch can run as it is written, or None."""
    program = graphs.build(2 * seed, name)
    plain = not any(re.search(r"\[|None|np\.(float|inf)|\*\*|axes|reduce|outer", line.ours) for line in program.lines)
    known = all(line.subject in [*NAMES, "squash"] for line in program.lines)
    near_0 = any(leaf.array.size and np.abs(leaf.array).min() < 0.01 for leaf in program.leaves)
    if name == "sinc" and near_0:  # where the second derivative of PyTorch has few digits
        return None
    floats = all(leaf.array.dtype == float or leaf.array.dtype.kind != "f" for leaf in program.leaves)
    return program if plain and known and floats else None


def loss_of(program, tensors):
    names, values = {"F": Torch(), "np": Torch()}, iter(tensors)
    for leaf in program.leaves:
        labels = leaf.array.dtype.kind != "f" and "cross_entropy" in program.lines[0].ours
        array = leaf.array if labels else in_float64(leaf.array)
        names[leaf.name] = next(values) if leaf.tracked else array
    for line in program.lines:
        exec(line.ours, names)
    return sum((names[y] * torch.tensor(dy)).sum() for y, dy in zip(program.outputs, program.weights))


def failure(name, seed):
    program = in_both(name, seed)
    if program is None:
        return ""
    xs = [torch.tensor(np.array(leaf.array), requires_grad=True) for leaf in program.tracked]
    vs = [np.ones(leaf.array.shape) for leaf in program.tracked]
    first = torch.autograd.grad(loss_of(program, xs), xs, create_graph=True, allow_unused=True, materialize_grads=True)
    slope = sum((g * torch.tensor(v)).sum() for g, v in zip(first, vs))
    second = [torch.zeros_like(x) for x in xs]
    if slope.requires_grad:
        second = torch.autograd.grad(slope, xs, allow_unused=True, materialize_grads=True)
    for what, ours, theirs in (("gradient", by_total(program), first), ("hvp", by_hvp(program, vs), second)):
        for a, b in zip(ours, theirs):
            b = b.detach().numpy(force=True)
            if np.abs(a - b).max(initial=0) > 1e-9 * max(1.0, np.abs(b).max(initial=0)):
                return f"{what}: {np.asarray(a).tolist()}, PyTorch's is {b.tolist()}\n{program.source()}"
    return ""


@pytest.mark.parametrize("name", NAMES)
def test_pytorch_gives_the_same(name, trials):
    assert_all_right(lambda seed: failure(name, seed), range(trials(4, 300)))


def test_most_of_these_operations_are_compared():
    compared = [name for name in NAMES if any(in_both(name, seed) for seed in range(8))]
    assert len(compared) > 50, compared
