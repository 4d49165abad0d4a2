"""What backpropagation through time costs as the sequence gets longer: memory and time, in full and truncated.

    python examples/bptt_cost.py [--quick] [PICTURE.svg]

Full BPTT keeps what every step saved until the backward pass, so its memory grows with T. Truncated BPTT goes back
after every 35 steps, and detaches the state: its memory stays that of 35 steps. Both go through all T steps, so both
take time in proportion to T.
"""

import sys
import time
import tracemalloc

import numpy as np

import tinygrad_rnn as tg

N, D, H, WINDOW = 10, 50, 50, 35


def backward(layer, xs, window):
    """Forward and backward over xs, in windows of ``window`` steps."""
    state = None
    for start in range(0, xs.shape[1], window):
        hs, state = layer(xs[:, start : start + window], state)
        (hs * hs).sum().backward()
        state = tg.detach(state)


def cost(layer, xs, window, repeats):
    """The peak of the memory that a pass takes, in MB, and the time of the fastest pass, in ms."""
    backward(layer, xs[:, :window], window)  # what is created once is not counted
    tracemalloc.start()
    backward(layer, xs, window)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        backward(layer, xs, window)
        seconds.append(time.perf_counter() - begin)
    return peak / 1e6, 1e3 * min(seconds)


def plot(lengths, full, cut, path):
    """Memory and time by T."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    for k, (ax, title) in enumerate(zip(figure.subplots(1, 2), ["peak memory, MB", "time of a pass, ms"])):
        ax.plot(lengths, [pair[k] for pair in full], "o-", label="full BPTT")
        ax.plot(lengths, [pair[k] for pair in cut], "s--", label=f"cut after {WINDOW} steps")
        ax.set(title=title, xlabel="time steps T", ylim=(0, None))
        ax.legend(frameon=False, fontsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    print(f"wrote {path}")


if __name__ == "__main__":
    lengths = (35, 70, 140) if "--quick" in sys.argv else (50, 100, 200, 400, 800)
    repeats = 1 if "--quick" in sys.argv else 5
    paths = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    rng = np.random.default_rng(0)
    # step by step: the memory of a planned loop is kept from pass to pass, and would not be counted
    layer = tg.nn.Recurrent(tg.rnn, D=D, H=H, rng=rng, mode="eager")
    full, cut = [], []
    print(f"{'T':>6s} {'full BPTT':>22s} {f'cut after {WINDOW}':>22s}")
    for T in lengths:
        xs = rng.standard_normal((N, T, D)).astype("f")
        full.append(cost(layer, xs, T, repeats))
        cut.append(cost(layer, xs, WINDOW, repeats))
        print(f"{T:6d} " + " ".join(f"{megabytes:8.2f} MB {ms:7.1f} ms" for megabytes, ms in (full[-1], cut[-1])))
    if paths:
        plot(lengths, full, cut, paths[0])
