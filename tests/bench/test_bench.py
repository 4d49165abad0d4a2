"""The benchmarks themselves: hand-written gradients are right, different work is refused; no time is asserted.

Contenders run in workers that import this module by name, so the planted ones live here.
"""

import json
from typing import Any

import numpy as np
import pytest

import layers
import passes
import run
from baselines import LSTMStep, OwningStep, TimeLSTM, layer, loss_and_gradients
from book_lm import BookLM
from cases import LSTMCase, lm_case, lstm_case
from harness import Row, differences, measure, ratio, verdicts
from hoisted_lm import HoistedLM
from ours import nine_lines
from report import DOCS, PARTS, Measured, filled
from spec import Array, Bench, Job, Target, fingerprint, library
from table import main, render
from torch_peers import from_torch, to_torch

TINY = {"N": 2, "T": 3, "D": 4, "H": 5}


class SwappedStep(LSTMStep):
    """The mistake that is made most: the gradients of two gates change places.  Their norms are what they were."""

    def backward(self, dh_next: Array, dc_next: Array) -> tuple[Array, ...]:
        dx, dh, dc, dWx, dWh, db = super().backward(dh_next, dc_next)
        f, g, i, o = np.split(dWh, 4, axis=1)
        return dx, dh, dc, dWx, np.hstack((f, i, g, o)), db


def crash(**size: int) -> Job:
    """A contender whose run ends the process in the middle of the race."""
    job = layer(LSTMStep)(**size)

    def run() -> None:
        raise RuntimeError("planted crash")

    return Job(run, job.check)


BENCH = Bench(
    module="test_bench",
    title="planted",
    baseline="book",
    contenders={
        "book": layer(LSTMStep),
        "grads in each step": layer(OwningStep),
        "swapped gates": layer(SwappedStep),
        "absent": lambda **size: library("no_such_library"),
        "crash": crash,
    },
    sizes={"tiny": TINY},
    targets={"tiny": (Target("grads in each step", "book", 1e9), Target("swapped gates", "book", 1e9))},
)


def central(f: Any, w: Array, eps: float = 1e-6) -> Array:
    """``(f(w + eps) - f(w - eps)) / 2 eps``, one entry of ``w`` at a time."""
    dw = np.empty_like(w)
    for k in np.ndindex(w.shape):
        kept, both = w[k], []
        for moved in (kept + eps, kept - eps):
            w[k] = moved
            both.append(f())
        w[k] = kept
        dw[k] = (both[0] - both[1]) / (2 * eps)
    return dw


@pytest.mark.parametrize("step", [LSTMStep, OwningStep])
@pytest.mark.parametrize("N", [1, 2])
def test_book_lstm_gradients_equal_central_differences(step: type[LSTMStep], N: int) -> None:
    case = lstm_case(N, 3, 4, 5, dtype=np.float64)

    def loss() -> Any:
        return loss_and_gradients(TimeLSTM(case.Wx, case.Wh, case.b, step), case)["loss"]

    found = loss_and_gradients(TimeLSTM(case.Wx, case.Wh, case.b, step), case)
    for name in ("xs", "Wx", "Wh", "b"):
        np.testing.assert_allclose(found[f"d{name}"], central(loss, getattr(case, name)), rtol=1e-6, atol=1e-8)


def lm_gradients(kind: type[HoistedLM] | type[BookLM], model: Any, ids: Array,
                 targets: Array) -> tuple[float, dict[str, Array]]:
    """Loss and gradients by name, from a given state; the lean model keeps time first."""
    model.h, model.c = np.full_like(model.h, 0.3), np.full_like(model.c, -0.2)
    if kind is HoistedLM:
        return model.loss_and_gradients(ids.T, targets.T), model.grads
    loss, grads = model.loss_and_gradients(ids, targets)
    return loss, dict(zip(model.params, grads, strict=True))


