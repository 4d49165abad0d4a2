"""The layout: what holds for every graph, tried on random ones, and the step of an LSTM."""

import sys
from copy import deepcopy
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.draw.scene.layout import Box, Link, place
from tinygrad_rnn.draw.scene.layout.columns import BOX, Columns, Item, Join
from tinygrad_rnn.draw.scene.layout.heights import Heights
from tinygrad_rnn.draw.scene.layout.order import arrange, crossings
from tinygrad_rnn.draw.scene.layout.ranks import ranks
from tinygrad_rnn.draw.scene.theme import width

NEAR = 1e-6
LANES = [None, None, None, 0.0, 0.0, 0.1, 0.2, 0.9, 1.0, 1.0]
sizes = st.integers(0, 120).map(float)
NARROW = {"size": lambda width, height: width}  # any layout is too wide


@st.composite
def graphs(draw, most=12):
    """Boxes in any order, links that go round in no circle, sizes, ports, ranks, lanes and orders at random."""
    count = draw(st.integers(1, most))
    ports, lanes = st.sampled_from([(), *map(tuple, ("f", "fg", "fgio"))]), st.sampled_from(LANES)
    boxes = [Box(f"b{k}", draw(sizes), draw(sizes), draw(ports), lane=draw(lanes)) for k in range(count)]
    links = []
    for a, b in draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=2 * most)):
        if a < b:
            port = draw(st.sampled_from(["", *boxes[a].ports]))
            links.append(Link(f"b{a}", f"b{b}", port, draw(sizes), draw(sizes), draw(st.integers(0, 2))))
    for box in boxes:
        ends = [rank for rank in (0, -1) if all(box.key != (link.target, link.source)[rank] for link in links)]
        box.rank = draw(st.sampled_from([None, *ends]))
    return draw(st.permutations(boxes)), links


# -- the checkers ------------------------------------------------------------------------------------------------------


def rectangles(boxes, links):
    """(what, left, right, top, bottom) of every box and every label."""
    placed = [(box.key, box.x, box.y, box.width, box.height) for box in boxes]
    placed += [(k, *link.at, link.width, link.height) for k, link in enumerate(links)]
    return [(what, x - w / 2, x + w / 2, y - h / 2, y + h / 2) for what, x, y, w, h in placed]


def overlaps(boxes, links):
    """Pairs of boxes or labels that lie on top of each other."""
    found = []
    for one, other in combinations(rectangles(boxes, links), 2):
        wide = min(one[2], other[2]) - max(one[1], other[1])
        high = min(one[4], other[4]) - max(one[3], other[3])
        if wide > NEAR and high > NEAR:
            found.append((one[0], other[0]))
    return found


def trespasses(boxes, links):
    """Links that run through a box or a label that is not theirs."""
    found = []
    for k, link in enumerate(links):
        for what, left, right, top, bottom in rectangles(boxes, links):
            if what not in (link.source, link.target, k):
                for start, end in pairwise(link.points):
                    if crosses(start, end, left, right, top, bottom):
                        found.append((k, what))
    return found


def crosses(start, end, left, right, top, bottom):
    """Does a piece of line run through the inside of a rectangle?"""
    (a, b), (c, d) = sorted((start, end))
    low, high = max(a, left + NEAR), min(c, right - NEAR)
    if low > high:
        return False
    ys = [b + (d - b) * (x - a) / (c - a) for x in (low, high)] if c > a else [b, d]
    return max(ys) > top + NEAR and min(ys) < bottom - NEAR


def rails(boxes):
    """The boxes on each lane, from left to right: the first one that is given for a column."""
    found = {}
    for box in boxes:
        if box.lane is not None:
            found.setdefault(box.lane, {}).setdefault(box.column, box)
    return {lane: [on[column] for column in sorted(on)] for lane, on in found.items()}


def level(link):
    return max(y for _, y in link.points) - min(y for _, y in link.points) < NEAR


# -- what holds for every graph ----------------------------------------------------------------------------------------


@given(graphs(), st.booleans())
def test_no_two_slots_overlap(graph, in_rows):
    place(*graph, **NARROW if in_rows else {})
    assert overlaps(*graph) == []


