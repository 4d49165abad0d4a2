"""A compiled loop equals the loop of `scan`; it is kept on disk; and what cannot be compiled says why."""

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.cell_samples import CELLS, LENGTHS, everything, flat, sample, scanned
from helpers.odd_cells import ODD, odd_sample
from helpers.random import plan_cells
from tinygrad_rnn.errors import InvalidValue, MissingDependency
from tinygrad_rnn.sequence.plan import cache

pytest.importorskip("llvmlite")

from tinygrad_rnn.sequence.jit import body, compile, panels, store
from tinygrad_rnn.sequence.jit.source import Source


@pytest.fixture(autouse=True, scope="module")
def folder(tmp_path_factory):
    """A folder for compiled functions."""
    path = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(path))
        yield path / "tinygrad_rnn" / "jit"


def distance(ours, theirs):
    ours, theirs = flat(ours), flat(theirs)
    return max(plan_cells.distance(np.asarray(ours[key], float), np.asarray(theirs[key], float)) for key in theirs)


def assert_compiled(cell, s, limit=1e-12, **options):
    """Outputs, last states and gradients are those of the loop; no argument is written."""
    before = {path: array.copy() for path, array in flat((s.xs, s.state, s.params)).items()}
    assert distance(*(everything(scanned(cell, mode=mode, **options), s) for mode in ("jit", "eager"))) < limit
    for path, array in flat((s.xs, s.state, s.params)).items():
        np.testing.assert_array_equal(array, before[path], err_msg=path)


def test_built_in_cells(trials):
    for cell in CELLS[:: trials(3, 1)]:
        assert_compiled(cell, sample(cell), lengths=LENGTHS, reverse=True)


def test_float32_and_one_row(trials):
    """As near to float64 as the loop in float32, or within 2e-6."""
    for cell in CELLS[1 : 1 + trials(1, 9)]:
        s = sample(cell, N=1, dtype=np.float32)
        assert_compiled(cell, s, limit=2e-6)
        assert tg.scan(cell, s.xs, s.state, s.params, mode="jit")[0].dtype == np.float32


def test_random_cells(trials, monkeypatch):
    """Most of the samples without LLVM's passes, which take most of the time."""
    sampled = trials(True, False)
    for seed in range(trials(20, 1000)):
        monkeypatch.setattr(compile, "LEVEL", 0 if sampled and seed % 10 else 2)
        rng = np.random.default_rng(seed)
        cell, source = plan_cells.random_cell(rng)
        call = plan_cells.random_call(cell, rng)
        with np.errstate(all="ignore"):
            ours, theirs = (plan_cells.run(cell, call, mode) for mode in ("jit", "eager"))
        assert max(map(plan_cells.distance, ours, theirs)) < 1e-11, f"seed {seed}\n{source}"


def refused(cell, s):
    """The reason why a cell is not compiled; nothing for one whose compiled loop equals the loop."""
    try:
        assert_compiled(cell, s, lengths=LENGTHS)
    except tg.PlanError as error:
        return str(error)
    return ""


def test_odd_cells(trials, monkeypatch):
    monkeypatch.setattr(compile, "LEVEL", trials(0, 2))
    reasons = [refused(cell, odd_sample(cell)) for cell in ODD[:: trials(5, 1)]]
    assert all("the loop cannot be compiled: " in reason for reason in reasons if reason)
    assert reasons.count("") >= len(reasons) - 1  # tg.sort


def run_rnn(N):
    """The outputs of a cell in a new plan."""
    cache.clear()
    s = sample(tg.rnn, N=N, T=2)
    return tg.scan(tg.rnn, s.xs, s.state, s.params, mode="jit")[0]


def test_the_first_use_says_what_it_does_and_the_second_loads_from_the_disk(folder, capfd):
    first = run_rnn(2)
    assert capfd.readouterr().err == f"tinygrad_rnn: compiling the forward pass, once; kept in {folder}\n"
    np.testing.assert_array_equal(run_rnn(2), first)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("damage", [lambda code: code[:-1], lambda code: code[:40] + b"x" + code[41:], lambda _: b""])
def test_a_damaged_file_is_written_anew(folder, capfd, damage):
    first, before = run_rnn(3), sorted(folder.iterdir())
    contents = [path.read_bytes() for path in before]
    for path, content in zip(before, contents):
        path.write_bytes(damage(content))
    capfd.readouterr()
    np.testing.assert_array_equal(run_rnn(3), first)
    assert "compiling the forward pass" in capfd.readouterr().err
    for path, content in zip(before, contents):
        path.write_bytes(content)


