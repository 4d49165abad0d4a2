"""A chain of factors below 1: the gradient of an early weight is a product of them, and the weight stands still.

    python examples/deep_chain.py [PICTURE.svg]

Each layer is y = tanh(w y_before + 1/2), with a number for a weight. By the chain rule the gradient of w1 has a factor
for every layer above it. Each is a weight times a slope of tanh, w (1 - y²), so it is less than 1. Plain gradient
descent moves the last weight, and the first stands still, far from the value of the network that gave the targets. The
same happens over time in an RNN, whose layers are its steps.
"""

import sys

import numpy as np

import tinygrad_rnn as tg

LAYERS, STEPS, RATE = 6, 100, 0.5
X = np.array([-2.0, -1.0, 0.5, 1.0, 2.0])
BEST = np.full(LAYERS, 0.9)  # the weights of the network that gives the targets


def network(w, x):
    """Every value on the way, the input first."""
    values = [x]
    for k in range(len(w)):
        values.append(tg.tanh(w[k] * values[-1] + 0.5))
    return values


def loss(w):
    return ((network(w, X)[-1] - network(BEST, X)[-1]) ** 2).mean()


def factors(w):
    """∂(value of layer k)/∂(value of the layer before), for the first input: w (1 - y²)."""
    values = network(w, X)
    return [float(w[k] * (1 - values[k + 1][0] ** 2)) for k in range(len(w))]


def train(w):
    """Gradient descent: the weights and the gradients at each step."""
    path, gradients = [w], []
    for _ in range(STEPS):
        gradients.append(tg.grad(loss)(w))
        w = w - RATE * gradients[-1]
        path.append(w)
    return np.array(path), np.array(gradients)


def plot(path, gradients, file):
    """The weights and the size of their gradients while they are trained."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    for k in range(LAYERS):
        shade = str(0.75 * (1 - k / (LAYERS - 1)))
        left.plot(path[:, k], color=shade, label=f"w{k + 1}")
        right.semilogy(np.abs(gradients[:, k]), color=shade)
    left.set(title="the weights", xlabel="step")
    right.set(title="the sizes of their gradients", xlabel="step")
    left.legend(frameon=False, fontsize=8, ncols=2)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150)
    print(f"wrote {file}")


if __name__ == "__main__":
    start = np.full(LAYERS, 0.3)
    chain = factors(start)
    print("factors:  " + "  ".join(f"{name} {factor:.2f}" for name, factor in zip("abcdef", chain)))
    print(f"product of b ... f, through which w1 gets its gradient: {np.prod(chain[1:]):.1e}")
    gradient = tg.grad(loss)(start)
    print("gradients:", "  ".join(f"w{k + 1} {size:.0e}" for k, size in enumerate(np.abs(gradient))))
    path, gradients = train(start)
    for k in (0, LAYERS - 1):
        print(f"w{k + 1}: {path[0, k]:.2f} -> {path[-1, k]:.2f} after {STEPS} steps, best {BEST[k]:.2f}")
    print(f"loss: {float(loss(path[0])):.3f} -> {float(loss(path[-1])):.3f}")
    if len(sys.argv) > 1:
        plot(path, gradients, sys.argv[1])
