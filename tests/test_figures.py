"""The style of the plots."""

import re

import pytest

from tinygrad_rnn.figures import figure

pytest.importorskip("matplotlib")


@pytest.mark.parametrize(("low", "high", "label"), [(5.0, 400.0, "100"), (1e-9, 1e4, "1e-06"), (2.0, 7.0, "3")])
def test_a_logarithmic_axis_has_plain_numbers(low, high, label, tmp_path):
    with figure(5, 4, tmp_path / "plot.svg") as drawn:
        axes = drawn.subplots()
        axes.plot([0, 1], [low, high])
        axes.set_yscale("log")
    written = re.findall("<!-- (.*?) -->", (tmp_path / "plot.svg").read_text(encoding="utf-8").replace("−", "-"))
    assert label in written and not any("$" in text for text in written)


def test_a_dollar_is_a_letter(tmp_path):
    with figure(5, 4, tmp_path / "plot.svg") as drawn:
        drawn.subplots().set(xlabel="from $1 to $2")
    assert "<!-- from $1 to $2 -->" in (tmp_path / "plot.svg").read_text(encoding="utf-8")
