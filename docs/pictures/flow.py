"""Plot the pictures of docs/flow.md: ``python docs/pictures/flow.py`` (needs matplotlib)."""

import io
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

import tinygrad_rnn as tg
from tinygrad_rnn import Param
from tinygrad_rnn.files import write_whole

HERE = Path(__file__).parent
N, H, T = 2, 3, 20
STYLES = [
    ("#D55E00", "-", "s"), ("#E69F00", "--", "^"), ("#000000", "-.", "D"), ("#56B4E9", ":", "v"), ("#0072B2", "-", "o"),
]  # fmt: skip


@tg.cell
def linear(x, h, *, Wx=Param("D H"), Wh=Param("H H")):
    """h' = x Wx + h Wh"""
    h = x @ Wx + h @ Wh
    return h


def product(factor):
    """dh on its way back through a linear cell, with the Wh of the notes times ``factor``."""
    Wh = factor * np.random.RandomState(3).randn(H, H)
    (layer,) = tg.gradient_flow(linear, N=N, params={"Wx": np.ones((1, H)), "Wh": Wh}).layers
    return f"dh Whᵀ, largest singular value {np.linalg.norm(Wh, 2):.2f}", layer.states["h"]


def memory(bias):
    """dc on its way back through an LSTM."""
    params = tg.lstm.init(np.random.default_rng(0), dtype=np.float64, D=1, H=H, init={"b": {"f": bias}})
    (layer,) = tg.gradient_flow(tg.lstm, N=N, params=params).layers
    return f"dc of an LSTM, forget bias {bias:.0f}", layer.states["c"]


def experiment(path):
    """The norms of the notes' experiment, and beside them an LSTM's."""
    with rc_context({"svg.hashsalt": "tinygrad_rnn", "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(8.5, 4), layout="constrained")
        axes = figure.subplots()
        for (name, norms), (colour, dash, mark) in zip([*map(product, (1, 0.5, 0.25)), *map(memory, (1, 3))], STYLES):
            axes.semilogy(norms[::-1], color=colour, linestyle=dash, marker=mark, markersize=4, label=name)
        axes.set(xlabel="steps back from the last one", ylabel="norm of the gradient over the batch")
        axes.set_xticks(range(0, T, 2))
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
        drawing = io.BytesIO()
        figure.savefig(drawing, format="svg", metadata={"Date": None})
        write_whole(path, drawing.getvalue())


def layer(path):
    """All that `gradient_flow` shows of an LSTM."""
    rng = np.random.default_rng(0)
    params = tg.lstm.init(rng, dtype=np.float64, D=8, H=16, init={"b": {"f": 1.0}})
    tg.gradient_flow(tg.lstm, steps=40, N=4, params=params).plot(path)


if __name__ == "__main__":
    for name, make in {"vanishing": experiment, "flow": layer}.items():
        make(HERE / f"{name}.svg")
        print(HERE / f"{name}.svg")
