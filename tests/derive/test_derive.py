"""derive: what is printed runs, equals autograd, and reads like the book."""

import argparse
import gc
import linecache
import re
import subprocess
import sys
import traceback
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers import user_cells
from helpers.user_cells import CELLS, WRAPPED, gatewise, helped, names, reused, wide
from tinygrad_rnn import Param, cell, dropout, tanh
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.cli import derive as command
from tinygrad_rnn.derive import derive
from tinygrad_rnn.derive.symbols import symbol
from tinygrad_rnn.derive.wrap_lines import broken_row, seen, wrapped
from tinygrad_rnn.engine.op import OPS, OpRule
from tinygrad_rnn.engine.tensor import Tensor
from tinygrad_rnn.errors import DeriveError
from tinygrad_rnn.tracing.sample import letters, sample

ALL = [*BUILT_IN.values(), *WRAPPED, *CELLS]
IDS = [one.name for one in ALL]
SIZES = [(3, 4, 5, 2), (1, 2, 3, 5), (2, 7, 1, 3)]


def arguments(one, at, dtype):
    """Random arguments at sizes N, D, H, P; D is H where a residual asks for it."""
    rng = np.random.default_rng(7)
    sizes = dict(zip(letters(one), at))
    if "residual" in one.name:
        sizes["D"] = sizes["P"] if "P" in sizes else sizes["H"]
    given = {name: array.astype(dtype) for name, array in sample(one, rng, sizes).items()}
    return given, [rng.standard_normal(given[name].shape).astype(dtype) for name in one.states]


def by_hand(one, given, dys, derived):
    """The new state and the gradients of the printed code."""
    title = re.sub(r"\W+", "_", one.name).strip("_")
    args = list(given.values())
    count = 1 + len(one.states)
    forward, backward = derived.functions[f"{title}_forward"], derived.functions[f"{title}_backward"]
    state, cache = forward(*args[:count], **dict(zip(forward.__kwdefaults__ or kwonly(forward), args[count:])))
    return state if isinstance(state, tuple) else (state,), backward(*dys, cache)


def kwonly(f):
    code = f.__code__
    return code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]


@pytest.mark.sampled(every=6)
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 2e-4)])
@pytest.mark.parametrize("at", SIZES)
@pytest.mark.parametrize("one", ALL, ids=IDS)
def test_the_printed_code_equals_autograd(one, at, dtype, tolerance):
    given, dys = arguments(one, at, dtype)
    state, found = by_hand(one, given, dys, derive(one))
    leaves = {name: Tensor(np.array(array), requires_grad=True) for name, array in given.items()}
    args = [leaves[name] for name in [one.input, *one.states]]
    new = one(*args, **{name: leaves[name] for name in one.params})
    new = new if isinstance(new, tuple) else (new,)
    (sum((got * dy).sum() for got, dy in zip(new, dys))).backward()
    assert list(found) == [f"d{name}" for name in given]
    for got, want in zip(state, new):
        np.testing.assert_allclose(got, want.detach().numpy(), rtol=tolerance, atol=tolerance)
    for name, leaf in leaves.items():
        want = np.zeros_like(given[name]) if leaf.grad is None else leaf.grad
        assert found[f"d{name}"].dtype == dtype
        np.testing.assert_allclose(found[f"d{name}"], want, rtol=tolerance, atol=tolerance * max(1, abs(want).max()))