@given(graphs(), st.booleans())
def test_no_line_runs_through_what_is_not_its_own(graph, in_rows):
    place(*graph, **NARROW if in_rows else {})
    assert trespasses(*graph) == []


@given(graphs())
def test_no_two_lines_from_different_places_run_on_top_of_each_other(graph):
    place(*graph)
    seen = {}
    for link in graph[1]:
        for (a, y), (b, z) in pairwise(link.points[1:-1]):
            if y == z and b > a:
                assert seen.setdefault((a, b, y), (link.source, link.port)) == (link.source, link.port)


@given(graphs())
def test_a_link_leads_strictly_from_left_to_right(graph):
    boxes, links = graph
    place(boxes, links)
    columns = {box.key: box.column for box in boxes}
    for link in links:
        assert columns[link.source] < columns[link.target]
        assert link.points[0][0] < link.points[-1][0]
        assert all(a[0] <= b[0] for a, b in pairwise(link.points))
        assert all(a[0] < b[0] or a[1] == b[1] for a, b in pairwise(link.points))


@given(graphs())
def test_a_link_begins_at_its_port_passes_its_label_and_ends_at_its_target(graph):
    boxes, links = graph
    place(boxes, links)
    by_key = {box.key: box for box in boxes}
    for link in links:
        source, target = by_key[link.source], by_key[link.target]
        part = (source.ports.index(link.port) + 0.5) / len(source.ports) if link.port else 0.5
        leaves = source.y + (part - 0.5) * source.height
        assert link.points[0] == pytest.approx((source.x + source.width / 2, leaves))
        assert link.points[-1][0] == pytest.approx(target.x - target.width / 2)
        assert abs(link.points[-1][1] - target.y) <= 0.3 * target.height + NEAR
        x, y = link.at
        assert any(a[0] <= x <= b[0] and a[1] == b[1] == y for a, b in pairwise(link.points)) or link.width == 0


@given(graphs())
def test_rails_are_straight(graph):
    boxes, links = graph
    place(boxes, links)
    for lane in rails(boxes).values():
        assert max(box.y for box in lane) - min(box.y for box in lane) < NEAR
        for source, target in pairwise(lane):
            between = [link for link in links if (link.source, link.target) == (source.key, target.key)]
            assert not between or level(between[0]) or between[0].port


@given(graphs())
def test_nothing_is_above_a_top_rail_or_below_a_bottom_rail(graph):
    boxes, links = graph
    place(boxes, links)
    all_of_it = rectangles(boxes, links)
    for lane, on in rails(boxes).items():
        ends = [(source.key, target.key) for source, target in pairwise(on)]
        keys = [box.key for box in on] + [k for k, link in enumerate(links) if (link.source, link.target) in ends]
        for what, left, right, *_ in all_of_it:
            for other, west, east, top, bottom in all_of_it:
                if what in keys and max(left, west) < min(right, east) and lane in (0.0, 1.0):
                    away = (top + bottom) / 2 - on[0].y
                    assert away >= -NEAR if lane == 0.0 else away <= NEAR, (what, other)


@given(graphs(), st.booleans())
def test_all_is_within_the_size(graph, in_rows):
    width, height = place(*graph, **NARROW if in_rows else {})
    for _, left, right, top, bottom in rectangles(*graph):
        assert -NEAR <= left <= right <= width + NEAR and -NEAR <= top <= bottom <= height + NEAR
    for link in graph[1]:
        assert all(-NEAR <= x <= width + NEAR and -NEAR <= y <= height + NEAR for x, y in link.points)


@given(graphs())
def test_the_same_graph_gets_the_same_layout_again(graph):
    boxes, links = deepcopy(graph)
    size = place(*graph)
    assert place(boxes, links) == size == place(*graph)
    assert (list(boxes), links) == (list(graph[0]), graph[1])


@given(st.integers(2, 5), st.integers(3, 12))
def test_lines_that_go_around_the_end_of_a_row_keep_their_order(lines, length):
    """Parallel chains stay apart: every upright piece meets the level pieces of its own line alone."""
    keys = [[f"{line},{k}" for k in range(length)] for line in range(lines)]
    boxes = [Box(key, 40.0, 20.0) for row in keys for key in row]
    links = [link for row in keys for link in chain(*row, width=30.0, height=10.0)]
    plain, _ = place(deepcopy(boxes), deepcopy(links))
    wide, _ = place(boxes, links, **NARROW)
    assert wide < 0.9 * plain or length < 4
    pieces = [(link.source[0], *sorted(piece)) for link in links for piece in pairwise(link.points)]
    for row, (x, top), (_, bottom) in (piece for piece in pieces if piece[1][0] == piece[2][0]):
        for other, (left, y), (right, z) in pieces:
            assert row == other or y != z or not (left < x < right and top < y < bottom)


