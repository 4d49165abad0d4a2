"""Count the ones of a binary sequence with the smallest recurrent network, and watch its gradient explode.

    python examples/count_ones.py

The state is one number, and there is no activation:  s' = x U + s W.  With U = W = 1 the network counts. The last
state is Σ_k x_{T-k} U W^k. Its derivative with respect to W is Σ_k k x_{T-k} U W^(k-1). It contains powers of W up to
the length of the sequence, so it explodes if W is a little above 1.
"""

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import Param, optim


@tg.cell
def counter(x, s, *, U=Param("D H"), W=Param("H H")):
    """s' = x U + s W"""
    s = x @ U + s @ W
    return s


def sequences(rng, N, T):
    """Binary sequences (N, T, 1), and the number of ones in each (N, 1)."""
    xs = rng.integers(0, 2, (N, T, 1)).astype(np.float64)
    return xs, xs.sum(axis=1)


def loss_of(params, xs, counts):
    """The mean squared error of the last state."""
    _, (s,) = tg.scan(counter, xs, None, params)
    return tg.mean_squared_error(s, counts)


def gradient_by_W(W, T):
    """|dloss/dW| for one sequence of T ones, at U = 1."""
    params = {"U": np.ones((1, 1)), "W": tg.tensor([[W]], requires_grad=True)}
    loss_of(params, np.ones((1, T, 1)), np.full((1, 1), float(T))).backward()
    return abs(params["W"].grad.item())


def train(rng, T=10, steps=400):
    """Learn U and W from random sequences. The gradient is clipped, because the loss is a cliff near W = 1."""
    params = counter.init(rng, dtype=np.float64, init={"U": 0.5, "W": 0.5}, D=1, H=1)
    optimizer = optim.Adam(params, lr=0.02)
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        loss = loss_of(params, *sequences(rng, 20, T))
        loss.backward()
        norm = optim.clip_grad_norm(params, 1.0)
        optimizer.step()
        if step == 1 or step % 50 == 0:
            U, W = params["U"].item(), params["W"].item()
            print(f"step {step:3d}: loss {loss.item():7.4f}, norm {norm:7.3f}, U {U:.3f}, W {W:.3f}")
    return params


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    print("Learning to count the ones in 10 digits; U and W should become 1")
    params = train(rng)
    xs, counts = sequences(rng, 5, 10)
    _, (s,) = tg.scan(counter, xs, None, params)
    print("ones:   ", counts[:, 0].astype(int))
    print("counted:", np.round(s.numpy()[:, 0], 2))
    print("\n|dloss/dW| for T ones")
    print("   T " + "".join(f"{f'W = {W}':>12}" for W in (0.9, 1.1, 1.3)))
    for T in (5, 10, 20, 40):
        print(f"{T:4d} " + "".join(f"{gradient_by_W(W, T):12.3g}" for W in (0.9, 1.1, 1.3)))
