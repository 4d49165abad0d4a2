"""Write the pictures that the tests compare with: ``python tests/draw/golden.py``. Look before you keep them."""

from pathlib import Path

from tinygrad_rnn import draw
from tinygrad_rnn.cells.builtin import BUILT_IN

if __name__ == "__main__":
    for name in ("rnn", "lstm", "gru", "peephole_lstm"):
        print(draw(BUILT_IN[name]).save(Path(__file__).parent / "golden" / f"{name}.dot"))
