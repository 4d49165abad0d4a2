"""Pictures over time: rows of steps in columns, stacked upward, joined by lines to the operations around them."""

import functools

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.seen import Seen, crossings, on_lines, on_texts, through_boxes
from tinygrad_rnn import draw, models
from tinygrad_rnn.draw.scene.aspect import readable, text_height

IDS, TARGETS = np.array([[1, 4, 2, 0, 3], [3, 3, 1, 5, 2]]), np.array([[4, 2, 0, 3, 1], [3, 1, 5, 2, 0]])


def language_model():
    return draw(models.BetterRnnlm(6, 3, dropout=0.0, rng=0).loss(IDS, TARGETS)[0])


def unrolled_by_hand():
    """A loop with an affine map and a loss in each step."""
    rng, total = np.random.default_rng(0), 0.0
    params = {name: tg.tensor(x, requires_grad=True) for name, x in tg.gru.init(rng, D=3, H=4).items()}
    embed, affine, h = tg.nn.Embedding(6, 3, rng=rng), tg.nn.Linear(4, 6, rng=rng), np.zeros((2, 4), "f")
    for t in range(3):
        h = tg.gru(embed(IDS[:, t]), h, **params)
        total = total + tg.softmax_cross_entropy(affine(h), TARGETS[:, t])
    return draw(total)


def fed_back():
    """What a step computes is the input of the next."""
    params = {name: tg.tensor(x, requires_grad=True) for name, x in tg.gru.init(0, D=3, H=4).items()}
    x, h, affine = np.ones((2, 3), "f"), np.zeros((2, 4), "f"), tg.nn.Linear(4, 3, rng=0)
    for _ in range(3):
        h = tg.gru(x, h, **params)
        x = affine(h)
    return draw(tg.sum(x * x))


def first_state_computed():
    """The first state is an image, so to speak: computed by operations outside of the steps."""
    rng = np.random.default_rng(0)
    W = tg.tensor(rng.standard_normal((5, 4)).astype("f"), requires_grad=True, name="W0")
    layer = tg.nn.Recurrent(tg.gru, D=3, H=4, rng=rng)
    return draw(tg.sum(layer(np.ones((2, 3, 3), "f"), (tg.tanh(np.ones((2, 5), "f") @ W),))[0] ** 2))


def padded_attention():
    model = models.Seq2seq(6, 3, 4, start=0, reverse=True, layers=2, attention="general", rng=0)
    return draw(model.loss(IDS[:, :3], TARGETS[:, :2], np.array([2, 3])))


PICTURES = {
    "first state": first_state_computed, "padded": padded_attention,
    "cell": lambda: draw(tg.lstm, steps=4), "folded": lambda: draw(tg.gru, steps=30),
    "full": lambda: draw(tg.peephole_lstm, steps=30, fold="full"),
    "truncated": lambda: draw(tg.lstm, steps=6, truncate=2), "last": lambda: draw(tg.rnn, steps=20, last=True),
    "language model": language_model, "by hand": unrolled_by_hand, "fed back": fed_back,
    "tagger": lambda: draw(models.Tagger(6, 3, 4, 5, rng=0).loss(IDS, TARGETS % 5)),
    "encoder and decoder": lambda: draw(models.Seq2seq(6, 3, 4, start=0, layers=2, rng=0).loss(IDS, TARGETS[:, :3])),
    "peeky": lambda: draw(models.Seq2seq(6, 3, 4, start=0, peeky=True, rng=0).loss(IDS, TARGETS[:, :3])),
    "attention": lambda: draw(models.Seq2seq(6, 3, 4, start=0, attention="dot", rng=0).loss(IDS, TARGETS[:, :3])),
}  # fmt: skip
TANGLED = ("fed back", "padded")  # one text of theirs lies on a line
PLANAR = ("cell", "folded", "full", "truncated", "last", "language model", "by hand")


@pytest.fixture(scope="module", params=PICTURES)
def picture(request):
    return request.param, PICTURES[request.param]()


def test_no_text_lies_on_a_line_or_a_text_and_no_line_runs_through_a_box(picture):
    name, drawn = picture
    found = Seen(drawn.svg())
    found.lines = {id: line for id, line in found.lines.items() if not id.startswith("strip")}  # of a plot
    assert len(found.lines) > 10
    assert (on_lines(found) == [] or name in TANGLED) and on_texts(found) == [] and through_boxes(found) == []
    assert name not in PLANAR or crossings(found.lines) == []


