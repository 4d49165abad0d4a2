"""What gradient_flow found, as a table, a picture, JSON and words."""

import json
import math
import re
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.flow import gradient_flow
from tinygrad_rnn.flow.result import Flow, Layer, rate
from tinygrad_rnn.flow.table import bars


def made(norms, name="h", **more):
    rest = {"initial": {}, "gates": {}, "weights": {}, "gradients": {}, "jacobian": None, "carried": [name], **more}
    return Layer("rnn", list(range(len(norms))), {name: norms}, **rest)


# -- the verdict -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [0.3, 0.89, 1.0, 1.12, 2.5])
def test_the_rate_is_that_of_a_geometric_sequence(factor):
    norms = [3.0 * factor**back for back in reversed(range(15))]
    assert rate(norms) == pytest.approx(factor)
    assert rate(norms[::-1]) == pytest.approx(1 / factor)  # the planted mistake: the wrong way round


def test_steps_without_a_gradient_do_not_count():
    assert rate([1.0, 2.0, 4.0, 0.0, 0.0]) == pytest.approx(0.5)
    assert math.isnan(rate([0.0, 0.0, 4.0])) and math.isnan(rate([]))
    assert rate([math.inf, 4.0, 2.0, math.nan]) == pytest.approx(2.0)


@pytest.mark.parametrize(("factor", "T", "verdict"), [
    (0.5, 20, "vanishing"), (0.88, 5, "vanishing"), (0.9, 20, "steady"), (0.98, 20, "steady"),
    (0.98, 200, "vanishing"), (1.0, 20, "steady"), (1.13, 5, "exploding"), (1.02, 200, "exploding"),
])  # fmt: skip
def test_the_verdict(factor, T, verdict):
    layer = made([factor**back for back in reversed(range(T))])
    assert layer.verdict == verdict
    assert layer.sentence.startswith(f"rnn: {verdict}: ‖dh‖ changes by a factor of {factor:.3g} with each step back")


def test_the_state_by_which_most_gets_back_decides():
    layer = made([0.5**back for back in reversed(range(20))])
    layer.states["c"], layer.carried = [0.99**back for back in reversed(range(20))], ["h", "c"]
    assert (layer.strongest, layer.verdict) == ("c", "steady")
    assert layer.sentence == ("rnn: steady: ‖dc‖ changes by a factor of 0.99 with each step back, of 0.83 over 19; "
                              "‖dh‖ by 0.5")  # fmt: skip


def test_nothing_to_say():
    layer = made([0.0, 0.0, 1.0])
    assert (layer.verdict, layer.strongest) == ("unknown", None)
    assert layer.sentence == "rnn: unknown: fewer than two steps have a gradient by a state that is carried on"


# -- the table -------------------------------------------------------------------------------------------------------


def test_the_table_has_a_line_a_step_and_its_numbers():
    flow = gradient_flow(tg.lstm, steps=6, N=2)
    (layer,), text = flow.layers, str(flow)
    assert text == flow.table()
    lines = text.splitlines()
    assert lines[0] == "lstm: 6 steps on random input, gradient of the sum of the last output"
    head = next(k for k, line in enumerate(lines) if line.lstrip().startswith("step"))
    assert re.split(r"\s{1,}", lines[head].strip()) == [
        "step", "‖dh‖", "(log)", "‖dc‖", "f", "g", "i", "o", "tanh(c')", "‖dWx‖", "‖dWh‖", "‖db‖", "radius", "‖J‖",
    ]  # fmt: skip
    for t, line in enumerate(lines[head + 1 : head + 7]):
        cells = line.split()
        assert cells[:2] == [str(t), f"{layer.states['h'][t]:.1e}"]
        assert cells[3] == f"{layer.states['c'][t]:.1e}"
        assert cells[4] == f"{100 * layer.gates['f'][t]:.0f}%"
        assert cells[-2:] == [f"{layer.jacobian[t]:.3f}", f"{layer.singular[t][0]:.3f}"]
    means = [f"{name} {np.mean(slopes):.2f}" for name, slopes in layer.slopes.items()]
    assert lines[head + 7] == f"  mean slope of the gates: {', '.join(means)}"
    assert len({len(line) for line in lines[head : head + 7]}) == 1
    assert lines[-1] == layer.sentence
    assert f"1: {flow.truncation[1]:.3f}" in text


