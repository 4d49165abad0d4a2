"""One LSTM layer, forward and backward of ``sum(hs * dhs)``, float32: gradients of xs, Wx, Wh and b.

``python tests/bench/lstm.py``
"""

import jax_peer
import ours
import tape_peers
import torch_peers
from baselines import LSTMStep, OwningStep, layer
from spec import Bench, Target
from table import main

SMALL, LARGE, LONG = "N20 T35 D100 H100", "N20 T35 D650 H650", "N1 T200 D32 H32"


def wanted(book: float, torch: float, plan: tuple[float, float], jit: tuple[float, float]) -> tuple[Target, ...]:
    """The tape against the two ways of doing without it, the plan against the same, the jit against fused layers."""
    return (
        Target("ours, eager", "book", book), Target("ours, eager", "torch, eager", torch),
        Target("ours, plan", "book", plan[0]), Target("ours, plan", "torch, eager", plan[1]),
        Target("ours, nine lines, plan", "ours, plan", 1.05),
        Target("ours, jit", "torch, nn.LSTM", jit[0]), Target("ours, jit", "jax, jit(scan)", jit[1]),
    )  # fmt: skip


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
        "jax, jit(scan)": jax_peer.scan,
        "autograd": tape_peers.autograd,
        "mygrad": tape_peers.mygrad,
        "ours, eager": ours.layer(ours.built_in, "eager"),
        "ours, nine lines, eager": ours.layer(ours.nine_lines, "eager"),
        "ours, plan": ours.layer(ours.built_in, "plan"),
        "ours, nine lines, plan": ours.layer(ours.nine_lines, "plan"),
        "ours, jit": ours.layer(ours.built_in, "jit"),
    },
    sizes={
        SMALL: {"N": 20, "T": 35, "D": 100, "H": 100},
        LARGE: {"N": 20, "T": 35, "D": 650, "H": 650},
        LONG: {"N": 1, "T": 200, "D": 32, "H": 32},
    },
    targets={SMALL: wanted(0.95, 0.7, (0.5, 0.45), (1.15, 0.6)), LARGE: wanted(0.85, 1.1, (0.6, 1.1), (1.7, 0.65)),
             LONG: wanted(1.8, 0.7, (0.6, 0.2), (0.35, 0.35))},
    slow=("book, leaner", "torch, nn.LSTMCell", "autograd", "mygrad", "ours, nine lines, eager"),
)

if __name__ == "__main__":
    main(BENCH)