@pytest.mark.parametrize("one", [*BUILT_IN.values(), gatewise, names], ids=lambda one: one.name)
def test_the_loop_over_time_equals_autograd(one):
    """Also checked inside, before anything is shown; here with other numbers, from the printed text alone."""
    derived = derive(one, loop=True)
    space = {}
    exec(derived.source, space)
    given, dys = arguments(one, (2, 4, 3, 5), np.float64)
    rng = np.random.default_rng(3)
    xs, dhs = rng.standard_normal((2, 5, 4)), rng.standard_normal((2, 5, 3))
    states = [given[name] for name in one.states]
    keys = kwonly(space[f"{one.name}_forward"])
    params = dict(zip(keys, [given[name] for name in one.params]))
    found = space[f"{one.name}_bptt"](xs, *states, params, dhs, *dys)
    leaves = {name: Tensor(np.array(array), requires_grad=True) for name, array in {**given, one.input: xs}.items()}
    hs, last = tg.scan(one, leaves[one.input], tuple(leaves[n] for n in one.states), {n: leaves[n] for n in one.params})
    last = last if isinstance(last, tuple) else (last,)
    ((hs * dhs).sum() + sum((got * dy).sum() for got, dy in zip(last, dys))).backward()
    for name, leaf in leaves.items():
        got = found["dxs" if name == one.input else f"d{name}"]
        np.testing.assert_allclose(got, leaf.grad, rtol=1e-11, atol=1e-12)


# -- what it reads like ----------------------------------------------------------------------------------------------


def test_the_lstm_is_the_books():
    text = derive(tg.lstm).source
    for line in ["do = dh * tanh_c", "dc = dc + dh * o * (1 - tanh_c**2)", "df = dc * c", "dc_prev = dc * f",
                 "dWh = h.T @ dA", "dWx = x.T @ dA", "db = dA.sum(axis=0)", "dh_prev = dA @ Wh.T", "dx = dA @ Wx.T",
                 "dA = np.hstack((df * f * (1 - f), dg * (1 - g**2), di * i * (1 - i), do * o * (1 - o)))",
                 "f = sigmoid(A[:, :H])",
                 'return {"dx": dx, "dh": dh_prev, "dc": dc_prev, "dWx": dWx, "dWh": dWh, "db": db}']:  # fmt: skip
        assert f"    {line}\n" in text


def test_gates_are_stacked_as_declared():
    text = derive(gatewise).source
    assert "dWx = np.hstack((dWx_f, dWx_g, dWx_i, dWx_o))" in text
    assert "    Wx_f, Wx_g, Wx_i, Wx_o = np.split(Wx, 4, axis=1)\n" in text
    assert "    b_f, b_g, b_i, b_o = np.split(b, 4)\n" in text


def test_the_gru_is_the_books():
    text = derive(tg.gru).source
    for line in ["dh_new = dh * z", "dz = dh * (h_new - h)", "dA_h = dh_new * (1 - h_new**2)", "dr = drh * h",
                 "dWh_h = (r * h).T @ dA_h", "z = sigmoid(x @ Wx_z + h @ Wh_z + b_z)",
                 "dh_prev = dh * (1 - z) + drh * r + dA_r @ Wh_r.T + dA_z @ Wh_z.T"]:  # fmt: skip
        assert f"    {line}\n" in text


def test_layer_normalisation_is_the_textbooks():
    """In the names of the function that the cell calls; what is divided already is not divided again."""
    text = derive(tg.layer_norm_lstm).source
    for line in ["d = xWx - xWx.mean(axis=-1, keepdims=True)", "d_2 = hWh - hWh.mean(axis=-1, keepdims=True)",
                 "dd = (dratio - ratio * (dratio * ratio).mean(axis=-1, keepdims=True)) / root",
                 "dxWx = dd - dd.mean(axis=-1, keepdims=True)"]:  # fmt: skip
        assert f"    {line}\n" in text
    text = derive(helped).source
    assert "    y_2 = a_2 / s_2\n" in text and "    y = a / s\n" in text
    assert "    ds = -(dy * y).sum(axis=-1, keepdims=True) / s\n" in text


def test_what_is_common_is_written_once():
    text = derive(reused).source
    assert "    ds = 2 * s * (dss + dss_2 + dA_tanh)\n" in text
    assert "    df = dh * (h_new - h) + dfh * h\n" in derive(tg.mgu).source
    zoned = derive(tg.zoneout(tg.lstm, h=0.1)).source
    assert "    dh_new = 0.9 * dh\n" in zoned and "    dh_prev = dh - dh_new + dA @ Wh.T\n" in zoned