@pytest.mark.parametrize("T", [40, 41, 100, 333])
def test_long_ones_are_thinned_and_say_so(T):
    lines = gradient_flow(tg.rnn, steps=T, jacobian=False).table().splitlines()
    steps = [int(line.split()[0]) for line in lines if re.match(r"\s+\d+  ", line)]
    assert len(steps) <= 40 and steps[-1] == T - 1
    assert (f"  ({len(steps)} of {T} steps)" in lines) == (T > 40)


def test_bars_are_logarithms():
    assert bars([1.0, 1e-3, 0.0, math.nan, math.inf]) == ["████████", "▏       ", " " * 8, " " * 8, " " * 8]
    lengths = [len(bar.strip()) for bar in bars([10.0**-k for k in range(9)])]
    assert lengths == sorted(lengths, reverse=True) and lengths[4] == 5
    assert bars([]) == []


def test_numbers_that_are_not_known_are_question_marks():
    flow = Flow("test", [made([math.nan, 1.0], gates={"f": [math.nan, 0.5]}, jacobian=[math.nan, 1.0])], {})
    assert re.search(r"^ +0 +\? +\?", flow.table(), re.M)


@pytest.mark.parametrize(("bad", "shown", "verdict"), [(math.nan, "NaN", "unknown"), (math.inf, "inf", "exploding")])
@pytest.mark.parametrize("one", [tg.rnn, tg.lstm], ids=lambda one: one.name)
def test_what_is_not_finite_is_told_everywhere(one, bad, shown, verdict):
    factors = np.ones((2, 12, 4))
    factors[:, 7] = bad
    params = one.init(np.random.default_rng(0), D=3, H=4, dtype=np.float64)
    hs, _ = tg.scan(one, np.ones((2, 12, 3)), None, params)
    with np.errstate(all="ignore"):
        flow = gradient_flow((hs * factors).sum())
    (layer,) = flow.layers
    assert (layer.verdict, shown in layer.sentence) == (verdict, True)
    assert f"‖dh‖ is {shown} after step 7" in layer.sentence and layer.sentence in flow.table()
    (line,) = [line for line in flow.table().splitlines() if line.split()[:1] == ["7"]]
    assert line.split()[1] == shown and "?" not in line
    for name, norms in layer.states.items():
        assert layer.nan.get(name, []) == [t for t, norm in enumerate(norms) if math.isnan(norm)]
    assert json.loads(flow.to_json())["layers"][0]["nan"] == layer.nan
    pytest.importorskip("matplotlib")
    assert any(shown in text.get_text() for text in flow.plot().axes[0].get_legend().get_texts())


def test_json_has_everything_and_no_nan():
    flow = gradient_flow(tg.lstm, steps=3)
    flow.layers[0].jacobian[0] = math.nan
    found = json.loads(flow.to_json(), parse_constant=pytest.fail)
    (layer,) = found["layers"]
    assert layer["states"] == flow.layers[0].states and layer["weights"] == flow.layers[0].weights
    assert layer["jacobian"][0] is None and layer["jacobian"][1] == flow.layers[0].jacobian[1]
    assert (layer["verdict"], layer["sentence"]) == (flow.layers[0].verdict, flow.layers[0].sentence)
    assert found["truncation"] == {str(k): one for k, one in flow.truncation.items()}
    assert flow.verdict == {"lstm": "vanishing"}


HOSTILE = ["a\nb", "\ud800", "a\udc80", "$a$b^", "$", "50%", "x" * 300, "\0", "\u202e", "<b>"]


@pytest.mark.sampled(every=5, by=lambda **_: [])
@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_can_be_shown_and_read_back(name, tmp_path):
    @tg.cell
    def own(x, h, *, Wx=tg.Param("D H"), Wh=tg.Param("H H")):
        gate = tg.sigmoid(x @ Wx)
        gate.name = name
        return gate * tg.tanh(h @ Wh)

    hs, _ = tg.scan(own, np.ones((2, 3, 3)), None, own.init(np.random.default_rng(0), D=3, H=4))
    y = hs.sum()
    y.name = name
    flow = gradient_flow(y)
    assert json.loads(flow.to_json().encode())["title"] == f"gradient of {name}"
    assert name in flow.layers[0].gates
    lines = flow.table().encode().decode().split("\n")
    assert all(line.isprintable() for line in lines) and len(lines) == len(gradient_flow(hs.sum()).table().split("\n"))
    pytest.importorskip("matplotlib")
    flow.plot(tmp_path / "flow.svg")
    ET.parse(tmp_path / "flow.svg")


