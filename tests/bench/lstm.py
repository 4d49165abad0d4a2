"""One LSTM layer, forward and backward of ``sum(hs * dhs)``, float32: gradients of xs, Wx, Wh and b.

``python tests/bench/lstm.py``
"""

import ours
import tape_peers
import torch_peers
from baselines import LSTMStep, OwningStep, layer
from spec import Bench, Target
from table import main

SMALL, LARGE, LONG = "N20 T35 D100 H100", "N20 T35 D650 H650", "N1 T200 D32 H32"


def wanted(book: float, torch: float) -> tuple[Target, ...]:
    """The eager tape against the two ways of doing without it."""
    return Target("ours, eager", "book", book), Target("ours, eager", "torch, eager", torch)


BENCH = Bench(
    module="lstm",
    title="LSTM layer, forward + backward",
    baseline="book",
    contenders={
        "book": layer(OwningStep),
        "book, leaner": layer(LSTMStep),
        "torch, eager": torch_peers.eager,
        "torch, nn.LSTMCell": torch_peers.lstm_cell,
        "torch, nn.LSTM": torch_peers.lstm_layer,
        "autograd": tape_peers.autograd,
        "mygrad": tape_peers.mygrad,
        "ours, eager": ours.layer(ours.built_in, "eager"),
        "ours, nine lines, eager": ours.layer(ours.nine_lines, "eager"),
        "ours": ours.layer(ours.built_in, "auto"),
        "ours, nine lines": ours.layer(ours.nine_lines, "auto"),
    },
    sizes={
        SMALL: {"N": 20, "T": 35, "D": 100, "H": 100},
        LARGE: {"N": 20, "T": 35, "D": 650, "H": 650},
        LONG: {"N": 1, "T": 200, "D": 32, "H": 32},
    },
    targets={SMALL: wanted(0.95, 0.7), LARGE: wanted(0.85, 1.1), LONG: wanted(1.8, 0.7)},
)

if __name__ == "__main__":
    main(BENCH)
