"""Declaring an operation: a name means one thing, and belongs to one operation; what is not clear is refused."""

import ast
import inspect
import linecache
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.engine.codegen import source
from tinygrad_rnn.engine.declaration import PRODUCT
from tinygrad_rnn.engine.numpy_protocol import FUNCTIONS, UFUNCS
from tinygrad_rnn.engine.op import COMPOSITES, OPS, composite, op
from tinygrad_rnn.engine.op_signature import ENDINGS, RESERVED
from tinygrad_rnn.engine.shape import broadcast
from tinygrad_rnn.formula import Expr, Leaf, text


@pytest.fixture(autouse=True)
def nothing_is_left():
    """Every table is as it was, also where a declaration was refused half way."""
    tables = OPS, COMPOSITES, UFUNCS, FUNCTIONS
    before, attributes = [dict(table) for table in tables], dict(vars(tg.Tensor))
    yield
    assert {k: v for k, v in vars(tg.Tensor).items() if attributes.get(k) is not v} == {}
    for table, old in zip(tables, before, strict=True):
        for name in [name for name in table if name not in old]:
            assert name == "fine", "a refused declaration has left something"
            del table[name]
        assert table == old


def declared(signature, rule=None, **more):
    """An operation ``fine`` of this signature, with a rule for its first input."""
    names = {"np": np}
    exec(f"def fine({signature}): return np.asarray(0.0)", names)
    function = op(**more)(names["fine"])
    if rule is not None:
        function.vjp(**{function.spec.arguments[0]: rule})
    return function


def assert_refused(text, call, *args, **named):
    with pytest.raises((TypeError, ValueError)) as caught:
        call(*args, **named)
    assert f"{type(caught.value).__name__}: {caught.value}" == text


MEANS = "InvalidType: op fine: {} means something else to rules and the engine, should be another name"
WRONG_NAMES = ["y", "i", "xs", "node", "error", "isinstance", "Exception", "_spec", "_new", "_x",
               "x_shape", "x_array", "x_node", "x_rule"]  # fmt: skip


@pytest.mark.parametrize("name", WRONG_NAMES)
def test_a_name_that_means_something_else_is_refused(name):
    for signature in (f"x, {name}", f"{name}, x", f"x, *, {name}=1.0", f"x, *, {name}"):
        assert_refused(MEANS.format(name), declared, signature)
    assert_refused(MEANS.format(name), declared, "x", keeps=[name])
    if not name.startswith("x_"):
        text = MEANS.format(name)
        if name != "xs":  # which is the very name for them
            assert_refused(text, declared, f"*{name}")


def test_every_name_in_what_recording_writes_is_reserved():
    spec = declared("x, w, *, n=1", lambda dy, x, w_shape, y, n: dy).spec
    nodes = list(ast.walk(ast.parse(source(spec))))
    used = [node.id for node in nodes if isinstance(node, ast.Name)]
    used += [node.name for node in nodes if isinstance(node, (ast.ExceptHandler, ast.FunctionDef))]
    derived = [name + ending for name in ("x", "w") for ending in ("", *ENDINGS)]
    others = [name for name in used if not name.startswith("_") and name not in (*derived, "n", "fine")]
    assert "y" in others and [name for name in others if name not in RESERVED] == []


@pytest.mark.parametrize(
    "signature", ["x, w, *, axis=None", "dy, x", "*xs", "*arrays, axis=0", "x, shape", "array, x, *, rule"]
)
def test_other_names_are_free(signature):
    assert declared(signature).spec.name == "fine"


def test_a_rule_gets_what_it_names():
    def fine(dy, x_index, *, index_y=3.0):
        return dy * x_index * index_y

    fine = op()(fine)
    fine.vjp(dy=lambda g, x_index, index_y: g * x_index * index_y, x_index=lambda g, dy, index_y: g * dy * index_y)
    assert tg.grad(fine, (0, 1))(2.0, 5.0) == (15, 6)
    np.testing.assert_array_equal(tg.hessian(lambda p: fine(p[0], p[1]))(np.array([2.0, 5.0])), [[0, 3], [3, 0]])


