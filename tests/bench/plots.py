"""The plots of docs/speed.md, from measured times."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tinygrad_rnn.figures import figure

STYLES = {
    "book": ("#999999", "-.", "D"), "torch, eager": ("#E69F00", "--", "^"), "jax, jit(scan)": ("#009E73", ":", "v"),
    "torch, layer": ("#D55E00", "-", "s"), "torch, nn.LSTM": ("#D55E00", "-", "s"),
    "ours, plan": ("#0072B2", "-", "o"), "ours, jit": ("#000000", "-", "o"),
}  # fmt: skip
WORDS = {"torch, layer": "PyTorch, nn.LSTM", "torch, nn.LSTM": "PyTorch, nn.LSTM", "torch, eager": "PyTorch, eager",
         "jax, jit(scan)": "JAX, jit(scan)", "ours, plan": "plan", "ours, jit": "jit"}  # fmt: skip


def bars(measured: Any, path: Path) -> None:
    """The LSTM layer at three sizes, as a multiple of ``nn.LSTM``."""
    title, sizes = "LSTM layer, forward + backward", ("N20 T35 D100 H100", "N20 T35 D650 H650", "N1 T200 D32 H32")
    names = ("book", "torch, eager", "ours, plan", "jax, jit(scan)", "ours, jit", "torch, nn.LSTM")
    with figure(8.5, 2.6, path) as drawn:
        for axes, size in zip(drawn.subplots(1, len(sizes), sharey=True), sizes, strict=True):
            times = [measured.seconds(title, size, name) for name in names]
            drawn_bars = axes.barh([WORDS.get(name, name) for name in names], [t / times[-1] for t in times],
                                   color=[STYLES[name][0] for name in names])  # fmt: skip
            axes.bar_label(drawn_bars, fmt="%.2g", padding=2)
            axes.invert_yaxis() if axes is drawn.axes[0] else None
            axes.margins(x=0.15)
            axes.set(title=size, xlabel="time / time of nn.LSTM")


def curves(measured: Any, title: str, sizes: Mapping[str, int], names: Sequence[str], path: Path,
           **labels: Any) -> None:  # fmt: skip
    """The time of each contender, divided by the number in each size, over that number."""
    with figure(6, 3.4, path) as drawn:
        axes = drawn.subplots()
        for name in names:
            colour, dash, mark = STYLES[name]
            times = [measured.seconds(title, size, name) * 1e6 / n for size, n in sizes.items()]
            axes.plot(list(sizes.values()), times, color=colour, linestyle=dash, marker=mark, markersize=4,
                      label=WORDS[name])  # fmt: skip
        axes.set(xscale="log", **labels)
        axes.set_ylim(None if axes.get_yscale() == "log" else 0)
        axes.set_xticks(list(sizes.values()))
        axes.set_xticks([], minor=True)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def plots(measured: Any) -> Mapping[str, Callable[[Path], None]]:
    """The plots by the names of their files; each draws into a path."""
    rows = {f"N{N}": N for N in (1, 8, 64, 256)}
    steps = {f"T{T}": T for T in (20, 200, 2000)}
    every = ("torch, eager", "jax, jit(scan)", "torch, layer", "ours, plan", "ours, jit")
    return {
        "speed": functools.partial(bars, measured),
        "speed_rows": lambda path: curves(
            measured, "LSTM layer by rows of the batch, T35 D256 H256", rows, every, path,
            xlabel="N, rows of the batch (T = 35, D = H = 256)", ylabel="µs for a row", yscale="log"),
        "speed_steps": lambda path: curves(
            measured, "LSTM layer by steps, N8 D64 H64", steps, every[2:], path,
            xlabel="T, steps (N = 8, D = H = 64)", ylabel="µs for a step"),
    }  # fmt: skip
