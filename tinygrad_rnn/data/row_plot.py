"""The rows of a batch and their offsets, as an SVG picture."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..files import write_whole
from .corpus import integer
from .windows import Windows

LEFT, WIDTH, LANE, HEAD = 70, 800, 14, 34  #: pixels: labels, the text, the height of a row, and of a title
FIRST, EVEN, ODD = (
    "#D55E00",
    "#0072B2",
    "#56B4E9",
)  #: colours of the first window and of the others (Okabe and Ito 2008)


def plot_rows(batches: Windows, path: str | os.PathLike[str], epochs: int = 2) -> None:
    """Write the windows of the first ``epochs`` epochs to the SVG file ``path``: where each lies in the text.

    From left to right is the text, with a dotted line at each offset. A line of boxes is a row of the batch, a box is a
    window; the first window of an epoch is orange. (*Deep Learning from Scratch 2*, figure 5-15.) Raises InvalidValue
    if ``epochs`` is not a positive int, OSError if the file cannot be written.
    """
    epochs = integer("plot_rows", "epochs", epochs)
    scale, lanes = WIDTH / len(batches.ids), LANE * batches.N
    parts = []
    for k in range(epochs):
        top = k * (lanes + HEAD) + HEAD
        parts.append(f'<text x="{LEFT}" y="{top - 10}">epoch {k}: {len(batches)} windows of {batches.N} rows, '
                     f"{batches.T} words each</text>")  # fmt: skip
        for row, offset in enumerate(batches.offsets.tolist()):
            x, y = LEFT + offset * scale, top + row * LANE
            parts.append(f'<text x="{LEFT - 8}" y="{y + 11}" text-anchor="end">{offset}</text>')
            parts.append(f'<path d="M{x:.2f} {top}v{lanes}" stroke="#999" stroke-dasharray="2 2"/>')
            for first, last, colour in boxes(batches.epoch(k), row):
                parts.append(f'<rect x="{LEFT + first * scale:.2f}" y="{y + 2}" width="{(last - first) * scale:.2f}" '
                             f'height="{LANE - 4}" fill="{colour}"/>')  # fmt: skip
    size = f'width="{LEFT + WIDTH + 20}" height="{epochs * (lanes + HEAD) + 12}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">'
    write_whole(path, "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>"]) + "\n")


def boxes(batches: Windows, row: int) -> Iterator[tuple[int, int, str]]:
    """First word, word after the last, and colour of each window of the row; two boxes where it runs over the end."""
    for k in range(len(batches)):
        places = batches.places(k * batches.T, min((k + 1) * batches.T, batches.steps))[row].tolist()
        cut = 1 + next((t for t in range(len(places) - 1) if places[t + 1] != places[t] + 1), len(places) - 1)
        for part in (places[:cut], places[cut:]):
            if part:
                yield part[0], part[-1] + 1, FIRST if k == 0 else (EVEN, ODD)[k % 2]
