"""Draw the pictures of README.md, the docs and the gallery: ``python docs/pictures/make.py``.

``my_lstm`` is the cell of the README, written there in full; ``cells.py`` has the cells from papers and the models.
"""

import sys
from pathlib import Path

import tinygrad_rnn as tg
from tinygrad_rnn import Param, sigmoid, tanh
from tinygrad_rnn.cells.builtin import BUILT_IN

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "tests")]

from cells import MODELS, PAPERS  # noqa: E402  (beside this file)
from helpers.seen import measured  # noqa: E402


@tg.cell
def my_lstm(x, h, c, *, Wx=Param("D H", "fgio"), Wh=Param("H H", "fgio"), b=Param("H", "fgio")):
    """Long short-term memory, one line an equation."""
    f = sigmoid(x @ Wx.f + h @ Wh.f + b.f)  # forget
    g = tanh(x @ Wx.g + h @ Wh.g + b.g)  # new memory
    i = sigmoid(x @ Wx.i + h @ Wh.i + b.i)  # input
    o = sigmoid(x @ Wx.o + h @ Wh.o + b.o)  # output
    c = f * c + g * i
    h = o * tanh(c)
    return h, c


PICTURES = {
    "lstm": (my_lstm, {}),
    "gru": (tg.gru, {}),
    "adjoint": (tg.lstm, {"expand": "adjoint"}),
    "steps": (tg.lstm, {"steps": 20}),
    "full": (tg.lstm, {"steps": 20, "fold": "full"}),
    "last": (tg.rnn, {"steps": 20, "last": True}),
    "truncated": (tg.lstm, {"steps": 4, "truncate": 2}),
    "check": (tg.lstm, {"mark": [("o", "h'")]}),
}
GALLERY = """\
# Gallery

One step of every built-in cell, ten cells from papers, and four models over time, as `tg.draw` draws them. The page
is made by `python docs/pictures/make.py`. [Reading the picture](picture.md) explains the marks.

The table tells how the pictures look on a slide of 1280 x 720: the pixels of the smallest text, width / height, how
many lines of the forward pass cross, and how many texts or lines lie on something else.

| picture | smallest text | aspect | crossings | overlaps |
|---|---|---|---|---|
{table}

{sections}
"""


def gallery() -> str:
    """Draw the pictures of the gallery; returns its page."""
    targets = [("Built-in cells", BUILT_IN), ("Cells from papers", PAPERS), ("Models", MODELS)]
    rows, sections = [], []
    for title, members in targets:
        sections.append(f"## {title}")
        for name, member in members.items():
            about = " ".join((member.__doc__ or "").split("\n\n")[0].split())
            picture = tg.draw(member(), title=name.replace("_", " ")) if title == "Models" else tg.draw(member)
            (HERE / "gallery").mkdir(exist_ok=True)
            (HERE / "gallery" / f"{name}.svg").write_text(picture.svg(), encoding="utf-8", newline="\n")
            text, aspect, crossed, over = measured(picture)
            rows.append(f"| [{name}](#{name}) | {text:.1f} px | {aspect:.2f} | {crossed} | {over} |")
            sections.append(f"### {name}\n\n{about}\n\n![{name}](pictures/gallery/{name}.svg)")
    return GALLERY.format(table="\n".join(rows), sections="\n\n".join(sections))


if __name__ == "__main__":
    for name, (cell, options) in PICTURES.items():
        print(tg.draw(cell, **options).save(HERE / f"{name}.svg"))
    (HERE.parent / "gallery.md").write_text(gallery(), encoding="utf-8", newline="\n")