def test_every_edge_between_boxes_is_a_line(picture):
    """Of every edge that is not inside of a step or a bar, nor from a parameter or constant, there is a line."""
    _, drawn = picture
    shown = {number for line in drawn.scene.lines for number in line.edges}
    bars = [shape.members for shape in drawn.scene.shapes if shape.members]
    missing = [edge for number, edge in enumerate(drawn.graph.edges) if number not in shown
               and not any(edge.source in bar and edge.target in bar for bar in bars)]  # fmt: skip
    kinds = [(drawn.graph.known[edge.source].kind, drawn.graph.known[edge.target].op) for edge in missing]
    assert all(source in ("parameter", "block") or op in ("getitem", "transpose") for source, op in kinds)


def test_what_is_computed_later_is_above_or_to_the_right(picture):
    name, drawn = picture
    shapes = {shape.id: shape for shape in drawn.scene.shapes}
    for line in drawn.scene.lines:
        source, target = shapes[line.source], shapes[line.target]
        upright = line.look == "forward" and source.look in ("box", "long") and target.look in ("box", "long")
        if upright and name != "fed back" and source is not target:
            assert target.y < source.y or (target.y == source.y and len({source.look, target.look}) == 1)


@pytest.mark.parametrize("steps", [3, 4, 12])
def test_two_directions_stand_side_by_side_and_no_line_crosses(steps):
    ids = np.arange(2 * steps).reshape(2, steps) % 6
    drawn = draw(models.Tagger(6, 3, 4, 5, rng=0).loss(ids, ids % 5))
    found = Seen(drawn.svg())
    assert crossings(found.lines) == on_texts(found) == on_lines(found) == through_boxes(found) == []
    known = drawn.graph.known
    boxes = [(known[shape.about].row, shape.x, shape.y) for shape in drawn.scene.shapes if shape.look == "box"]
    assert len({y for *_, y in boxes}) == 1
    rows = [row for row, *_ in sorted(boxes, key=lambda box: box[1])]
    assert rows == ([0, 0, 0, 1, 1, 1] if steps == 3 else [0, 0, 1, 1])
    assert [fold.count for fold in drawn.graph.folds] == [steps - 2] * 2 * (steps > 3)
    assert readable(drawn.scene) if steps < 12 else text_height(drawn.scene) > 11.5


def test_two_directions_of_which_one_reads_the_other_keep_their_steps():
    rng = np.random.default_rng(0)
    ahead = tg.nn.Recurrent(tg.gru, D=3, H=4, rng=rng)
    behind = tg.nn.Recurrent(tg.gru, D=4, H=4, rng=rng, reverse=True)
    assert not draw(tg.sum(behind(ahead(np.ones((2, 5, 3), "f"))[0])[0] ** 2)).graph.folds


def test_chains_of_operations_are_one_bar_where_the_text_would_be_too_small():
    drawn = draw(models.Seq2seq(6, 3, 4, start=0, attention="dot", rng=0).loss(IDS[:, :3], TARGETS[:, :2]))
    bars = [shape.lines[0] for shape in drawn.scene.shapes if shape.look == "long"]
    assert bars == ["embedding", "stack", "embedding", "stack", "swapaxes → @ → softmax",
                    "@ → concatenate → affine → softmax loss"]  # fmt: skip
    assert readable(drawn.scene) and "a bar is a chain of operations where the text would be too" in drawn.svg()
    assert "→" not in draw(models.Seq2seq(6, 3, 4, start=0, rng=0).loss(IDS[:, :3], TARGETS[:, :2])).svg()


def test_equal_steps_of_all_rows_stand_in_one_column():
    drawn = language_model()
    known, places = drawn.graph.known, {}
    for shape in drawn.scene.shapes:
        if shape.look == "box":
            places.setdefault(known[shape.about].step, []).append(shape.x)
    assert len(places) == 5 and all(len(xs) == 2 and xs[0] == xs[1] for xs in places.values())


def test_a_decoder_stands_beside_its_encoder():
    drawn = PICTURES["encoder and decoder"]()
    boxes = {row: [shape for shape in drawn.scene.shapes if shape.look == "box"
                   and drawn.graph.known[shape.about].row == row] for row in range(4)}  # fmt: skip
    for encoder, decoder in ((0, 2), (1, 3)):
        assert max(box.x for box in boxes[encoder]) < min(box.x for box in boxes[decoder])
        assert boxes[encoder][0].y == boxes[decoder][0].y


