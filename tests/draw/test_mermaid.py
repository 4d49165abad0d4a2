"""Mermaid flowcharts: what is in them, that they are always the same, and that no name can break out of its quotes."""

import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import lstm
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.draw.formats.mermaid import escaped, mermaid
from tinygrad_rnn.draw.model import of_cell, of_tensor, view
from tinygrad_rnn.draw.scene.labels import LONGEST, size_text

HOSTILE = ["<b>bold</b>", "a\"b", "a\\nb", "a\nb", "a\0b", "&amp;", "x" * 1000, "\ud800", "end", "style:#fff;",
           "$$x$$", "%%{init: {}}%%", "`md`", "]", "A --> B", "|x|", "#quot;", "{{a}}", "\u202eabc",
           "javascript:alert(1)"]  # fmt: skip
TEXT = r'"[^"\n]*"'
CLASS = r"(:::\w+)?"
LINES = [
    rf'n\d+(\(\({TEXT}\)\)|\[{TEXT}\]|\(\[{TEXT}\]\)){CLASS}',
    rf'o\d+\(\[{TEXT}\]\){CLASS}',
    rf'n\d+ ==>(\|{TEXT}\|)? [no]\d+',
    rf'[no]\d+ -\.->(\|{TEXT}\|)? n\d+',
    r'n\d+ -\. "✂" \.- n\d+',
    rf'subgraph s\d+\[{TEXT}\]', "end", r"classDef \w+ [\w#:,]+", r"linkStyle [\d,]+ [\w#:,]+", "%% [^\n]*",
]  # fmt: skip


def assert_written_well(text):
    """Every line is one of the few forms there are, and texts hold nothing that ends them."""
    _head, body = re.fullmatch(r'(---\ntitle: ".*"\n---\n)?flowchart LR\n(.*)', text, re.DOTALL).groups()
    for line in body.splitlines():
        assert any(re.fullmatch(one, line.strip()) for one in LINES), line
    for inside in re.findall(TEXT, body):
        assert not re.search(r"[;#&<>]", re.sub(r"#\d+;|<br/>", "", inside.strip('"')))
    declared = re.findall(r"^ *([no]\d+)[\[(]", body, re.MULTILINE)
    arrows = re.findall(r"^ *([no]\d+) (?:==>|-\.).*?([no]\d+)$", body, re.MULTILINE)
    assert len(declared) == len(dict.fromkeys(declared))
    assert all(end in declared for pair in arrows for end in pair)
    assert body.count("subgraph ") == len(re.findall(r"^ *end$", body, re.MULTILINE))
    return arrows


@pytest.mark.sampled(every=4, by=lambda **_: [])
@pytest.mark.parametrize("backward", [True, False])
@pytest.mark.parametrize("look", [{}, {"level": "op"}, {"level": "module"}, {"fold": "full"}], ids=str)
@pytest.mark.parametrize("name", BUILT_IN)
def test_every_line_has_a_form_of_the_language(name, look, backward):
    graph = view(of_cell(BUILT_IN[name], 12), **look)
    arrows = assert_written_well(mermaid(graph, "a title", backward))
    back = sum(edge.gradient is not None for edge in graph.edges) + len(graph.outputs)
    assert len(arrows) == len(graph.edges) + len(graph.outputs) + back * backward


def test_an_lstm_shows_its_gates_and_its_gradients():
    graph = view(of_cell(lstm))
    text = mermaid(graph, graph.title)
    for shown in ['(("σ"))', '["Wx<br/>(3, 20)"]', '(["x<br/>(1, 3)"])', '==>|"f"|', '==>|"c\'"|']:
        assert shown in text
    (edge,) = [edge for edge in graph.edges if edge.source == graph["f"].id]
    assert f'{edge.target} -.->|"#124;df#124; {size_text("", edge.gradient)}"| {edge.source}' in text
    assert "o0 -.->|\"#124;dh'#124; " in text


def test_dotted_arrows_are_the_ones_that_are_coloured():
    text = mermaid(view(of_cell(lstm, 3)), "")
    arrows = [line for line in text.splitlines() if re.match(r" *[no]\d+ (==>|-\.)", line)]
    (numbers,) = re.findall(r"linkStyle ([\d,]+)", text)
    assert [int(k) for k in numbers.split(",")] == [k for k, line in enumerate(arrows) if "-.->" in line]


def test_a_fold_is_one_box_and_steps_are_frames():
    folded = mermaid(view(of_cell(lstm, 100)), "")
    assert folded.count("steps 2 to 97") == 1
    assert 'subgraph s1["lstm, step 1"]' in mermaid(view(of_cell(lstm, 3), level="op"), "")


def test_a_cut_is_a_line_without_arrows():
    graph = view(of_cell(lstm, 4, truncate=2), fold="none")
    text = mermaid(graph, "")
    cuts = [edge for edge in graph.edges if edge.cut]
    assert len(cuts) == 2 and text.count("✂") == 2
    for edge in cuts:
        assert f'{edge.source} -. "✂" .- {edge.target}' in text
        assert f"{edge.target} -.->" not in [line.strip()[: len(edge.target) + 5] for line in text.splitlines()
                                             if line.endswith(f" {edge.source}")]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_out(name):
    x = tg.tensor(np.ones((2, 2)), requires_grad=True, name=name)
    with tg.scope(name):
        y = tg.tanh(x)
        y.name = name
    text = mermaid(view(of_tensor(tg.sum(y * y))), name)
    assert_written_well(text)
    text.encode()
    assert "javascript:" not in text.split("flowchart", 1)[1]


def test_text_is_cut_and_escaped_once():
    assert escaped('a"b#c') == "a#34;b#35;c"
    assert escaped("x" * 1000) == "x" * (LONGEST - 1) + "…"
    assert escaped("a\nb\0c") == "a b c"


def test_a_graph_that_is_used_up_says_so():
    x = tg.tensor(np.ones(3), requires_grad=True, name="x")
    y = tg.sum(x * 2.0)
    y.backward()
    text = mermaid(view(of_tensor(y)), "")
    assert "%% backward() has let go" in text
    assert_written_well(text)


def test_the_same_text_again():
    assert mermaid(view(of_cell(lstm, 12)), "t") == mermaid(view(of_cell(lstm, 12)), "t")
