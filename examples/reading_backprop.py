"""Read a backward pass from its picture: one step of an LSTM arrow by arrow, then the gradients over time.

    python examples/reading_backprop.py [FILE]

With a FILE (.svg, .html, .png, ...) the picture is saved too. It shows the numbers that are printed.
"""

import sys

import numpy as np

import tinygrad_rnn as tg

STEPS = 20
SHOWN = (19, 15, 10, 5, 0)


def label(vertex):
    """The label of a vertex in the picture: its operation and name, or its name alone."""
    return f"{vertex.symbol or vertex.op} ({vertex.name})".replace(" ()", "") if vertex.op else vertex.name


def arrows(graph):
    """Every dashed arrow in the order of the backward pass: its operation, its gradient, the formula, and the norm."""
    for edge in reversed(graph.edges):
        if edge.gradient is not None:
            operation, operand = graph[edge.target], graph[edge.source]
            yield f"through {label(operation)}", f"d{operand.name}" if operand.name else "", edge.formula, edge.gradient


def by_hand(graph):
    """Two norms of one row (N = 1), each read from the picture, and computed from other norms of the picture."""
    gates = [edge.gradient for edge in graph.uses(graph["A"].id)]
    yield "dA ", "its four slices together", graph["A"].gradient, np.linalg.norm(gates)
    yield "dWh", "hᵀ @ dA, an outer product", graph["Wh"].gradient, graph["h"].summary["norm"] * graph["A"].gradient


def reach(cell, **init):
    """The norm of the gradient of the last output at each step of SHOWN; of several states, the largest."""
    params = cell.init(np.random.default_rng(0), dtype=np.float64, D=3, H=5, init=init)
    xs = np.random.default_rng(1).standard_normal((1, STEPS, 3))
    hs, _ = tg.scan(cell, xs, None, params)
    (row,) = tg.draw(tg.sum(hs[:, -1])).graph.rows
    return [max(norms[step] or 0.0 for norms in row.gradients.values()) for step in SHOWN]


if __name__ == "__main__":
    picture = tg.draw(tg.lstm, expand="adjoint")
    if len(sys.argv) > 1:
        print("wrote", picture.save(sys.argv[1]))
    print(f"The backward pass of {picture.graph.title}")
    for through, gradient, formula, norm in arrows(picture.graph):
        print(f"  {through:16s} {gradient:4s} = {formula:22s} {norm:.3f}")
    print("\nNorms in the picture, and computed from other norms")
    for name, how, read, computed in by_hand(picture.graph):
        print(f"{name} {how:27s} {read:.3f} {computed:.3f}")
    print(f"\n{'norm of the gradient at step:':30s}" + "".join(f"{step:10d}" for step in SHOWN))
    for name, norms in (
        ("rnn", reach(tg.rnn)), ("lstm", reach(tg.lstm)), ("lstm, forget bias 3", reach(tg.lstm, b={"f": 3.0})),
    ):  # fmt: skip
        print(f"{name:30s}" + "".join(f"{norm:10.2g}" for norm in norms))