def test_one_body_shows_the_range_of_the_gradients_by_its_input_and_its_parameters():
    drawn = draw(tg.lstm, steps=20, fold="full")
    texts = [line for note in drawn.scene.notes for line in note.lines]
    graph = drawn.graph
    (edge,) = [edge for edge in graph.edges if graph.known[edge.source].kind == "input" and edge.extremes]
    assert f"|dx| {edge.extremes[0]:.2g} … {edge.extremes[1]:.2g}" in texts
    (box,) = [shape for shape in drawn.scene.shapes if shape.id == "w0"]
    assert [line for line in box.lines if "|" in line] == [
        f"|{name}| {total:.2g}" for name, total in graph.rows[0].totals.items()
    ]


def test_the_extremes_behind_a_fold_are_those_of_its_steps():
    open_, folded = (draw(tg.gru, steps=12, fold=fold).graph for fold in ("none", "full"))
    norms = [edge.gradient for edge in open_.edges if open_.known[edge.source].kind == "input"]
    (edge,) = [edge for edge in folded.edges if edge.extremes and folded.known[edge.source].kind == "input"]
    assert edge.extremes == (min(norms), max(norms)) and edge.gradient is None


@pytest.mark.parametrize("name", ["language model", "attention", "full"])
def test_the_backward_pass_moves_no_box_and_no_text(name, monkeypatch):
    both = PICTURES[name]().scene
    monkeypatch.setattr(f"{__name__}.draw", lambda *args, **options: tg.draw(*args, backward=False, **options))
    forward = PICTURES[name]().scene
    assert [line for line in forward.lines if line.look == "backward"] == []
    places = [[(shape.id, shape.x, shape.y) for shape in scene.shapes] for scene in (both, forward)]
    assert places[0] == places[1]
    lines = [[line.points for line in scene.lines if line.look == "forward"] for scene in (both, forward)]
    assert lines[0] == lines[1]


def test_many_operations_between_steps_are_one_bar():
    def f(xs):
        hs, _ = tg.scan(tg.rnn, xs, None, tg.rnn.init(0, D=3, H=4))
        for _ in range(40):
            hs = tg.tanh(hs * 1.01)
        return tg.sum(hs)

    lines = [line for shape in draw(f, np.ones((2, 3, 3), "f")).scene.shapes for line in shape.lines]
    assert any(line.endswith(" operations") for line in lines)


def test_a_picture_of_a_language_model_fits_a_slide():
    assert readable(draw(tg.lstm, steps=100).scene)
    assert readable(draw(models.BetterRnnlm(6, 3, dropout=0.0, rng=0).loss(IDS[:, :4], TARGETS[:, :4])[0]).scene)


@pytest.mark.parametrize("name", ["language model", "encoder and decoder", "tagger", "attention", "by hand"])
def test_operations_of_steps_and_outside_of_them_are_joined_by_lines(name, monkeypatch):
    """Every edge is a line, every use of a parameter has its box, and values have the number of their step."""
    monkeypatch.setitem(globals(), "draw", functools.partial(draw, level="op"))
    drawn = PICTURES[name]()
    scene, known = drawn.scene, drawn.graph.known
    shapes = {shape.id: shape for shape in scene.shapes}
    joined = {line.about for line in scene.lines if line.look == "forward"}
    ways = {(shapes[line.source].about, shapes[line.target].about) for line in scene.lines if line.source in shapes}
    for number, edge in enumerate(drawn.graph.edges):
        inner = "block" in (known[edge.source].kind, known[edge.target].kind)
        sliced = known[edge.target].op == "getitem" or known[edge.target].kind == "value"  # these are ports of a box
        absorbed = known[edge.source].kind == "constant" and known[edge.source].shape == ()
        assert number in joined or inner or sliced or absorbed or (edge.source, edge.target) in ways, edge
    texts = [text for shape in scene.shapes for text in shape.lines] + [note.lines[0] for note in notes(scene)]
    assert {"h₀", "h₁"} <= set(texts) and not any("…" in text for text in texts if not text.startswith("by step"))
    parameters = [shape for shape in scene.shapes if shape.look == "parameter" and "Wh" in shape.lines]
    steps = {(vertex.row, vertex.step) for vertex in drawn.graph if vertex.kind in ("operation", "fold")}
    assert len(parameters) == len([row for row, _ in steps if row is not None]) or name == "by hand"


def notes(scene):
    return [note for line in scene.lines for note in line.notes] + scene.notes


def test_operations_of_steps_that_cannot_be_read_on_a_slide_say_so():
    assert "the smallest text is 6 px on a slide of 1280 x 720" in draw(tg.lstm, steps=3, level="op").svg()
    assert "the smallest text" not in draw(tg.lstm, steps=3).svg()