def test_long_lines_are_broken_between_summands_and_pairs():
    lines = derive(wide, loop=True).source.splitlines()
    start = lines.index("    return {")
    pairs = [pair for line in lines[start + 1 : lines.index("    }", start)] for pair in line.strip().split(", ")]
    assert [pair.partition(":")[0] for pair in pairs][:3] == ['"dx"', '"dh"', '"dc"']
    assert all(re.fullmatch(r'"\w+": \w+,?', pair) for pair in pairs)
    inside = [line for k, line in enumerate(lines) if re.match(r"    d\w+ = \($", lines[k - 1])]
    assert inside and all(line.count("(") == line.count(")") for line in inside)
    after = [line.strip() for k, line in enumerate(lines) if lines[k - 1] in inside and line != "    )"]
    assert after and all(line[:2] in ("+ ", "- ") for line in after)


@pytest.mark.parametrize("line, broken", [
    ("a = b", ["a = b"]),
    ("a = f(x, y) * (b + c) + d - e", ["a = (", "    f(x, y) * (b + c)", "    + d - e", ")"]),
    ("dA = np.hstack((aaaaa, bbbbb, cc))", ["dA = np.hstack((", "    aaaaa, bbbbb, cc", "))"]),
    ("aaaa, bbbb, cccc, dddd, e = cache", ["(", "    aaaa, bbbb, cccc,", "    dddd, e", ") = cache"]),
    ("# a = aaaaaaaaaa * bbbbbbbbbb", ["# a = (", "#     aaaaaaaaaa", "#     * bbbbbbbbbb", "# )"]),
    ("y = aaaaaaaaaaaaaaaaaaaaaaaaaaaa", ["y = aaaaaaaaaaaaaaaaaaaaaaaaaaaa"]),
])  # fmt: skip
def test_a_line_is_broken_where_a_person_would(line, broken):
    assert wrapped(line, 24) == broken


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("one", ALL, ids=IDS)
def test_no_size_is_baked_in_and_each_line_stands_once(one):
    text = derive(one).source
    for part in text.split("\ndef ")[1:]:
        lines = [line.strip() for line in part.splitlines()[1:] if " = " in line and not line.strip().startswith("#")]
        assert len(lines) == len(dict.fromkeys(lines))
    if one.name != "numbers":
        assert re.findall(r"\b(?:23|29|31|37|46|58|62|93|124)\b", text) == []
    assert max(map(len, text.splitlines())) <= 120
    assert "`" not in text and "#1" not in text


def test_names_do_not_collide():
    text = derive(names).source
    assert "def names_forward(np_, sum, *, lambda_, cache_, H_2, def_):" in text
    assert derive(tg.zoneout(tg.lstm, h=0.1)).source.count("def zoneout_lstm_backward(dh, dc, cache):") == 1


def test_the_text_is_the_same_in_another_process():
    code = ("import tinygrad_rnn as tg; from tinygrad_rnn.derive import derive; import sys;"
            "d = derive(tg.peephole_lstm, loop=True); sys.stdout.write(d.source + d.latex + d.steps)")  # fmt: skip
    texts = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, encoding="utf-8",
                       env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(tg.__file__).parent.parent),
                            "PYTHONIOENCODING": "utf-8"}).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert texts[0] == texts[1] != ""


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("one", ALL, ids=IDS)
def test_latex_is_balanced_and_aligned(one):
    text = str(derive(one, form="latex"))
    rows = text.removeprefix("\\begin{aligned}\n").removesuffix("\n\\end{aligned}").split(" \\\\\n")
    assert text.count("{") == text.count("}") and text.count(r"\left") == text.count(r"\right")
    assert all(row.count("&") >= 1 for row in rows) and "#" not in text
    assert r"\mathrm{d}" in text


