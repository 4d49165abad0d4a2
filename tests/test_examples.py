"""The examples run, and show what they say they show."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def numbers(line: str) -> list[float]:
    """The numbers at the end of a line."""
    return [float(word) for word in re.findall(r"\S+", line) if re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", word)]


def counts_ones(lines: dict[str, str]) -> None:
    ones, counted = (re.findall(r"[\d.]+", lines[start]) for start in ("ones:", "counted:"))
    np.testing.assert_allclose(np.array(counted, float), np.array(ones, float), atol=0.2)
    _, small, large, larger = numbers(lines["  40 "])
    assert small < 1e4 < 1e6 < large < larger, "no explosion with W > 1"


def vanishes_and_explodes(lines: dict[str, str]) -> None:
    assert numbers(lines["h Wh, largest singular value 0.5"])[-1] < 1e-6
    assert numbers(lines["h Wh, largest singular value 2.5"])[-1] > 1e3
    assert 1 < numbers(lines["c of an LSTM, forget bias 5.0"])[-1] < 10


def learns_a_text(lines: dict[str, str]) -> None:
    assert numbers(lines["epoch   1:"])[-1] > 50 and numbers(lines["epoch  40:"])[-1] < 3
    assert len(lines["it writes:"].split()) > 30


def remembers(lines: dict[str, str]) -> None:
    assert lines["verdict:"] == "verdict: right"
    assert numbers(lines["two_speeds "])[-1] < 0.05


def names_the_mistake(lines: dict[str, str]) -> None:
    assert lines["mistake: "].startswith("mistake: lstm_wrong.py:35 in lstm_bptt: do = dh * c_new")
    assert lines["    + "].startswith("    +         do = dh * np.tanh(c_new)")


def reads_backprop(lines: dict[str, str]) -> None:
    assert lines["  through σ (f)"].split()[3:] == ["=", "df", "⊙", "f", "⊙", "(1", "−", "f)", "0.791"]
    for start in ("dA ", "dWh "):
        read, by_hand = numbers(lines[start])
        np.testing.assert_allclose(read, by_hand, rtol=1e-3)
    assert numbers(lines["rnn "])[-1] < 1e-6 < 1e-3 < numbers(lines["lstm, forget bias 3"])[-1]


def explodes_and_is_kept(lines: dict[str, str]) -> None:
    assert lines["the backward pass by hand is"] == "the backward pass by hand is right"
    for start, steps in (("SGD  ", 32), ("momentum  ", 5)):
        assert lines[start].split()[1:] == [str(steps), "nan", "nan", "nan"]
    for start, most in (("SGD, clipped", 100), ("momentum, clipped", 100), ("RMSprop", 100), ("Newton", 1e-6)):
        assert numbers(lines[start])[-1] < most
    U, W = numbers(lines["Rprop"])[-3:-1]
    assert abs(U - 1) < 0.1 and abs(W - 1) < 0.02
    assert Path("exploding_remedies.png").read_bytes().startswith(b"\x89PNG")


def derives_activations(lines: dict[str, str]) -> None:
    assert "dx = dy * (1 - y**2)" in lines["tanh:"] and "dx = dy * y * (1 - y)" in lines["sigmoid:"]
    assert numbers(lines["|tanh x - (2"])[-1] < 1e-14 < 1.9 < numbers(lines["|tanh x - (1"])[-1]


def closes_at_the_end_of_a_sentence(lines: dict[str, str]) -> None:
    end, inside = re.findall(r"0\.\d+", lines["mean f "])
    assert float(end) < float(inside) and len(lines["library"].split()) == 6


def costs_memory_in_proportion(lines: dict[str, str]) -> None:
    full, cut = ([numbers(lines[f"{T:6d} "])[k] for T in (35, 140)] for k in (1, 3))
    assert 3 < full[1] / full[0] < 5 and 0.8 < cut[1] / cut[0] < 1.3


def forgets_by_dropout_in_time(lines: dict[str, str]) -> None:
    kept = {name: [float(x) for x in re.findall(r"0\.\d\d|1\.\d\d$|1\.00(?=,)", lines[f"{name} "])][-2:]
            for name in ("none", "time", "depth", "variational")}  # fmt: skip
    assert kept["none"] == kept["depth"] == kept["variational"] == [1.0, 1.0]
    assert kept["time"][1] < kept["time"][0] < 0.6


def learns_by_the_amount_of_text(lines: dict[str, str]) -> None:
    for name, count in (("rnn", 1568), ("gru", 4704), ("lstm", 6272)):
        line = lines[f"{name} "]
        little, much = (float(x) for x in re.findall(r"words +([\d.]+)", line))
        assert f" {count} parameters" in line and much < little / 2


def stands_still(lines: dict[str, str]) -> None:
    first, last = numbers(lines["w1: "]), numbers(lines["w6: "])
    assert first[0] == last[0] and abs(first[1] - first[0]) < 0.02 and last[1] - last[0] > 0.3
    sizes = [float(size) for size in re.findall(r"\de-\d+", lines["gradients:"])]
    assert sizes == sorted(sizes) and sizes[-1] > 100 * sizes[0]


def reverses_strings(lines: dict[str, str]) -> None:
    assert lines["test: "].startswith("test: 100.00% right")
    assert Path("attention.png").read_bytes().startswith(b"\x89PNG")


def answers_every_shape(lines: dict[str, str]) -> None:
    """Each model is near its best; those that read one way are near the limit of what they read."""
    def right(start: str) -> list[float]:
        rows = [line for line in lines["all"] if line.startswith(start)]
        return [float(re.findall(r"([\d.]+)%", row)[0]) for row in rows]

    assert right("one-to-one") == [75, 100] and right("one-to-many")[0] > 80 and right("many-to-one")[0] > 95
    assert right("indirect")[0] > 95
    for shape, limit in (("many-to-many", 94.3), ("cloze", 25)):
        ahead, both = right(shape)
        assert abs(ahead - limit) < 6 and both > 97


SHOWS = {
    "seq2seq": reverses_strings,
    "task_shapes": answers_every_shape,
    "bptt_cost": costs_memory_in_proportion,
    "deep_chain": stands_still,
    "lstm_or_gru": learns_by_the_amount_of_text,
    "where_to_drop": forgets_by_dropout_in_time,
    "gates_by_word": closes_at_the_end_of_a_sentence,
    "activations": derives_activations,
    "count_ones": counts_ones,
    "exploding_remedies": explodes_and_is_kept,
    "vanishing": vanishes_and_explodes,
    "simple_rnnlm": learns_a_text,
    "custom_cell": remembers,
    "reading_backprop": reads_backprop,
    "lstm_wrong": names_the_mistake,
}


class Lines(dict):
    """What was printed, found by how a line begins."""

    def __missing__(self, start: str) -> str:
        return next(line for line in self["all"] if line.startswith(start))


@pytest.mark.parametrize("name", SHOWS)
def test_example_shows_what_it_says(name, capsys, monkeypatch, tmp_path):
    path = EXAMPLES / f"{name}.py"
    text = path.read_text(encoding="utf-8")
    if "matplotlib" in text or "plot_" in text:
        pytest.importorskip("matplotlib")
    monkeypatch.setattr("sys.argv", [str(path), *(["--quick"] if '"--quick"' in text else [])])
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path), run_name="__main__")
    SHOWS[name](Lines(all=capsys.readouterr().out.splitlines()))