def test_a_layout_has_no_more_rows_than_it_needs():
    boxes = [Box(f"b{k}", 40.0, 20.0) for k in range(20)]
    links = chain(*(box.key for box in boxes))
    rows = {}
    for most in (1400, 700, 520):
        place(boxes, links, size=lambda width, height, most=most: width / most)
        rows[most] = len({box.y for box in boxes})
    assert rows == {1400: 1, 700: 2, 520: 3}


@given(graphs())
def test_links_enter_by_their_order(graph):
    boxes, links = graph
    place(boxes, links)
    for one, other in combinations(links, 2):
        if one.target == other.target and {box.key: box for box in boxes}[one.target].lane is None:
            a, b = one.points[-1][1], other.points[-1][1]
            assert one.order == other.order or a == b or (a < b) == (one.order < other.order)


# -- the steps ---------------------------------------------------------------------------------------------------------


def chain(*keys, **links):
    return [Link(a, b, **links) for a, b in pairwise(keys)]


def test_a_box_stands_at_the_longest_way_and_a_parameter_just_before_its_use():
    boxes = [Box("x", 9, 9, rank=0), Box("W", 9, 9), Box("V", 9, 9), Box("early", 9, 9, rank=-1)]
    boxes += [Box(key, 9, 9) for key in "abcd"]
    place(boxes, [*chain("x", *"abcd"), Link("x", "c"), *chain("V", "W", "c"), Link("a", "early")])
    columns = {"x": 0, "a": 1, "b": 2, "c": 3, "d": 4, "V": 1, "W": 2, "early": 4}
    assert {box.key: box.column for box in boxes} == columns


@given(graphs())
def test_crossings_are_counted_right(graph):
    columns = Columns(*graph, ranks(*graph)).columns
    slow = 0
    for column in columns:
        lines = [
            (item.place + join.here / (item.height or 1), join.item.place + join.there / (join.item.height or 1))
            for item in column
            for join in item.right
        ]
        slow += sum((a - c) * (b - d) < 0 for (a, b), (c, d) in combinations(lines, 2))
    assert crossings(columns) == slow


@given(graphs())
def test_no_order_is_worse_than_the_one_given(graph):
    columns = Columns(*graph, ranks(*graph)).columns
    before = crossings(columns)
    arrange(columns)
    assert crossings(columns) <= before
    assert all([item.place for item in column] == list(range(len(column))) for column in columns)


def test_a_tangle_that_can_be_undone_is_undone():
    boxes = [Box(f"{side}{k}", 20, 20) for side in "ab" for k in range(6)]
    links = [Link(f"a{k}", f"b{(5 * k + 3) % 6}") for k in range(6)]
    place(boxes, links)
    assert all(level(link) for link in links)


def test_gates_keep_the_order_of_their_ports():
    for given_order in ("fgio", "oigf", "igof"):
        boxes = [Box("slice", 30, 170, tuple("fgio")), *(Box(key, 36, 36) for key in given_order), Box("end", 36, 36)]
        links = [Link("slice", key, key, 100, 30) for key in given_order]
        place(boxes, links + [Link(key, "end", "", 100, 30) for key in given_order])
        assert [box.key for box in sorted(boxes[1:5], key=lambda box: box.y)] == list("fgio")


def test_beside_a_rail_others_enter_by_their_order():
    for lane, sign in ((0.0, 1), (1.0, -1)):
        boxes = [Box("c", 40, 30, lane=lane), Box("a", 40, 30), Box("b", 40, 30), Box("+", 40, 40, lane=lane)]
        links = [Link("b", "+", "", 50, 20, 2), Link("c", "+", "", 50, 20, 1), Link("a", "+", "", 50, 20, 0)]
        place(boxes, links)
        b, c, a = (link.points[-1][1] - boxes[3].y for link in links)
        assert [a, b] == pytest.approx([6, 12] if sign > 0 else [-12, -6]) and c == 0