@pytest.mark.parametrize("kind", [HoistedLM, BookLM])
def test_language_model_gradients_equal_central_differences(kind: type[HoistedLM] | type[BookLM]) -> None:
    case = lm_case(N=2, T=3, V=7, D=4, H=5, steps=1, dtype=np.float64)
    case.params["b_out"] += np.linspace(-1, 1, 7)
    model = kind(case, 2, 3)
    ids, targets = case.ids[:, :-1], case.ids[:, 1:]
    _, found = lm_gradients(kind, model, ids, targets)
    found = {name: grad.copy() for name, grad in found.items()}
    for name, w in model.params.items():
        numbers = central(lambda: lm_gradients(kind, model, ids, targets)[0], w)
        np.testing.assert_allclose(found[name], numbers, rtol=1e-5, atol=1e-8, err_msg=name)


def test_both_language_models_train_alike_and_clip() -> None:
    case = lm_case(N=2, T=3, V=7, D=4, H=5, steps=2, dtype=np.float64)
    models = HoistedLM(case, 2, 3), BookLM(case, 2, 3)
    for start in (0, 3):
        ids, targets = case.ids[:, start:start + 3], case.ids[:, start + 1:start + 4]
        losses = [model.step(ids, targets) for model in models]
        assert losses[0] == pytest.approx(losses[1], rel=1e-10)
    for name in case.params:
        np.testing.assert_allclose(models[0].params[name], models[1].params[name], rtol=1e-9)
    assert models[0].norm() == pytest.approx(20 * 0.25, rel=1e-4)  # grads were scaled in place: clipped, times the rate


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    """One round of every planted contender."""
    return {row.name: row for row in measure(BENCH, TINY, rounds=1)}


def test_equal_work_gets_a_ratio(rows: dict[str, Row]) -> None:
    assert rows["book"].ratio == 1
    assert rows["grads in each step"].ratio is not None
    assert len(rows["grads in each step"].times) == 1


def test_different_work_is_refused_and_named(rows: dict[str, Row]) -> None:
    row = rows["swapped gates"]
    assert (row.status, row.times, row.ratio) == ("different work: dWh", [], None)


def test_an_absent_library_is_no_error(rows: dict[str, Row]) -> None:
    assert rows["absent"].status == "not installed (no_such_library)"


def test_a_crash_shows_its_stderr(rows: dict[str, Row], capfd: pytest.CaptureFixture[str]) -> None:
    assert rows["crash"].status == "crashed: RuntimeError: planted crash"
    measure(BENCH, TINY, rounds=1, names=["crash"])
    assert "Traceback" in capfd.readouterr().err


def test_the_peak_is_that_of_a_process_with_numpy(rows: dict[str, Row]) -> None:
    assert all(0 <= row.needs < row.peak and 10 < row.peak < 10_000 for row in rows.values() if row.ratio is not None)
    assert rows["crash"].peak == 0


def test_verdicts_say_what_was_measured(rows: dict[str, Row]) -> None:
    judged = verdicts(list(rows.values()), BENCH.targets["tiny"])
    assert [v.word for v in judged] == ["reached", "not measured"]  # of one time, the median is the minimum
    text = render("planted", list(rows.values()), judged, "ms")
    assert "different work: dWh" in text
    assert "| grads in each step / book |" in text
    assert "reached" in text
    assert "not measured" in text


def test_ratios_are_of_medians() -> None:
    top, bottom = Row("top", times=[1.0, 9.0, 2.0]), Row("bottom", times=[4.0, 4.0, 100.0])
    assert ratio(top, bottom) == 0.5
    assert [v.word for v in verdicts([top, bottom], [Target("top", "bottom", 0.4)])] == ["missed, but noisy"]
    bottom.times, top.times = [4.0, 4.0, 4.5], [2.0, 2.0, 2.5]
    assert [v.word for v in verdicts([top, bottom], [Target("top", "bottom", 0.5)])] == ["reached"]