def test_latex_has_the_books_equations():
    for row in [r"c_t &= f \odot c_{t-1} + g \odot i", r"h_t &= o \odot \tanh(c_t)", r"f &= \sigma(A^{(f)})",
                r"\mathrm{d}o &= \mathrm{d}h_t \odot \tanh(c_t)",
                r"\mathrm{d}c_t &= \mathrm{d}c_t^{\mathrm{in}} + \mathrm{d}h_t \odot o \odot (1 - \tanh^2(c_t))",
                r"\mathrm{d}A^{(f)} &= \mathrm{d}f \odot f \odot (1 - f)",
                r"\mathrm{d}W_x &= x_t^{\mathsf{T}} \, \mathrm{d}A"]:  # fmt: skip
        assert f"{row} \\\\\n" in derive(tg.lstm).latex
    assert r"h_t &= \tanh(x_t \, W_x + h_{t-1} \, W_h + b) \\" in derive(tg.rnn).latex
    text = derive(tg.gru).latex
    assert r"z &= \sigma(x_t \, W_x^{(z)} + h_{t-1} \, W_h^{(z)} + b^{(z)}) \\" in text
    assert r"\mathrm{d}(r \odot h_{t-1}) &= \mathrm{d}A_h \, {W_h^{(h)}}^{\mathsf{T}} \\" in text


def test_gates_in_latex_stand_as_declared():
    text = derive(tg.lstm).latex
    blocks = r" \;\middle|\; ".join(rf"\mathrm{{d}}A^{{({gate})}}" for gate in "fgio")
    assert rf"\mathrm{{d}}A &= \left[\, {blocks} \,\right]" in text


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("one", ALL, ids=IDS)
def test_latex_shows_the_gradient_of_nothing_that_it_does_not_show(one):
    """dq stands left for what the equations read or define, for a formula, or for what a gate is a function of."""
    text = derive(one).latex
    equations, _, gradients = text.partition(r"& \text{gradients: }")
    rows = [row.partition(" &= ") for row in gradients.removesuffix("\n\\end{aligned}").split(" \\\\\n")[1:]]
    gradient = r"\mathrm{d}"
    names = [left.removeprefix(gradient) for left, _, right in rows if left.startswith(gradient) and right != "0"]
    unknown = [name for name in names if not name.startswith("(") and name not in equations]
    inside = [name for name in unknown if name.startswith("A_")]
    assert names and unknown == inside
    assert bool(inside) == (r"A_q \text{ is what }" in text)


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("one", ALL, ids=IDS)
def test_no_symbol_of_latex_has_two_meanings(one):
    left = [row.partition(" &= ")[0] for row in derive(one).latex.split(" \\\\\n") if " &= " in row]
    assert left == list(dict.fromkeys(left))


def test_a_wide_row_of_latex_is_broken_before_a_summand():
    row = r"\mathrm{d}h &= " + " + ".join(rf"\mathrm{{d}}A_{{{k}}} \, (a + b)" for k in range(12))
    parts = broken_row(row)
    assert len(parts) > 1 and all(seen(part) <= 90 for part in parts)
    assert all(part.startswith(r"&\qquad {} + \mathrm{d}A_") for part in parts[1:])
    assert broken_row("a &= b") == ["a &= b"]


HOSTILE = ["a_b^2", "50%", r"\input{x}", "{", "}", "$", "a\nb", "é", "λ_max", "日本", "\ud800", "x" * 300, "#1", "&",
           "~", "_", "''", "a b", "\u202e", "\\", "x.{", "<img src=x>", r"\end{aligned}", "a}{b"]  # fmt: skip


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("name", HOSTILE)
def test_latex_takes_any_name(name):
    @cell
    def own(x, h, *, Wx=Param("D H"), Wh=Param("H H")):
        a = x @ Wx + h @ Wh
        a.name, b = name, tg.sigmoid(a)
        b.name = f"{name}+"
        return tanh(a) * b

    derived = derive(own)
    text = derived.latex
    assert text.isascii() and text.count(r"\begin{") == text.count(r"\end{") and r"\input" not in text
    assert [len(re.findall(r"(?<!\\)&", row)) for row in text.split("\n")[1:-1]] == [1] * (text.count("\n") - 1)
    depth = 0
    for c in re.sub(r"\\[^A-Za-z]", "", text):
        depth += (c == "{") - (c == "}")
        assert depth >= 0 and c not in "$%#~"
    assert depth == 0
    mathtext = pytest.importorskip("matplotlib.mathtext").MathTextParser("path")
    mathtext.parse(f"${symbol(name)}$".replace(r"\&", "+"))  # which it does not know
    assert derived.source.encode() and derived.steps.encode() and "<img" not in text