def test_where_there_are_two_rails_all_is_between_them():
    boxes = [Box("c", 20, 50, lane=0.0, rank=0), Box("h", 20, 50, lane=1.0, rank=0), *(Box(k, 20, 20) for k in "abde")]
    for rail in "ch":
        _, height = place(boxes, [Link(rail, key) for key in "abde"])
        assert (boxes[0].y, boxes[1].y) == pytest.approx((25, height - 25))


numbers = st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 9), st.integers(0, 30)), min_size=1, max_size=8)


@given(numbers, st.data())
def test_a_column_lies_at_the_least_sum_of_squares(items, data):
    column = [Item(1, 0.0, float(height), BOX, None, k) for k, (_, _, height) in enumerate(items)]
    for item, (wanted, weight, _) in zip(column, items):
        item.left.append(Join(Item(0, 0.0, 0.0, BOX, None, 0), 0.0, 0.0, float(weight)))
        item.left[0].item.y = float(wanted)
    Heights([column], 5.0).relax(column, -1)
    ys = [item.y for item in column]
    assert apart(column, ys, NEAR)
    first = data.draw(st.integers(0, len(column) - 1))
    last = data.draw(st.integers(first, len(column) - 1))
    for step in (-0.01, 0.01):  # the sum is convex: it is least if no block can go up or down
        moved = [y + step * (first <= k <= last) for k, y in enumerate(ys)]
        assert not apart(column, moved, 0.0) or cost(column, moved) >= cost(column, ys) - NEAR


def apart(column, ys, near):
    """Is there a gap of 5 between all items?"""
    return all(d - b >= (a.height + c.height) / 2 + 5 - near for (a, b), (c, d) in pairwise(zip(column, ys)))


def cost(column, ys):
    return sum(join.weight * (join.item.y - y) ** 2 for item, y in zip(column, ys) for join in item.left)


# -- the step of an LSTM -----------------------------------------------------------------------------------------------


def lstm():
    boxes = [Box("c", 40, 30, rank=0, lane=0.0), Box("x", 40, 30, rank=0), Box("h", 40, 30, rank=0, lane=1.0)]
    boxes += [Box(key, 60, 30) for key in ("Wx", "Wh", "b")]
    boxes += [Box(key, 36, 36, lane=lane) for key, lane in {"@x": None, "@h": 1.0, "+h": 1.0, "+b": 1.0}.items()]
    boxes += [Box("slice", 30, 170, tuple("fgio")), *(Box(key, 36, 36) for key in ("σf", "tanh g", "σi", "σo"))]
    boxes += [Box("⊙f", 36, 36, lane=0.0), Box("⊙i", 36, 36), Box("+c", 36, 36, lane=0.0), Box("dot", 8, 8, lane=0.0)]
    boxes += [Box("tanh c", 36, 36), Box("⊙o", 36, 36, lane=1.0)]
    boxes += [Box("c'", 40, 30, rank=-1, lane=0.0), Box("h'", 40, 30, rank=-1, lane=1.0)]
    ways = ["x @x +h +b slice", "h @h +h", "Wx @x", "Wh @h", "b +b", "c ⊙f +c", "σf ⊙f", "σi ⊙i +c", "dot c'"]
    links = [link for way in [*ways, "σo ⊙o h'"] for link in chain(*way.split(), width=100, height=30)]
    links += [Link("slice", key, key[-1], 100, 30) for key in ("σf", "tanh g", "σi", "σo")]
    links += [Link("tanh g", "⊙i", "", 100, 30), Link("tanh c", "⊙o", "", 100, 30)]
    return boxes, [*links, Link("+c", "dot", "", 0, 4), Link("dot", "tanh c", "", 0, 4)]