# -- the picture -----------------------------------------------------------------------------------------------------


def bidirectional():
    params, xs = tg.lstm.init(np.random.default_rng(0), D=3, H=4), np.ones((2, 6, 3), "f")
    above = tg.gru.init(np.random.default_rng(0), D=4, H=4)
    hs, _ = tg.scan(tg.lstm, xs, None, params)
    return gradient_flow(tg.scan(tg.gru, hs, None, above, reverse=True)[0][:, 0].sum())


def test_the_panels_show_the_numbers():
    pytest.importorskip("matplotlib")
    flow = gradient_flow(tg.lstm, steps=12, N=2)
    (layer,), axes = flow.layers, flow.plot().axes
    norms, saturated, slopes, parts, jacobian, truncated = axes
    for ax, found, scale in [(norms, layer.states, 1), (saturated, layer.gates, 100), (parts, layer.weights, 1),
                             (slopes, layer.slopes, 1)]:  # fmt: skip
        for line, values in zip(ax.get_lines(), found.values(), strict=True):
            assert list(line.get_xdata()) == layer.times
            shown = [scale * one for one in values] if scale > 1 else [one or math.nan for one in values]
            assert np.array_equal(line.get_ydata(), shown, equal_nan=True)
        assert [text.get_text().strip("‖").removeprefix("d") for text in ax.get_legend().get_texts()] == list(found)
    largest, radius = (list(line.get_ydata()) for line in jacobian.get_lines()[:2])
    assert (largest, radius) == ([values[0] for values in layer.singular], layer.jacobian)
    assert norms.get_yscale() == parts.get_yscale() == "log"
    assert [text.get_text() for text in norms.texts] == ["vanishing", "exploding"]
    assert list(truncated.get_lines()[0].get_ydata()) == list(flow.truncation.values())
    assert all(ax.get_xlabel() and ax.get_ylabel() and ax.get_title() for ax in axes)


def test_every_layer_has_its_panels():
    pytest.importorskip("matplotlib")
    titles = [ax.get_title() for ax in bidirectional().plot().axes]
    assert len(titles) == 11
    assert [title.split(":")[0] for title in titles[:10]] == ["lstm"] * 5 + ["gru, reversed"] * 5


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("flow", [
    gradient_flow(tg.lstm, steps=1), Flow("nothing", [made([0.0, 0.0])], {}),
    Flow("too much", [made([math.inf, 1e300])], {1: math.nan}),
])  # fmt: skip
def test_odd_numbers_can_be_shown(flow, tmp_path):
    pytest.importorskip("matplotlib")
    flow.plot(tmp_path / "flow.svg")
    assert flow.table() and flow.to_json()


def test_a_file_is_the_same_every_time(tmp_path):
    pytest.importorskip("matplotlib")
    for name in ("one", "two"):
        gradient_flow(tg.rnn, steps=4).plot(tmp_path / f"{name}.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    ET.parse(tmp_path / "one.svg")
    gradient_flow(tg.rnn, steps=4).plot(str(tmp_path / "one.png"))
    assert (tmp_path / "one.png").read_bytes()[:4] == b"\x89PNG"


def test_a_picture_that_cannot_be_written_leaves_nothing(tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match="should end in"):
        gradient_flow(tg.rnn, steps=2).plot(tmp_path / "flow.abc")
    with pytest.raises(FileNotFoundError):
        gradient_flow(tg.rnn, steps=2).plot(tmp_path / "nowhere" / "flow.svg")
    assert list(tmp_path.iterdir()) == []


def test_no_display_and_no_pyplot():
    pytest.importorskip("matplotlib")
    gradient_flow(tg.rnn, steps=2).plot()
    assert "matplotlib.pyplot" not in sys.modules


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError) as caught:
        gradient_flow(tg.rnn, steps=2).plot()
    assert str(caught.value) == "plot: needs matplotlib: pip install 'tinygrad-rnn[train]'"