def test_differences_see_sign_order_absence_and_nan() -> None:
    right = np.arange(1.0, 7.0)
    base = {"loss": fingerprint(2.0), "dw": fingerprint(right)}
    assert differences(base, base) == []
    assert differences(base | {"dw": fingerprint(right * (1 + 1e-5))}, base) == []
    for wrong in (-right, right[::-1], right * 1.01, right * np.nan):
        assert differences(base | {"dw": fingerprint(wrong)}, base) == ["dw"]
    assert differences({"loss": base["loss"]}, base) == ["dw"]
    assert differences(base | {"extra": (0.0, 0.0)}, base) == ["extra"]


def test_json_and_table(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    main(BENCH, argv=["--rounds", "1", "--only", "absent", "--json", str(tmp_path / "out.json")])
    assert "not installed (no_such_library)" in capsys.readouterr().out
    written = json.loads((tmp_path / "out.json").read_text())
    assert [row["name"] for row in written["tables"][0]["rows"]] == ["book", "absent"]
    assert written["machine"]["numpy"] == np.__version__


@pytest.mark.parametrize("bench", run.BENCHES, ids=lambda bench: bench.title)
def test_every_bench_can_be_found_by_its_workers(bench: Bench) -> None:
    found = library(bench.module).BENCH.contenders
    assert all(found[name] is setup for name, setup in bench.contenders.items())
    assert next(iter(bench.contenders)) == bench.baseline
    for label, targets in bench.targets.items():
        assert label in bench.sizes
        assert all(t.top in bench.contenders and t.bottom in bench.contenders for t in targets)


@pytest.mark.parametrize("kind", layers.KINDS)
def test_gate_orders_of_layers_go_there_and_back(kind: str) -> None:
    w = layers.case(kind, 2, 3, 4, 5, "float64")[2]["Wx"]
    assert np.array_equal(layers.from_torch(kind, layers.to_torch(kind, w)), w)
    assert layers.to_torch(kind, w).shape == w.shape[::-1]


@pytest.mark.parametrize("name", passes.PASSES)
def test_the_plan_without_a_pass_has_another_source(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tg = library("tinygrad_rnn")
    cache = library("tinygrad_rnn.sequence.plan.cache")
    cell = nine_lines(tg)

    def plan() -> tuple[str, bool]:
        cache.clear()
        planned = tg.plan(cell, N=2, D=8, H=100)
        return planned.source, planned.plan.functions[0].__globals__["empty"] is np.empty

    before = plan()
    for place, last, other in passes.places(name):
        monkeypatch.setattr(place, last, other)
    assert plan() != before
    cache.clear()


def test_the_report_fills_what_was_measured_and_says_what_was_not() -> None:
    title, size = "generation, one step", "N1 D100 H100"
    names = ("torch, nn.LSTMCell", "ours, eager", "ours, plan", "ours, jit")
    rows = [{"name": name, "times": [k * 1e-6, k * 1e-6], "status": ""} for k, name in enumerate(names, 20)]
    page, missing = filled(PAGE := (DOCS / "speed.md").read_text(encoding="utf-8"),
                           Measured([{"title": title, "size": size, "rows": rows, "targets": []}]))  # fmt: skip
    assert "| plan          |         45,455 |        22 |" in page.splitlines()
    assert [text.partition(":")[0] for text in missing] == [name for name in PARTS if name != "generation"]
    assert page.partition("<!-- generation -->")[0] == PAGE.partition("<!-- generation -->")[0]
    assert page.endswith(PAGE[-1000:])


def test_gate_orders_go_there_and_back() -> None:
    w = np.arange(24.0).reshape(2, 12)
    assert np.array_equal(from_torch(to_torch(w)), w)
    f, g, i, o = np.split(w, 4, axis=1)
    assert np.array_equal(to_torch(w).T, np.hstack((i, f, g, o)))


def test_cases_are_seeded() -> None:
    first, second = lstm_case(**TINY), lstm_case(**TINY)
    assert all(np.array_equal(a, b) and a.dtype == np.float32 for a, b in zip(first, second, strict=True))
    assert isinstance(first, LSTMCase)