def test_where_the_folder_cannot_be_written_to_the_loop_is_compiled_in_memory(tmp_path, monkeypatch, capfd):
    (tmp_path / "tinygrad_rnn").write_text("a file, not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert run_rnn(2).shape == (2, 2, 4)
    path = tmp_path / "tinygrad_rnn" / "jit"
    assert capfd.readouterr().err == f"tinygrad_rnn: compiling the forward pass; it cannot be kept in {path}\n"


def test_arrays_of_another_layout_are_refused(monkeypatch):
    monkeypatch.setattr(store, "HEADER", object.__basicsize__ - 8)
    text = "the loop cannot be compiled: arrays of this Python have another layout in memory"
    with pytest.raises(tg.PlanError, match=f"^scan: rnn cannot be planned: {text}$"):
        run_rnn(2)


def test_another_version_or_source_has_another_file(monkeypatch):
    functions = [store.Functions("a pass") for _ in range(2)]
    for k, each in enumerate(functions):
        each.add("run", {"loop": Source(f"def loop(T):\n    {k}\n", [])}, [["loop"]], [], [], 0)
    first, other = (each.path for each in functions)
    assert first != other
    monkeypatch.setattr(store, "depends_on", lambda: "another version")
    assert functions[0].path not in (first, other)


def test_the_explanation_says_how_products_are_computed(monkeypatch):
    plan = tg.plan(tg.rnn, N=2, D=3, H=4, dtype=np.float64, mode="jit")
    assert f"compiled: (2, 4) @ (4, 4) in {panels.panels(2, 4, 4, 64)}, one thread\n" in plan.explain()
    assert "def forward_loop(T, " in plan.source
    monkeypatch.setenv("TINYGRAD_RNN_THREADS", "2")
    monkeypatch.setattr(store, "LARGE", 0)
    text = r"\nthreads: forward_0: [\d.]+ us a step on several threads, [\d.]+ on one: (one|several)\n"
    assert re.search(text, plan.explain(measure=True))
    with pytest.raises(InvalidValue, match=r"^plan: mode is 'eager', should be plan or jit$"):
        tg.plan(tg.rnn, N=2, D=3, H=4, mode="eager")


#: Calls with a of (N, H), h the state, U (H, H) and b (H): as many operations as may be in few cells.
ELEMENTWISE = """tg.leaky_relu(a) + tg.elu(a) * tg.silu(h) - tg.hard_sigmoid(a) + tg.softplus(a) * tg.gelu(a)
    tg.clip(a, -0.5, 0.5) + tg.hadamard(a, h) + tg.logaddexp(a, h) + tg.copysign(a, h) + tg.fmax(a, h) - tg.fmin(a, h)
    tg.sqrt(a * a + 1) + tg.log1p(a * a) + tg.expm1(a) + tg.arctan(a) + tg.power(a * a + 0.5, 1.5) + a**2
    tg.hypot(a, 1 + h * h) + tg.sin(a) * tg.cos(h) + tg.log(a * a + 1) + tg.log10(a * a + 1) + tg.cbrt(a) + tg.exp2(a)
    tg.sign(a) * h + tg.floor(a) + tg.reciprocal(a * a + 1) + tg.minimum(a, h) + tg.arctan2(a, 1 + h * h) + tg.sinh(a)
    tg.arcsinh(a) + tg.cosh(a) + tg.log2(a * a + 1) + tg.arcsin(a / 9) + tg.trunc(a) * h + tg.rint(h) + abs(a)
    tg.tan(a / 9) + tg.erf(a)"""
ALONG = """tg.softmax(a, axis=0) + tg.log_softmax(a) + tg.logsumexp(a, axis=-1, keepdims=True) + tg.softmax(h * 900)
    tg.std(a, axis=-1, keepdims=True) * a + tg.var(a, axis=1, ddof=1, keepdims=True) + tg.var(h, axis=0) + tg.std(a)
    tg.einsum("nh,nh->n", a, h)[:, None] * a + tg.einsum("nh,kh->nk", a, U) + tg.einsum("ni,nj->nij", a, h).sum(axis=1)
    tg.affine(h, U, b) + a.mean(axis=0) - a.max(axis=1, keepdims=True) + a.min() + tg.squeeze(a[:, None]) + a.mean()"""


@pytest.mark.parametrize("texts", [ELEMENTWISE, ALONG])
def test_operations(texts, monkeypatch):
    monkeypatch.setattr(compile, "LEVEL", 0)
    lines = [f"y = tg.tanh(y + {line.strip()})" for line in texts.splitlines()]
    body = "\n    ".join(["a = x @ W + h @ U", "y = 0.1 * h", *lines])
    params = 'W=tg.Param("D H"), U=tg.Param("H H"), b=tg.Param("H")'
    space = {"tg": tg}
    exec(f"def several(x, h, *, {params}):\n    {body}\n    return y\n", space)
    assert_compiled(tg.cell(space["several"]), sample(tg.cell(space["several"]), N=4, T=3))


def zoned(mode):
    """The output of a cell with masks and draws, and what the generator draws next."""
    cell = tg.zoneout(tg.variational_dropout(tg.lstm, x=0.25, h=0.25), h=0.3, c=0.2)
    rng, s = np.random.default_rng(7), sample(cell)
    params = {**s.params, **tg.draw_masks(cell, rng, 5, s.params), "rng": rng}
    return tg.scan(cell, s.xs, s.state, params, mode=mode, lengths=LENGTHS)[0], rng.random()


def test_dropout_draws_the_masks_of_the_loop():
    (ours, next_ours), (theirs, next_theirs) = zoned("jit"), zoned("eager")
    assert next_ours == next_theirs
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def gradients_by(threads, monkeypatch):
    """The explanation, the source, and the gradients of a cell whose loop two threads may share."""
    cache.clear()
    monkeypatch.setenv("TINYGRAD_RNN_THREADS", threads)
    monkeypatch.setattr(body, "LARGE", 1)
    s = sample(tg.layer_norm_lstm, N=6)
    gradients = flat(everything(scanned(tg.layer_norm_lstm, mode="jit"), s))
    plan = next(iter(cache._plans.values())).state[1]
    return plan.built.forward.writer.choices["loop"][0], plan.source, gradients


def test_two_threads_give_the_same_bits(monkeypatch):
    (one, _, theirs), (two, source, ours) = (gradients_by(threads, monkeypatch) for threads in ("1", "2"))
    assert one == two
    assert two.endswith("packed once a sequence, half of the rows at a time, which two threads may share")
    assert f"_now[part * {body.APART}, j_]" in source  # rows of memory that share no cache line
    for path, array in theirs.items():
        np.testing.assert_array_equal(ours[path], array, err_msg=path)


@pytest.mark.parametrize("N, D, shared", [(8, 64, True), (4, 64, False), (5, 200, False), (2, 650, True)])
def test_threads_share_the_rows_where_their_halves_are_no_loss(N, D, shared, monkeypatch):
    """An odd number of rows has no halves."""
    monkeypatch.setattr(compile, "LEVEL", 0)
    plan = tg.plan(tg.lstm, N=N, D=D, H=D, mode="jit")
    assert ("half of the rows at a time, which two threads may share" in plan.explain()) == shared


def test_what_cannot_be_compiled_says_why():
    @tg.cell
    def ordered(x, h, *, W=tg.Param("D H")):
        return tg.tanh(x @ W + tg.cumsum(h, axis=1))

    params = ordered.init(np.random.default_rng(0), D=3, H=4)
    text = "scan: ordered cannot be planned: the loop cannot be compiled: it has the operation cumsum"
    with pytest.raises(tg.PlanError, match=f"^{text}$"):
        tg.scan(ordered, np.ones((2, 3, 3), np.float32), None, params, mode="jit")


def test_without_llvmlite_the_error_names_the_extra(monkeypatch):
    s = sample(tg.rnn)
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    with pytest.raises(MissingDependency, match=r"scan: mode='jit' needs llvmlite: pip install 'tinygrad-rnn\[jit\]'"):
        tg.scan(tg.rnn, s.xs, s.state, s.params, mode="jit")


def test_the_package_does_not_import_llvmlite():
    code = "import sys, tinygrad_rnn; print('llvmlite' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_the_guide_runs():
    """The blocks of docs/plan.md that need the extra, after the others."""
    page = (Path(__file__).parents[2] / "docs" / "plan.md").read_text(encoding="utf-8")
    names = {"__name__": "plan"}
    blocks = re.findall(r"^```py(?:thon)?\n(.*?)^```\n", page, re.S | re.M)
    assert 'mode="jit"' in blocks[-1]
    for block in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(block, names)
        promised = re.findall(r"# prints (.*)$", block, re.M)
        assert promised in ([], printed.getvalue().splitlines())  # or a block with the output follows


@tg.cell
def oddly_named(x, h, *, W=tg.Param("D H"), U=tg.Param("H H")):
    rows = tg.tanh(x @ W + h @ U)
    part, total_, n_ = rows * 2, tg.sigmoid(rows), rows - h
    local = tg.softmax(part + n_, axis=-1)
    np_, range, clip = total_ * local, local.sum(axis=1, keepdims=True), tg.clip(part, -1, 1)
    multiply, top_, pack = clip * np_, part.max(axis=1, keepdims=True), part @ U
    return tg.tanh(multiply + top_ + pack + range)


def test_names_of_the_text_are_no_names_of_values(monkeypatch):
    monkeypatch.setattr(compile, "LEVEL", 0)
    assert_compiled(oddly_named, sample(oddly_named))


@tg.cell
def view_of_a_view(x, h, c, *, W=tg.Param("D H"), U=tg.Param("H H")):
    u = x @ W + 1
    return tg.swapaxes(u, 0, 1).T, tg.tanh(h @ U + c)


def test_a_view_of_a_view_is_read_outside(monkeypatch):
    monkeypatch.setattr(compile, "LEVEL", 0)
    assert_compiled(view_of_a_view, sample(view_of_a_view))
