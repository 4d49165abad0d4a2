"""The page without a browser: it needs no network, its data fit its picture, and no text of a user becomes markup."""

import html
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.draw.formats.html import POLICY, Reader, View, data, escaped, order, page
from tinygrad_rnn.draw.model import Graph
from tinygrad_rnn.draw.scene.geometry import Scene

HOSTILE = ["<b>bold</b>", "a\"b'c", "a\nb", "a\0b", "javascript:alert(1)", "</script><script>alert(1)</script>",
           "--><!--", "]]>", "&amp;&#60;", "{}{0}%s\\", "\ud800", "\u2028\u2029\u202e", "x" * 1000,
           "</title></pre>"]  # fmt: skip
CELLS = ["rnn", "lstm", "gru", "gru_after", "peephole_lstm", "layer_norm_lstm", "mgu"]
WAYS = {"one": {}, "three": {"steps": 3}, "folded": {"steps": 20}, "operations": {"steps": 3, "level": "op"},
        "modules": {"steps": 6, "level": "module"}, "adjoint": {"expand": "adjoint"}, "affine": {"affine": True},
        "last": {"steps": 12, "last": True}, "truncated": {"steps": 12, "truncate": 4}}  # fmt: skip


class Page(HTMLParser):
    """The elements of a page, and what is written in those that hold raw text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.raw, self.inside = [], {}, ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.inside = dict(attrs).get("id") or tag
        self.elements.append((tag, dict(attrs)))

    handle_startendtag = handle_starttag

    def handle_data(self, text):
        self.raw[self.inside] = self.raw.get(self.inside, "") + text

    def tags(self):
        return [tag for tag, _ in self.elements]

    def ids(self):
        return [attrs["id"] for _, attrs in self.elements if "id" in attrs]

    def views(self):
        return json.loads(self.raw["data"])["views"]


@pytest.fixture(scope="module")
def folded():
    return tg.draw(tg.lstm, steps=20)


def test_it_needs_no_network(folded):
    text = folded.html()
    assert "http" not in text.replace("http-equiv", "")
    assert "//" not in re.sub(r"<script>.*?</script>", "", text, flags=re.S)  # there it begins a comment
    assert f'content="{POLICY}"' in text and "default-src 'none'" in POLICY
    found = Page(text)
    assert found.tags().count("svg") == 2 + len(folded.opened.boxes) == 6
    assert "?xml" not in text and text.count("<!") == 1
    for tag, attrs in found.elements:
        assert tag not in ("a", "img", "link", "iframe", "base", "image", "use", "foreignobject")
        assert not [name for name in attrs if name.startswith("on") or "href" in name or name in ("src", "style")]


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_mark_is_a_part_of_the_picture_and_of_the_graph(way):
    picture = tg.draw(tg.lstm, **way)
    found = Page(picture.html())
    ids = found.ids()
    assert len(ids) == len(dict.fromkeys(ids))
    graphs = [graph for graph in (picture.graph, picture.opened.fold, *picture.opened.boxes.values()) if graph]
    for view, graph in zip(found.views(), graphs, strict=True):
        assert view["graph"] == json.loads(graph.to_json(6))
        known = dict.fromkeys(one.id for one in graph.nodes)
        assert view["order"] == [k for k in range(len(graph.edges)) if graph.edges[k].gradient is not None][::-1]
        for id, mark in view["marks"].items():
            assert id in ids
            assert all(of in known for of in mark["of"]) and (mark["of"] or mark["edges"])
            assert all(0 <= k < len(graph.edges) for k in mark.get("edges", []))
            assert -1 <= mark.get("when", -1) < len(view["order"])


@pytest.mark.sampled(every=4, by=lambda **_: [])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("name", CELLS)
def test_every_line_is_known_and_waits_for_its_edges(name, way):
    picture = tg.draw(getattr(tg, name), **way)
    marks, steps = Reader(View(picture.graph, picture.scene)).marks(), order(picture.graph)
    lines = [line for line in picture.scene.lines if line.look in ("forward", "backward", "cut", "zero")]
    for line in lines:
        if not line.id.startswith("key"):
            mark = marks[line.id]
            own = [steps.index(k) for k in mark["edges"] if k in steps]
            assert line.about is None or line.about in mark["edges"]
            assert line.look in ("forward", "cut") or not own or mark["when"] == max(own)


def test_a_line_into_a_branch_waits_for_all_uses():
    picture = tg.draw(tg.lstm, layout="layered")
    graph, marks = picture.graph, Reader(View(picture.graph, picture.scene)).marks()
    cell = graph["c'"].id
    trunk = next(mark for mark in marks.values() if "when" in mark and mark["ends"] == (cell, f"{cell}d"))
    (use,) = graph.uses(cell)
    assert order(graph)[trunk["when"]] == graph.edges.index(use) and trunk["of"] == [cell]
    outside = next(mark for mark in marks.values() if "when" in mark and mark["ends"] == (f"{cell}d", f"{cell}e0"))
    assert outside["when"] == -1  # it is there from the start


def test_data_are_plain_json_without_markup():
    content = {"text": "".join(HOSTILE), "list": [1.5, None, True]}
    made = data(content)
    assert json.loads(made) == content and made.isascii() and not [c for c in "<>&\n" if c in made]


@pytest.mark.parametrize("name", HOSTILE)
def test_text_stays_text(name):
    made = escaped(name)
    assert not [c for c in "<>\"'\0\u2028\u202e\ud800" if c in made]
    made.encode()
    assert len(html.unescape(made)) == len(name)


@pytest.mark.sampled(every=4, by=lambda **_: [])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_adds_no_element(name):
    def run(title):
        x = tg.tensor(np.ones((2, 3)), requires_grad=True)
        with tg.scope(title):
            y = tg.tanh(x)
        return Page(tg.draw((y * y).sum(), title=title).html())

    tame, wild = run("tame"), run(name)
    assert wild.tags() == tame.tags() and wild.ids() == tame.ids()
    assert [sorted(attrs) for _, attrs in wild.elements] == [sorted(attrs) for _, attrs in tame.elements]
    assert name in [node["scope"] for node in wild.views()[0]["graph"]["nodes"]]


def test_a_page_of_a_graph_has_its_title_and_its_text(folded):
    assert html.escape(folded.text()) in folded.html()
    assert page([View(Graph("empty"), Scene())], "<i>", "light", "<u>").count("&lt;") == 4


def test_a_page_follows_the_reader_unless_it_was_drawn_dark():
    light, dark = (tg.draw(tg.rnn, theme=theme).html() for theme in ("light", "dark"))
    assert '<html lang="en">' in light and '<html lang="en" data-theme="dark">' in dark
    pictures = [re.findall(r"<svg.*?</svg>", text, flags=re.S)[0] for text in (light, dark)]
    assert pictures[0] == pictures[1] and not re.search("#[0-9a-f]{6}", pictures[0])
