"""An exploding gradient, and what helps: the paths of optimisers on the cost surface of a network that counts.

    python examples/exploding_remedies.py [--quick] [-o PICTURE]

The network has two weights and no activation:  s' = x U + s W.  With U = W = 1 it counts the ones of a sequence. In its
last state W occurs to the power of the length, here 20. So the cost is a cliff where |W| is above 1, and nearly flat
where it is below. Plain gradient descent walks to the cliff and is thrown to infinity. These remedies stay: clipping
the gradient, rules that use its sign or its size relative to before (Rprop, RMSprop), and Newton's method, which takes
small steps where the curvature is high. The picture (it needs matplotlib) shows the cost, the direction down, and all
paths.
"""

import argparse

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import optim

XS = np.random.default_rng(0).integers(0, 2, (30, 20)).astype(np.float64)  # 30 sequences of 20 digits
COUNTS = XS.sum(axis=1)
ACROSS, UP = (-3.0, 5.0), (-1.6, 2.2)  # the part of U and of W in the picture


def cost(U, W):
    """The sum of squared errors of the last state. U and W are (..., 1): numbers, or many pairs at once."""
    s = 0.0
    for x in XS.T:
        s = x * U + s * W
    return ((s - COUNTS) ** 2).sum(axis=-1)


def backward(U, W, dcost=1.0):
    """The gradients by hand: ds goes back through  s' = x U + s W, so each step multiplies it by W."""
    s = [np.zeros(len(XS))]
    for x in XS.T:
        s.append(x * U + s[-1] * W)
    ds, dU, dW = 2 * (s.pop() - COUNTS) * dcost, np.zeros(1), np.zeros(1)
    for x in reversed(XS.T):
        dU += np.sum(ds * x)
        dW += np.sum(ds * s.pop())
        ds = ds * W
    return {"dU": dU, "dW": dW}


def cost_of(p):
    """The cost for p = (U, W)."""
    return cost(p[:1], p[1:])


def descend(make, start, steps, max_norm=None):
    """The points (U, W) of an optimiser's path; the last is not finite if it left the numbers."""
    p = tg.tensor(np.array(start), requires_grad=True)
    optimizer, path = make([p]), [p.numpy()]
    for _ in range(steps):
        optimizer.zero_grad()
        cost_of(p).backward()
        if max_norm and np.isfinite(p.grad).all():
            optim.clip_grad_norm([p], max_norm)
        optimizer.step()
        path.append(p.numpy())
        if not np.isfinite(path[-1]).all():
            break
    return np.array(path)


def newton(start, steps, longest=0.2):
    """Newton's method with |eigenvalues| of the Hessian, so that each step goes down, and steps of limited length."""
    p, path = np.array(start), [np.array(start)]
    gradient, curvature = tg.grad(cost_of), tg.hessian(cost_of)
    for _ in range(steps):
        values, vectors = np.linalg.eigh(curvature(p))
        step = -vectors @ (vectors.T @ gradient(p) / np.maximum(np.abs(values), 1e-6))
        p = p + step * min(1.0, longest / max(np.linalg.norm(step), 1e-12))
        path.append(p)
    return np.array(path)


def paths(steps):
    """Every path by its name."""
    low, high = (-2.0, 0.0), (-1.5, 2.0)
    return {
        "SGD": descend(lambda p: optim.SGD(p, lr=0.0005), low, steps),
        "momentum": descend(lambda p: optim.SGD(p, lr=0.0005, momentum=0.9), low, steps),
        "SGD, clipped": descend(lambda p: optim.SGD(p, lr=0.05), low, steps, max_norm=1.0),
        "momentum, clipped": descend(lambda p: optim.SGD(p, lr=0.01, momentum=0.9), low, steps, max_norm=1.0),
        "RMSprop": descend(lambda p: optim.RMSprop(p, lr=0.02, rho=0.9), low, steps),
        "Newton": newton(low, min(steps, 60)),
        "Rprop": descend(lambda p: optim.Rprop(p, lr=0.01), high, steps),
    }


def surface(points):
    """Grids of U and W, the cost, and its gradients there: one backward pass of the sum over all points."""
    U, W = np.meshgrid(np.linspace(*ACROSS, points), np.linspace(*UP, points))
    Us, Ws = (tg.tensor(grid[..., None], requires_grad=True) for grid in (U, W))
    costs = cost(Us, Ws)
    costs.sum().backward()
    return U, W, costs.numpy(), Us.grad[..., 0], Ws.grad[..., 0]


def plot(ways, path, points):
    """Draw the surface, arrows against the gradient, and the paths."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise SystemExit("the picture needs matplotlib: pip install 'tinygrad-rnn[train]'") from None
    figure = Figure(figsize=(9, 7), layout="constrained")
    ax = figure.subplots()
    U, W, costs, _, _ = surface(points)
    filled = ax.contourf(U, W, np.log10(costs + 1e-3), levels=np.arange(0, 16.1, 0.5), cmap="Greys", vmin=0, vmax=22,
                         extend="min")  # fmt: skip
    figure.colorbar(filled, ax=ax, label="log₁₀ of the cost")
    U, W, _, dU, dW = surface(18)
    length = np.hypot(dU, dW)
    ax.quiver(U, W, -dU / length, -dW / length, angles="xy", color="0.35", scale=40, width=0.002)
    colours = ("#D55E00", "#CC79A7", "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#000000")
    for colour, marker, (name, way) in zip(colours, "xXos^Dv", ways.items()):
        left = "" if np.isfinite(way[-1]).all() else f", not finite at step {len(way) - 1}"
        near = np.abs(way).max(axis=1) < 100
        inside = way[: len(way) if near.all() else np.argmin(near) + 1].copy()
        step = inside[-1] - inside[-2]  # the last one may lead far out of the picture
        inside[-1] = inside[-2] + step / max(1.0, np.abs(step).max() / 100)
        ax.plot(*inside.T, color=colour, marker=marker, markersize=4.5, linewidth=1.5, markevery=0.05,
                label=f"{name}{left}")  # fmt: skip
    ax.plot(
        1,
        1,
        "*",
        color="white",
        markeredgecolor="black",
        markersize=14,
        zorder=9,
        linestyle="none",
        label="U = W = 1: it counts",
    )
    ax.set(xlim=ACROSS, ylim=UP, xlabel="U, the weight of the input", ylabel="W, the weight of the state",
           title="The cost of a counting network, and the ways down")  # fmt: skip
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    figure.savefig(path, dpi=120)
    print(f"the picture is {path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer steps, and a coarse picture")
    parser.add_argument("-o", default="exploding_remedies.png", metavar="PICTURE", help="its file (%(default)s)")
    options = parser.parse_args()
    print("the backward pass by hand is", tg.check_backward(cost, backward, np.array([-2.0]), np.array([0.3])).verdict)
    with np.errstate(over="ignore", invalid="ignore"):  # the explosion is what is shown
        ways = paths(150 if options.quick else 1000)
        print(f"{'':18s} {'steps':>5s} {'U':>10s} {'W':>10s} {'cost':>10s}")
        for name, way in ways.items():
            print(f"{name:18s} {len(way) - 1:5d} {way[-1][0]:10.4g} {way[-1][1]:10.4g} {cost_of(way[-1]):10.4g}")
        plot(ways, options.o, 80 if options.quick else 300)