TAKES = "InvalidType: op fine: takes {}, should be an array, or an attribute of its own after a *"
NAMES = "InvalidType: op fine: {} names two of its inputs, attributes and saved values, should name one"
BELONGS = "InvalidValue: op {}: {} belongs to another operation already, should be free"
NO_NAME = "InvalidType: op: {} cannot name an operation, should be a name that is free: op(name=...)"
NO_TRAIT = (
    "InvalidType: op fine: colour is no trait, should be one of form, text, unicode, code, latex, helper, stem, cost, "
    "activation, limits, branches"
)
DECLARATIONS = {
    "kept attribute": ("x, *, n=1", {"keeps": ["n"]}, NAMES.format("n")),
    "kept input": ("x", {"keeps": ["x"]}, NAMES.format("x")),
    "default": ("x, w=3.0", {}, TAKES.format("w=3.0")),
    "keywords": ("x, **more", {}, TAKES.format("**more")),
    "more": ("x, *w", {}, "InvalidType: op fine: takes x and *w, should take *w alone, or so many arrays"),
    "existing": ("x", {"name": "tanh"}, BELONGS.format("tanh", "the name tanh")),
    "composite": ("x", {"name": "vstack"}, BELONGS.format("vstack", "the name vstack")),
    "operator": ("x, w", {"operator": "add"}, BELONGS.format("fine", "the operator add")),
    "in place": ("x, w", {"operator": "iadd"}, BELONGS.format("fine", "the operator iadd")),
    "ufunc": ("x", {"numpy": [np.exp]}, BELONGS.format("fine", "np.exp")),
    "function": ("x", {"numpy": [np.sum]}, BELONGS.format("fine", "np.sum")),
    "no name": ("x", {"name": "<lambda>"}, NO_NAME.format("<lambda>")),
    "keyword": ("x", {"name": "lambda"}, NO_NAME.format("lambda")),
    "trait": ("x", {"colour": "red"}, NO_TRAIT),
    "builtin": ("x", {"name": "isinstance"}, NO_NAME.format("isinstance")),
}


@pytest.mark.parametrize(("signature", "more", "text"), DECLARATIONS.values(), ids=DECLARATIONS)
def test_a_declaration_that_is_not_clear_is_refused(signature, more, text):
    assert_refused(text, declared, signature, **more)
    x = tg.tensor(0.5)
    assert [float(f(x)) for f in (np.tanh, np.exp, np.sum)] == [np.tanh(0.5), np.exp(0.5), 0.5]
    assert float(x + 1) == 1.5


@pytest.mark.parametrize(
    ("rule", "takes"), [(lambda: 1.0, "nothing"), (lambda *a: 1.0, "*a"), (lambda dy, **k: dy, "dy, **k")]
)
def test_a_rule_that_does_not_name_what_it_needs_is_refused(rule, takes):
    text = f"InvalidType: fine.vjp: the rule for x takes {takes}, should take dy and what it needs"
    assert_refused(text, declared, "x", rule)


def test_the_same_declaration_may_be_run_again():
    """As a notebook does, or a reload."""
    for factor in (2.0, 3.0):

        def fine(x, *, factor=factor):
            return x * factor

        op()(fine)
        assert float(OPS["fine"].function(2.0)) == 2 * factor


def test_a_composite_does_not_take_the_place_of_another():
    def vstack(x):
        return x

    assert_refused(BELONGS.format("vstack", "the name vstack"), composite(), vstack)
    vstack.__name__ = "fine"
    assert_refused(BELONGS.format("fine", "np.exp"), composite(numpy=np.exp), vstack)


@pytest.mark.parametrize("call", [
    lambda f, x: f(x, x), lambda f, x: f(np.ones(2), x), lambda f, x: tg.grad(lambda x: tg.sum(f(x, x)))(x),
])  # fmt: skip
def test_an_input_without_a_rule_is_refused_where_it_needs_a_gradient(call):
    fine = declared("x, w", lambda dy: dy)
    text = "fine: w needs a gradient and has no rule, should have fine.vjp(w=...); w.detach() is a constant"
    assert_refused(f"InvalidType: {text}", call, fine, tg.tensor(np.ones(2), requires_grad=True))
    with tg.no_grad():
        fine(tg.tensor(np.ones(2)), tg.tensor(np.ones(2), requires_grad=True))


@pytest.mark.parametrize("lift", [np.asarray, tg.tensor], ids=["array", "tensor"])
def test_a_forward_that_returns_nothing_is_refused(lift):
    def fine(x):
        x * 2

    text = "InvalidType: fine: returned None, should return an array; is a return missing?"
    assert_refused(text, op()(fine), lift(np.ones(2)))


def test_a_traceback_shows_the_lines_of_a_written_function():
    with pytest.raises(ValueError, match="matmul: d is 3 in x") as caught:
        tg.matmul(np.ones((2, 3)), np.ones((4, 5)))
    shown = "".join(traceback.format_exception(caught.value))
    assert 'File "<operation matmul>"' in shown
    assert "    except Exception as error: _refuse(error, (x_array, w_array, ), _nothing)\n" in shown