def test_symbols_of_latex_that_differ_stay_two():
    names = ["a^b", "a&b", "a%b", "é", "e", "λ", "lambda", "日", "本", "a b", "ab"]
    assert len(dict.fromkeys(map(symbol, names))) == len(names)


@pytest.mark.parametrize(("given", "text"), [
    ("lstm", "derive: cell is a str, should be a cell: equations under @cell; write derive(lstm), without quotes"),
    ({"a": Tensor(1.0)}, "derive: cell is a dict, should be a cell: equations under @cell"),
    ([tg.lstm], "derive: cell is a list, should be a cell: equations under @cell; an item fits: write derive(...[0])"),
    (np.ones(1), "derive: cell is a ndarray, should be a cell: equations under @cell"),
    (tg.nn.Recurrent,
     "derive: cell is a type, should be a cell: equations under @cell; Recurrent is a class: create an instance first"),
])  # fmt: skip
def test_what_is_no_cell_is_told_what_to_write(given, text):
    with pytest.raises(TypeError) as caught:
        derive(given)
    assert str(caught.value) == text


def test_steps_say_through_what_a_value_reaches_the_loss():
    text = str(derive(tg.lstm, form="steps"))
    through = "`o` reaches the loss only through `h_next = o * tanh_c`"
    assert f"{through}, and ∂h_next/∂o is `tanh_c`, so `do = dh * tanh_c`.\n" in text
    assert "`c_next` reaches the loss 2 ways, and their gradients add up" in text
    assert [line.split(".")[0] for line in text.splitlines()] == [str(k) for k in range(1, len(text.splitlines()) + 1)]


@pytest.mark.parametrize("one, said", [
    (tg.lstm, "`Wh` reaches the loss only through `A = x @ Wx + h @ Wh + b`, where it stands on the right of a matrix "
              "product with `h`, so `dWh = h.T @ dA`."),
    (tg.lstm, "`b` reaches the loss only through `A = x @ Wx + h @ Wh + b`, where every row has it, so "
              "`db = dA.sum(axis=0)`."),
    (tg.gru, "`z` reaches the loss only through `h_next = (1 - z) * h + z * h_new`, and ∂h_next/∂z is `h_new - h`, so "
             "`dz = dh * (h_new - h)`."),
    (tg.gru, "`r` reaches the loss only through `rh = r * h`, and ∂rh/∂r is `h`, so `dr = drh * h`."),
    (tg.rnn, "and ∂h_next/∂A_h is `1 - h_next**2`"),
    (tg.layer_norm_lstm, "and ∂root/∂d is `ratio / (4 * H)`"),
    (helped, "through `s = np.sqrt((a * a).mean(axis=-1, keepdims=True) + 1e-6)`, which makes"),
    (tg.layer_norm_lstm, "which makes `dy - dy.mean(axis=-1, keepdims=True)` of its gradient `dy`"),
])  # fmt: skip
def test_steps_give_the_local_derivative(one, said):
    assert said in derive(one).steps


def test_a_traceback_shows_the_lines_of_a_derived_module():
    functions = derive(tg.rnn).functions
    with pytest.raises(ValueError) as caught:
        functions["rnn_forward"](np.ones((2, 3)), np.ones((2, 4)), Wx=np.ones((3, 5)), Wh=np.ones((4, 5)), b=np.ones(7))
    shown = "".join(traceback.format_exception(caught.value))
    assert 'File "<derived rnn ' in shown and "    h_next = np.tanh(x @ Wx + h @ Wh + b)\n" in shown


