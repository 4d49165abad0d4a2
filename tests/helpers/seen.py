"""What is seen in an SVG: its lines, boxes and texts, and whether they lie on each other."""

import itertools
import re
import xml.etree.ElementTree as ET

SVG = "{http://www.w3.org/2000/svg}"


class Seen:
    """The pieces of lines, the boxes and the texts of an SVG, as rectangles (left, top, right, bottom)."""

    def __init__(self, svg):
        root = ET.fromstring(svg)
        self.boxes, self.lines, self.texts, self.sizes = {}, {}, [], []
        self.view = [float(part) for part in root.get("viewBox").split()]
        for group in root.iter(f"{SVG}g"):
            kind = group.get("class").split()[0]
            point = group.get("class").startswith(("node dot", "node joint"))
            for part in group:
                if part.tag == f"{SVG}text":
                    self.add_text(part)
                elif kind == "node" and part.tag in (f"{SVG}rect", f"{SVG}circle") and not point:
                    self.boxes.setdefault(group.get("id"), rectangle(part))
                elif part.tag == f"{SVG}path" and kind == "edge":
                    points = [tuple(map(float, pair.split())) for pair in re.split("[ML]", part.get("d"))[1:]]
                    self.lines[group.get("id")] = list(itertools.pairwise(points))
        for part in root.findall(f"{SVG}text"):
            self.add_text(part)

    def add_text(self, part):
        size, text = float(part.get("font-size")), part.text
        x, y, wide = float(part.get("x")), float(part.get("y")), 0.5 * size * len(text)
        self.sizes.append(size)
        self.texts.append((text, (x - wide / 2, y - 0.72 * size, x + wide / 2, y + 0.05 * size)))


def rectangle(part):
    number = {key: float(value) for key, value in part.items() if re.fullmatch(r"-?[\d.]+", value)}
    if part.tag == f"{SVG}circle":
        x, y, r = number["cx"], number["cy"], number["r"]
        return x - r, y - r, x + r, y + r
    return number["x"], number["y"], number["x"] + number["width"], number["y"] + number["height"]


def touch(a, b, by=0.0):
    """Do two rectangles share more than ``by``?"""
    return min(a[2], b[2]) - max(a[0], b[0]) > by and min(a[3], b[3]) - max(a[1], b[1]) > by


def around(piece):
    (ax, ay), (bx, by) = piece
    return min(ax, bx) - 0.01, min(ay, by) - 0.01, max(ax, bx) + 0.01, max(ay, by) + 0.01


def crossings(lines):
    """Pairs of lines whose pieces share a point that is inside of both."""
    pieces = [(id, around(piece)) for id, line in lines.items() for piece in line]
    return [(a, b) for (a, first), (b, second) in itertools.combinations(pieces, 2)
            if a[1:] != b[1:] and touch(first, second)]  # fmt: skip


def on_lines(found):
    """The texts that lie on a line."""
    pieces = [around(piece) for line in found.lines.values() for piece in line]
    return [text for text, place in found.texts if any(touch(place, piece) for piece in pieces)]


def on_texts(found):
    """The pairs of texts that lie on each other."""
    return [(a, b) for (a, first), (b, second) in itertools.combinations(found.texts, 2) if touch(first, second)]


def through_boxes(found, by=1.2):
    """The lines that run through a box."""
    return [(id, box) for id, line in found.lines.items() for piece in line
            for box, edges in found.boxes.items() if touch(around(piece), edges, by)]  # fmt: skip