def test_source_of_operations_is_held_once_each():
    def held():
        return [name for name in linecache.cache if name.startswith("<operation ")]

    before = [*held(), "<operation fine>"]
    for _ in range(3):
        declared("x, w", lambda dy, w: dy * w)(1.0, 2.0)
    assert dict.fromkeys(held()) == dict.fromkeys(before)
    linecache.checkcache()
    assert len(held()) == len(dict.fromkeys(before))


def product():
    """An operation whose code no call has generated."""

    def fine(x, w):
        return x * w

    return op()(fine)


def test_code_is_generated_at_the_first_call_and_again_for_a_new_rule():
    linecache.cache.pop("<operation fine>", None)
    fine = product()
    fine.vjp(x=lambda dy, w: dy * w)
    assert str(inspect.signature(fine)) == "(x, w)" and "<operation fine>" not in linecache.cache
    x = tg.tensor(np.ones(2), requires_grad=True)
    fine(x, 2.0).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0] and "<operation fine>" in linecache.cache
    fine.vjp(x=lambda dy, w: dy * w * 3)
    fine(x, w=2.0).sum().backward()
    assert x.grad.tolist() == [8.0, 8.0]
    assert str(inspect.signature(fine)) == "(x, w)"


def test_first_calls_in_several_threads():
    for _ in range(20):
        fine = product()
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda k, fine=fine: float(fine(k, 2.0)), range(8))) == [2.0 * k for k in range(8)]


# -- what an operation knows of itself stands on its declaration -----------------------------------------------------

PACKAGE = Path(tg.__file__).parent
#: The rooms of operations, and algebra: identities that hold between operations, which belong to none of them alone.
MAY_NAME_OPERATIONS = (
    "ops/", "formula/simplify.py", "formula/from_rule.py", "check/debugger/", "draw/model/", "sequence/plan/",
    "sequence/jit/",
)  # fmt: skip


def lists_of_operations(text):
    """Every literal tuple, list, set or dict of which more than half are names of operations, two at least."""
    for node in ast.walk(ast.parse(text)):
        entries = node.elts if isinstance(node, (ast.Tuple, ast.List, ast.Set)) else getattr(node, "keys", [])
        names = [entry.value for entry in entries if isinstance(entry, ast.Constant) and isinstance(entry.value, str)]
        known = [name for name in names if name in OPS]
        if len(known) > 1 and 2 * len(known) > len(names):
            yield known


OTHER_LISTS = [["sum", "negative"], ["negative", "positive"], ["min", "max"]]  # notation, labels of reviews, extremes
#: Roles in the book's form of a picture, which are called as operations are.
ROLES = [["matmul", "einsum"], ["add", "subtract"], ["multiply", "divide", "hadamard"], ["slice", "affine"],
         ["affine", "slice"], ["affine", "affine"]]  # fmt: skip


def test_no_tool_has_a_list_of_operations():
    for file in sorted(PACKAGE.rglob("*.py")):
        if not file.relative_to(PACKAGE).as_posix().startswith(MAY_NAME_OPERATIONS):
            lists = lists_of_operations(file.read_text(encoding="utf-8"))
            assert [names for names in lists if names not in OTHER_LISTS + ROLES] == [], file


@pytest.mark.parametrize("text", ['GATES = ("tanh", "sigmoid")', '{"add": 1, "multiply": 2, "x": 3}', '["exp", "log"]'])
def test_a_list_of_operations_is_noticed(text):
    assert len(list(lists_of_operations(text))) == 1
    assert list(lists_of_operations('("tanh", "x")')) == []


def test_an_operation_of_the_user_is_written_as_it_declares():
    @op(broadcast, name="fine", numpy=[], unicode="⟨{x}⟩", latex=r"\langle{{x}}\rangle", form="quotient", stem="half",
        code=("{x:PRODUCT} / 2", PRODUCT), activation=True, limits=(0, 1))  # fmt: skip
    def fine(x):
        return x / 2

    fine.vjp(x=lambda dy: dy / 2)

    @tg.cell
    def halved(x, h, *, W=tg.Param("D H")):
        s = fine(x @ W + h)
        h = tg.tanh(s)
        return h

    derived = tg.derive(halved)
    assert "s = (x @ W + h) / 2\n" in derived.source and "dA_s = ds / 2\n" in derived.source
    assert r"s &= \langle{x_t \, W + h_{t-1}}\rangle" in derived.latex
    assert text(Expr("fine", (Leaf("x"),))) == "⟨x⟩"