def test_the_step_of_an_lstm_is_compact_and_straight_and_its_lines_do_not_cross():
    boxes, links = lstm()
    width, height = place(boxes, links)
    assert width <= 1700 and height <= 450
    assert overlaps(boxes, links) == trespasses(boxes, links) == []
    rails_of_it = ["c ⊙f", "⊙f +c", "+c dot", "dot c'", "h @h", "@h +h", "+h +b", "⊙o h'"]
    assert sum(level(link) for link in links if f"{link.source} {link.target}" in rails_of_it) == len(rails_of_it)
    bends = sum(abs(b[1] - a[1]) > NEAR for link in links for a, b in pairwise(link.points))
    assert bends <= 22  # 39 before items in line are moved as one
    gates = [box for box in boxes if box.key in ("σf", "tanh g", "σi", "σo")]
    assert gates == sorted(gates, key=lambda box: box.y)
    parts = Columns(boxes, links, ranks(boxes, links))
    arrange(parts.columns)
    assert crossings(parts.columns) == 0


def test_a_planted_mistake_is_noticed():
    boxes, links = lstm()
    place(boxes, links)
    bad = deepcopy(links)
    bad[1].at = bad[0].at
    assert overlaps(boxes, bad) == [(0, 1)]
    box = next(box for box in boxes if box.key == "tanh c")
    box.y = boxes[0].y
    assert trespasses(boxes, links) == [(links.index(link), "tanh c") for link in links if link.target == "c'"]


# -- large and small, and errors ---------------------------------------------------------------------------------------


def lines_run(count, span):
    """How many lines run to place a chain of so many boxes, every fourth link of which goes over up to ``span``."""
    boxes = [Box(str(k), 36, 36) for k in range(count)]
    links = [Link(str(k), str(k + 1), "", 100, 30) for k in range(count - 1)]
    if span > 1:
        ends = [(k, min(count - 1, k + 1 + 7919 * k % span)) for k in range(count - 1)]
        links = links[::4] + [Link(str(start), str(end), "", 100, 30) for start, end in ends]
    lines = 0

    def trace(frame, event, _):
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        place(boxes, links)
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("span", [1, 2, 10])
def test_the_work_grows_as_the_graph_does(span):
    assert lines_run(400, span) < 2.5 * lines_run(200, span)


def test_what_runs_along_a_chain_is_one_straight_line():
    boxes = [Box(str(k), 36, 36) for k in range(1500)]
    links = chain(*(box.key for box in boxes))
    place(boxes, links)
    assert all(map(level, links))


def test_nothing_and_one_box_and_two_links_between_the_same_boxes():
    assert place([], []) == (0.0, 0.0)
    box = Box("a", 30, 20)
    assert place([box], []) == (30, 20) and (box.x, box.y) == (15, 10)
    boxes, links = [Box("a", 30, 20), Box("b", 30, 20)], [Link("a", "b", "", 50, 20), Link("a", "b", "", 50, 20)]
    place(boxes, links)
    assert overlaps(boxes, links) == [] and links[0].points[-1] != links[1].points[-1]


A, B = Box("a", 1, 1), Box("b", 1, 1)


@pytest.mark.parametrize("boxes, links, said", [
    ([A, B, Box("c", 1, 1)], chain("a", "b", "a", "c"), "the link a -> b closes a cycle"),
    ([A], chain("a", "a"), "the link a -> a closes a cycle"),
    ([A], chain("a", "z"), "the link a -> z has no box z"),
    ([A, Box("a", 2, 2)], [], "there are two boxes a"),
    ([Box("a", 1, 1, rank=3)], [], "box a has rank 3, should be 0, -1 or None"),
    ([Box("a", 1, float("nan"))], [], "has a size that is not a length"),
    ([A, B], chain("a", "b", port="f"), "leaves by port f, which a does not have"),
    ([A, Box("b", 1, 1, rank=0)], chain("a", "b"), "the link a -> b leads back into the first column"),
    ([Box("a", 1, 1, rank=-1), B], chain("a", "b"), "the link a -> b leads out of the last column"),
])  # fmt: skip
def test_what_cannot_be_laid_out_is_told_in_plain_words(boxes, links, said):
    with pytest.raises(ValueError, match=r"^layout: ") as error:
        place(boxes, links)
    assert said in str(error.value)


def test_a_width_is_the_same_in_every_order_of_its_letters():
    """Python's own sum rounds in another way from 3.12 on, and pictures would differ."""
    text = "gradient by x: ‖dWx‖ = 0.5, 12 steps" * 3
    orders = [sorted(text, key=key) for key in (ord, text.index, lambda c: -ord(c))]
    assert len(dict.fromkeys(width("".join(order), 1.0) for order in orders)) == 1
