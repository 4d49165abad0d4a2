"""Read a backward pass off its picture: one step of an LSTM arrow by arrow, then how far gradients get over time.

    python examples/reading_backprop.py [FILE]

With a FILE (.svg, .html, .png, ...) the picture is saved as well. Its numbers are those that are printed.
"""

import sys

import numpy as np

import tinygrad_rnn as tg

STEPS = 20
SHOWN = (19, 15, 10, 5, 0)


def called(one):
    """A vertex as the picture has it: its operation, or its name."""
    return f"{one.symbol or one.op} ({one.name})".replace(" ()", "") if one.op else one.name


def arrows(graph):
    """Every arrow back, in the order of the backward pass: through what, which gradient, by what formula, its norm."""
    for edge in reversed(graph.edges):
        if edge.gradient is not None:
            through, by = graph[edge.target], graph[edge.source]
            yield f"through {called(through)}", f"d{by.name}" if by.name else "", edge.formula, edge.gradient


def by_hand(graph):
    """Two norms of one row (N = 1), each read off the picture and computed from others of the picture."""
    gates = [edge.gradient for edge in graph.uses(graph["A"].id)]
    yield "dA ", "its four slices together", graph["A"].gradient, np.linalg.norm(gates)
    yield "dWh", "hᵀ @ dA, an outer product", graph["Wh"].gradient, graph["h"].summary["norm"] * graph["A"].gradient


def reach(cell, **init):
    """Norms of the gradient of the last output, at the steps of SHOWN: the largest of all states."""
    params = cell.init(np.random.default_rng(0), dtype=np.float64, D=3, H=5, init=init)
    xs = np.random.default_rng(1).standard_normal((1, STEPS, 3))
    hs, _ = tg.scan(cell, xs, None, params)
    (row,) = tg.draw(tg.sum(hs[:, -1])).graph.rows
    return [max(norms[step] or 0.0 for norms in row.gradients.values()) for step in SHOWN]


if __name__ == "__main__":
    picture = tg.draw(tg.lstm, expand="adjoint")
    if len(sys.argv) > 1:
        print("wrote", picture.save(sys.argv[1]))
    print(f"The way back through {picture.graph.title}")
    for through, gradient, formula, norm in arrows(picture.graph):
        print(f"  {through:16s} {gradient:4s} = {formula:22s} {norm:.3f}")
    print("\nNorms in the picture, and the same from others")
    for name, how, read, computed in by_hand(picture.graph):
        print(f"{name} {how:27s} {read:.3f} {computed:.3f}")
    print(f"\n{'norm of the gradient at step:':30s}" + "".join(f"{step:10d}" for step in SHOWN))
    for name, norms in (
        ("rnn", reach(tg.rnn)), ("lstm", reach(tg.lstm)), ("lstm, forget bias 3", reach(tg.lstm, b={"f": 3.0})),
    ):  # fmt: skip
        print(f"{name:30s}" + "".join(f"{norm:10.2g}" for norm in norms))
