"""The gallery is of every built-in cell, and its pictures are there."""

import re
from pathlib import Path

from tinygrad_rnn.cells.builtin import BUILT_IN

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_the_gallery_has_every_built_in_cell_and_its_measures():
    page = (DOCS / "gallery.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| \[(\w+)\]\(#\w+\) \| ([\d.]+) px \| ([\d.]+) \| (\d+) \| (\d+) \|", page)
    pictures = re.findall(r"!\[(\w+)\]\(pictures/gallery/(\w+)\.svg\)", page)
    assert [name for name, *_ in rows] == [name for name, _ in pictures] == [name for _, name in pictures]
    assert [name for name, *_ in rows][: len(BUILT_IN)] == list(BUILT_IN) and len(rows) == len(BUILT_IN) + 14
    for name, text, _, crossed, over in rows:
        assert float(text) >= 12 and crossed == over == "0", name
    assert {path.stem for path in (DOCS / "pictures" / "gallery").iterdir()} == {name for name, *_ in rows}
