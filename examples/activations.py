"""tanh and the sigmoid σ: their derivatives, the identity between them, and a plot of both with their slopes.

    python examples/activations.py [PICTURE.svg]

The derivatives are those that `tg.derive` reads from the rules. They are compared with differences. The identity is
tanh x = 2 σ(2x) - 1: tanh is the sigmoid, twice as high and twice as steep, moved down by 1.
"""

import sys

import numpy as np

import tinygrad_rnn as tg

X = np.linspace(-6, 6, 241)


def slope(f, x):
    """dy/dx of a function of elements, by autograd."""
    return tg.vjp(f, x)[1](np.ones_like(x))[0]


def difference(f, x, step=1e-5):
    """dy/dx by central differences."""
    return (f(x + step) - f(x - step)) / (2 * step)


def plot(path):
    """Both functions, and both slopes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, f, style in (("tanh", tg.tanh, "-"), ("σ", tg.sigmoid, "--")):
        left.plot(X, f(X), style, label=f"{name} x")
        right.plot(X, slope(f, X), style, label=f"the slope of {name}")
    left.set(title="y", xlabel="x")
    right.set(title="dy/dx", xlabel="x")
    right.axhline(0.25, color="0.6", linewidth=0.8, linestyle=":")
    right.text(-6, 0.27, "at most ¼", fontsize=8, color="0.4")
    for ax in (left, right):
        ax.legend(frameon=False, fontsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    print(f"wrote {path}")


if __name__ == "__main__":
    for name, f in (("tanh", tg.tanh), ("sigmoid", tg.sigmoid)):
        line = next(line for line in tg.derive(f).source.splitlines() if "dx = " in line)
        error = np.abs(slope(f, X) - difference(f, X)).max()
        print(f"{name + ':':9s} {line.strip():24s} largest slope {slope(f, X).max():.2f}, "
              f"differs from differences by {error:.0e}")  # fmt: skip
    print(f"|tanh x - (2σ(2x) - 1)| at most {np.abs(tg.tanh(X) - (2 * tg.sigmoid(2 * X) - 1)).max():.1e}")
    print(f"|tanh x - (1 - 2σ(2x))| at most {np.abs(tg.tanh(X) - (1 - 2 * tg.sigmoid(2 * X))).max():.2f}")
    if len(sys.argv) > 1:
        plot(sys.argv[1])
