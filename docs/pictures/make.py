"""Draw the pictures of README.md, docs/picture.md and docs/check.md: ``python docs/pictures/make.py``.

``my_lstm`` is the cell of the README, written there in full; the others are the built-in ones.
"""

from pathlib import Path

import tinygrad_rnn as tg
from tinygrad_rnn import Param, sigmoid, tanh

HERE = Path(__file__).parent


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

if __name__ == "__main__":
    for name, (cell, options) in PICTURES.items():
        print(tg.draw(cell, **options).save(HERE / f"{name}.svg"))
