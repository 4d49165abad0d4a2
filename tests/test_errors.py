"""What a caller does wrong raises one of our errors, which is also of the builtin kind that NumPy would raise."""

import ast
import builtins
import inspect
import pickle
from pathlib import Path

import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import errors

ROOT = Path(tg.__file__).parent
CLASSES = [error for _, error in inspect.getmembers(errors, inspect.isclass)]
BUILTINS = [error for error in vars(builtins).values() if isinstance(error, type) and issubclass(error, Exception)]
#: Raised inside of a function, not to a caller.
INTERNAL = {"StopIteration"}


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_every_error_is_also_a_builtin_one(error):
    assert issubclass(error, errors.Error)
    if error is not errors.Error:
        assert [kind for kind in error.__mro__ if kind in BUILTINS and kind is not Exception]
    assert str(error("where: what is")) == "where: what is"
    assert str(pickle.loads(pickle.dumps(error("text")))) == "text"


def raised(source: str) -> list[str]:
    """The names of the builtin errors that a module raises, each with its line."""
    calls = [node.exc for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Raise) and node.exc is not None]
    names = [(getattr(call.func if isinstance(call, ast.Call) else call, "id", ""), call.lineno) for call in calls]
    kinds = {error.__name__ for error in BUILTINS if not issubclass(error, OSError)} - INTERNAL
    return [f"{line}: {name}" for name, line in names if name in kinds]


def test_no_builtin_error_is_raised_to_a_caller():
    wrong = {path.name: raised(path.read_text(encoding="utf-8")) for path in sorted(ROOT.rglob("*.py"))}
    assert {name: lines for name, lines in wrong.items() if lines} == {}


@pytest.mark.parametrize(("source", "found"), [
    ("raise ValueError('x')", ["1: ValueError"]), ("raise KeyError", ["1: KeyError"]), ("raise", []),
    ("raise FileNotFoundError('x')", []), ("raise error", []),
    ("raise NotImplementedError", ["1: NotImplementedError"]),
])  # fmt: skip
def test_a_builtin_error_is_noticed(source, found):
    assert raised(source) == found


@pytest.mark.parametrize(("call", "builtin"), [
    (lambda: tg.Tensor(tg.tensor(1.0)), TypeError), (lambda: tg.matmul([[1.0]], [1.0, 2.0]), ValueError),
    (lambda: tg.add([1.0, 2.0], [1.0, 2.0, 3.0]), ValueError), (lambda: tg.embedding([[1.0]], [3]), IndexError),
    (lambda: tg.tensor(1.0).backward(), RuntimeError), (lambda: tg.grad(lambda x: x)([1.0, 2.0]), ValueError),
])  # fmt: skip
def test_refusals_are_both(call, builtin):
    with pytest.raises(errors.Error) as caught:
        call()
    assert isinstance(caught.value, builtin)
