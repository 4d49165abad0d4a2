"""Formulas as NumPy: what is written gives, when it is run, the numbers of every rule of every operation."""


from dataclasses import replace

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.formula_rules import every_rule, fresh, numbers
from helpers.op_samples import sample
from tinygrad_rnn import DeriveError
from tinygrad_rnn.derive import standalone_numpy as standing_alone
from tinygrad_rnn.derive.helpers import head, helpers
from tinygrad_rnn.engine.declaration import PRODUCT, SUM
from tinygrad_rnn.engine.op import OPS
from tinygrad_rnn.errors import FormulaError
from tinygrad_rnn.formula import Constant, Expr, Leaf, known, local_derivative, numpy_printer, postorder, simplified
from tinygrad_rnn.formula.printer import Piece, infix


class Open(numpy_printer.Writer):
    """All helpers that there are."""

    def knows(self, name):
        return name in OPS or name in helpers()


WRITERS = {"with helpers": Open, "standing alone": standing_alone.Writer}


def unsaid(root, kind):
    """Is there an array of its own in a formula, or a function that nobody has written down?"""
    for part in postorder(root):
        if isinstance(part, Constant) and np.ndim(part.value) and len(np.unique(part.value)) != 1:
            return True
        if isinstance(part, Expr):
            index = part.attrs.get("index", ())
            entries = index if isinstance(index, tuple) else (index,)
            traits = OPS[part.op].traits if part.op in OPS else None
            own = traits and not (traits.helper or traits.text or traits.code or traits.form in numpy_printer.FORMS)
            if any(isinstance(one, (Leaf, np.ndarray)) for one in entries):
                return True
            if own and kind == "standing alone" and not hasattr(np, part.op):
                return True
    return False


def run(writer, text, values):
    """What a text comes to, with no more at hand than what it says that it needs."""
    space = {"np": np}
    exec("\n".join(head(name for name in writer.helpers if name in helpers())), space)
    if isinstance(writer, Open):
        space.update({name: OPS[name].function for name in writer.helpers if name in OPS})
    return eval(text, {**space, **values})


def holds(kind, spec, case, k):
    """Write the rule, run it on other numbers, and hold it against the rule itself."""
    formula = local_derivative(spec, k, sample(spec, case).xs, case.attrs)
    xs = fresh(spec, case)
    dy = np.random.default_rng(5).standard_normal(np.shape(known(spec, xs, case.attrs)["y"]))
    expected, values = numbers(spec, k, xs, case.attrs, dy)
    for form in (formula, simplified(formula)):
        writer = WRITERS[kind]({}, {})
        if unsaid(form, kind):
            with pytest.raises(FormulaError):
                writer.text(form)
            continue
        got = np.asarray(run(writer, writer.text(form), {**values, "xs": xs}), float)
        np.testing.assert_allclose(*np.broadcast_arrays(got, expected), rtol=1e-11, atol=1e-13)


@pytest.mark.sampled(every=4, by=lambda spec, case, k, kind: [(spec.name, k, kind)])
@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(("spec", "case", "k"), list(every_rule()))
def test_the_text_gives_the_numbers_of_the_rule(spec, case, k, kind):
    holds(kind, spec, case, k)


#: A style that is wrong, and a case in which that shows.
PLANTED = {
    "an exponent forgotten": ("square", lambda w, node, parts: parts[0], "tanh"),
    "parentheses forgotten": ("product", infix("*", PRODUCT, SUM, SUM), "tanh"),
    "a sign forgotten": ("negative", lambda w, node, parts: parts[0], "cos"),
    "a quotient upside down": ("quotient", lambda w, node, parts: Piece(f"{parts[1].text} / {parts[0].text}"), "log"),
    "an axis forgotten": ("reduction", lambda w, node, parts: Piece(f"{parts[0].text}.sum()"), "softmax"),
    "an array written as its number": ("einsum", lambda w, node, parts: Piece(
        f"np.einsum('{node.attrs['subscripts']}', {', '.join(one.text for one in parts)})"), "einsum"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_a_wrong_style_is_noticed(name, monkeypatch):
    form, style, seen_in = PLANTED[name]
    cases = [one.values for one in every_rule() if one.values[0].name == seen_in]
    for spec, case, k in cases:
        holds("with helpers", spec, case, k)
    monkeypatch.setitem(numpy_printer.FORMS, form, style)
    with pytest.raises((AssertionError, ValueError)):
        for spec, case, k in cases:
            holds("with helpers", spec, case, k)


x, h = Leaf("x", (3, 124)), Leaf("h", (3, 31))


@pytest.mark.parametrize(("part", "said", "used"), [
    (Expr("getitem", (x,), {"index": (..., slice(31, 62))}, (3, 31)), "x[:, H:2 * H]", ["H"]),
    (Expr("getitem", (x,), {"index": (..., slice(93, 124))}, (3, 31)), "x[:, 3 * H:]", ["H"]),
    (Expr("getitem", (h,), {"index": (slice(None), slice(1, 30))}, (3, 29)), "h[:, 1:H - 1]", ["H"]),
    (Expr("getitem", (Leaf("k", (9,)),), {"index": slice(0, 8)}, (8,)), "k[:8]", []),
    (Expr("divide", (x, Constant(124)), {}, (3, 124)), "x / (4 * H)", ["H"]),
    (Expr("transpose", (x,), {"axes": np.array([1, 0])}, (124, 3)), "x.T", []),
    (Expr("roll", (h,), {"shift": np.array([1, 2]), "axis": None}, (3, 31)), "np.roll(h, shift=(1, 2))", []),
    (Expr("matmul", (h, Constant(np.ones((31, 7)))), {}, (3, 7)), "h @ np.full((H, 7), 1.0)", ["H"]),
])  # fmt: skip
def test_sizes_are_written_by_their_letters(part, said, used):
    writer = numpy_printer.Writer({"H": 31}, {})
    assert (writer.text(part), list(writer.used)) == (said, used)


def test_what_a_writer_does_not_know_is_refused():
    for part, why in [
        (Expr("scatter", (h,), {"index": (0,)}, (5, 3, 31)), "put is not in the table of what is written in NumPy"),
        (Expr("add", (h, Constant(np.arange(3)))), r"an array of shape \(3,\) is no formula"),
        (Expr("getitem", (h,), {"index": Leaf("ids")}), "an index of type Leaf is no formula"),
        (Expr("take", (h,), {"indices": Leaf("ids")}), "indices is an array, which is no formula"),
    ]:
        with pytest.raises(FormulaError, match=why):
            numpy_printer.Writer({}, {}).text(part)


def test_derive_says_of_which_cell(monkeypatch):
    monkeypatch.setattr(OPS["sigmoid"], "traits", replace(OPS["sigmoid"].traits, helper=""))
    with pytest.raises(DeriveError, match="lstm: sigmoid is not in the table of what is written in NumPy"):
        tg.derive(tg.lstm)