def test_the_source_of_a_derived_module_goes_with_its_functions():
    gc.collect()
    before = [name for name in linecache.cache if name.startswith("<derived ")]
    functions = [derive(tg.rnn).functions for _ in range(3)]
    assert len([name for name in linecache.cache if name.startswith("<derived ")]) == len(before) + len(functions)
    del functions
    gc.collect()
    assert [name for name in linecache.cache if name.startswith("<derived ")] == before


# -- the safety net, refusals ----------------------------------------------------------------------------------------


def test_a_wrong_line_is_never_shown(monkeypatch):
    """Autograd and the printed code would both have a wrong rule; so one is planted between them."""
    from tinygrad_rnn.formula import numpy_printer

    monkeypatch.setitem(numpy_printer.FORMS, "square", lambda w, node, parts: parts[0])
    with pytest.raises(DeriveError, match=r"lstm: dx, as derived, differs from autograd by .* it is not shown"):
        derive(tg.lstm)


def test_a_wrong_rule_is_caught(monkeypatch):
    """The formula of tanh's rule has a mistake that autograd has not."""
    from tinygrad_rnn.tracing import adjoint

    wrong = OpRule(OPS["tanh"], "x", lambda dy, y: dy * (1 + y * y))
    right = OPS["tanh"].rules["x"]

    def planted(spec, k, args, attrs):
        spec.rules["x"] = wrong if spec.name == "tanh" else spec.rules.get("x")
        try:
            return real(spec, k, args, attrs)
        finally:
            if spec.name == "tanh":
                spec.rules["x"] = right

    real = adjoint.local_derivative
    monkeypatch.setattr(adjoint, "local_derivative", planted)
    with pytest.raises(DeriveError, match="rnn: dx, as derived, differs from autograd"):
        derive(tg.rnn)


def test_no_gradient_goes_back_to_a_detached_value():
    @cell
    def detached(x, h, *, W=Param("D H")):
        a = x @ W
        return tanh(a + h) * a.detach()

    text = derive(detached).source
    assert "    dA_tanh = dh * a * (1 - tanh**2)\n" in text and "    dW = x.T @ dA_tanh\n" in text


def test_what_cannot_be_derived_is_refused():
    @cell
    def noisy(x, h, *, W=Param("D H")):
        return dropout(tanh(x @ W + h), rate=0.5, rng=np.random.default_rng(0))

    @cell
    def own(x, h, *, W=Param("D H")):
        return tanh(x @ W + h * np.arange(h.shape[1]))

    @cell
    def chosen(x, h, *, W=Param("D H")):
        return tanh(x @ W + h[:, np.arange(2)].sum())

    with pytest.raises(DeriveError, match=r"chosen: reads by an array of places, should be a slice such as h\[:, :n\]"):
        derive(chosen)
    with pytest.raises(DeriveError, match="noisy: dropout draws or keeps what no formula tells"):
        derive(noisy)
    with pytest.raises(DeriveError, match=r"own: uses an array of its own, of shape \(\d+,\), should be a parameter"):
        derive(own)
    with pytest.raises(TypeError, match="derive: cell is a function, should be a cell"):
        derive(lambda x: x)
    with pytest.raises(ValueError, match="derive: form is 'c', should be one of numpy, latex, steps"):
        derive(tg.rnn, form="c")


def test_the_command(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    command.add_options(parser)
    assert command.run(parser.parse_args(["rnn", "--form", "steps"])) == 0
    assert capsys.readouterr().out == derive(tg.rnn).steps
    place, out = f"{Path(user_cells.__file__)}:gatewise", tmp_path / "own.py"
    assert command.run(parser.parse_args([place, "--loop", "-o", str(out)])) == 0
    assert out.read_text() == derive(gatewise, loop=True).source
    with pytest.raises(ValueError, match="'nothing' is no built-in cell"):
        command.run(parser.parse_args(["nothing"]))
    with pytest.raises(ValueError, match="is a list, should be a cell"):
        command.run(parser.parse_args([place.replace("gatewise", "CELLS")]))
