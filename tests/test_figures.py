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


def test_a_file_of_another_format_is_refused_before_anything_is_drawn(tmp_path):
    text = f"plot: the file is {tmp_path / 'plot.foo'}, should end in .svg, .png or .pdf"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"), figure(5, 4, tmp_path / "plot.foo"):
        raise AssertionError("it is drawn")
    assert not list(tmp_path.iterdir())


def test_the_suffix_of_a_file_may_be_in_capitals(tmp_path):
    for name in ("a.PNG", "b.png"):
        with figure(5, 4, tmp_path / name) as drawn:
            drawn.subplots().plot([0, 1], [1, 2])
    assert (tmp_path / "a.PNG").read_bytes() == (tmp_path / "b.png").read_bytes()
