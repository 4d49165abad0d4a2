"""Layers with a backward by hand, as many people write them: any layout, any form of what goes in and out, any habit.

`written` draws one at random; with a ``mistake`` its backward is wrong, without one it is right.
"""

import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


# -- one step, of either cell ------------------------------------------------------------------------------------------


def rnn_step(x, state, Wx, Wh, b):
    h = np.tanh(x @ Wx + state[0] @ Wh + b)
    return (h,), (x, *state, h)


def rnn_back(dstate, cache, Wx, Wh, mistake):
    x, old, h = cache
    dA = dstate[0] * ((1 - h**2) if mistake != "slope" else 1)
    return through(x, old, h, dA, Wx, Wh, mistake)


def lstm_step(x, state, Wx, Wh, b):
    h, c = state
    f, g, i, o = np.split(x @ Wx + h @ Wh + b, 4, axis=1)
    f, g, i, o = sigmoid(f), np.tanh(g), sigmoid(i), sigmoid(o)
    new = f * c + g * i
    return (o * np.tanh(new), new), (x, h, c, f, g, i, o, new, o * np.tanh(new))


def lstm_back(dstate, cache, Wx, Wh, mistake):
    x, old, c, f, g, i, o, new, h = cache
    dh, dc = dstate
    t = np.tanh(new)
    dc = dc + dh * o * (1 - t**2) if mistake != "path" else dh * o * (1 - t**2)
    df = dc * (new if mistake == "new memory" else c) * (f * (1 - f) if mistake != "slope" else 1)
    parts = [df, dc * i * (1 - g**2), dc * g * i * (1 - i), dh * t * o * (1 - o)]
    if mistake == "gates":
        parts[0], parts[2] = parts[2], parts[0]
    dx, (dh,), grads = through(x, old, h, np.hstack(parts), Wx, Wh, mistake)
    return dx, (dh, dc * f), grads


def through(x, old, h, dA, Wx, Wh, mistake):
    dWh = (h if mistake == "new h" else old).T @ dA
    dx = dA @ Wx.T * (-1 if mistake == "sign" else 1)
    return dx, (dA @ Wh.T,), [x.T @ dA, dWh, dA.sum(axis=0)]


CELLS = {"rnn": (rnn_step, rnn_back, 1, 1), "lstm": (lstm_step, lstm_back, 2, 4)}
MISTAKES = {
    "rnn": ["slope", "new h", "sign", "cut", "overwrites", "mean", "late", "stale", "piles up"],
    "lstm": ["slope", "new h", "sign", "cut", "overwrites", "mean", "late", "stale", "piles up", "path", "new memory",
             "gates"],
}  # fmt: skip

# -- layouts: to steps (N, D) and back ---------------------------------------------------------------------------------

#: Of an input: the steps, and such an input from steps.
LAYOUTS = {
    "NTD": (lambda x: list(np.moveaxis(x, 1, 0)), lambda steps: np.stack(steps, axis=1)),
    "TND": (list, lambda steps: np.stack(steps)),
    "DNT": (lambda x: [x[:, :, t].T for t in range(x.shape[2])], lambda steps: np.stack([s.T for s in steps], axis=2)),
    "TD": (lambda x: [row[None] for row in x], lambda steps: np.concatenate(steps)),
    "steps": (list, list),
    "columns": (lambda xs: [x.T for x in xs], lambda steps: [s.T for s in steps]),
}
ONE = ("TD", "columns")  # layouts of a batch of one
RETURNS = ["all", "last", "all and last", "all and None", "dict", "nested"]
WEIGHTS = ["(in, out)", "(out, in)", "[h, x]"]
HABITS = {
    "grads": ["write", "add", "new"], "params": ["list", "dict"], "cache": ["kept", "popped"],
    "state": ["zeros", "given", "None back"], "buffer": ["d", "f"],
}  # fmt: skip


class Written:
    """A layer over time, in a handwriting: a dict of choices."""

    def __init__(self, style, mistake="", D=3, H=4, seed=0):
        self.style, self.mistake, self.calls, self.first = style, mistake, 0, None
        self.step, self.back, self.states, gates = CELLS[style["cell"]]
        r = np.random.default_rng(seed).standard_normal
        Wx, Wh, b = r((D, gates * H)) / 2, r((H, gates * H)) / 2, r(gates * H) / 2
        self.H = H
        arrays = self.lay(Wx, Wh, b)
        named = dict(zip(["W", "b"] if len(arrays) == 2 else ["Wx", "Wh", "b"], arrays))
        self.params = named if style["params"] == "dict" else list(named.values())
        zeros = [np.zeros_like(p) for p in arrays]
        self.grads = dict(zip([f"d{name}" for name in named], zeros)) if style["params"] == "dict" else zeros

    def lay(self, Wx, Wh, b):
        """The weights as they lie."""
        if self.style["weights"] == "[h, x]":
            return [np.concatenate([Wh, Wx]), b]
        return [Wx.T.copy(), Wh.T.copy(), b[:, None]] if self.style["weights"] == "(out, in)" else [Wx, Wh, b]

    def weights(self):
        arrays = list(self.params.values() if isinstance(self.params, dict) else self.params)
        if self.style["weights"] == "[h, x]":
            return arrays[0][self.H :], arrays[0][: self.H], arrays[1]
        return (arrays[0].T, arrays[1].T, arrays[2][:, 0]) if self.style["weights"] == "(out, in)" else arrays

    def forward(self, xs, *state):
        steps = LAYOUTS[self.style["layout"]][0](xs)
        state = list(state) or [np.zeros((len(steps[0]), self.H)) for _ in range(self.states)]
        hs, self.caches, self.given = [], [], len(state)
        for x in steps:
            state, cache = self.step(x, state, *self.weights())
            hs.append(state[0].astype(self.style["buffer"]))
            self.caches.append(cache)
        if self.mistake == "stale":
            self.first = self.first or list(self.caches)
            self.caches = list(self.first)
        self.T = len(hs)
        every = LAYOUTS[self.style["layout"]][1](hs)
        made = {"all": every, "last": hs[-1], "all and last": (every, hs[-1]), "all and None": (every, None)}
        made |= {"dict": {"hs": every, "h": hs[-1]}, "nested": (every, tuple(state))}
        return made[self.style["returns"]]

    def backward(self, dy, dlast=None):
        dhs, last = self.come_in(dy, dlast)
        Wx, Wh, _ = self.weights()
        dstate, grads, dxs = [*last, *[0 * last[0]] * (self.states - len(last))], None, []
        caches = self.caches if self.style["cache"] == "popped" else list(self.caches)
        for t in reversed(range(self.T)):
            dstate[0] = dstate[0] + dhs[t]
            dx, dstate, now = self.back(dstate, caches.pop(), Wx, Wh, self.mistake)
            dstate = [0 * d if self.mistake == "cut" else d for d in dstate]
            dxs.insert(0, dx)
            add = grads is not None and self.mistake != "overwrites"
            grads = [a + g for a, g in zip(grads, now)] if add else now
        if self.mistake == "mean":
            grads = [g / self.T for g in grads]
        self.put(self.lay(*grads))
        dxs = [dx * (2 if self.mistake == "late" and self.calls else 1) for dx in dxs]
        self.calls += 1
        if self.mistake == "piles up":
            self.pile = dxs = [a + g for a, g in zip(self.pile, dxs)] if self.calls > 1 else dxs
        found = LAYOUTS[self.style["layout"]][1](dxs)
        back = {"zeros": (), "given": tuple(dstate), "None back": (None,) * self.states}[self.style["state"]]
        return (found, *back) if back else found

    def come_in(self, dy, dlast):
        """The gradients by all steps, and by the last states."""
        steps, returns = LAYOUTS[self.style["layout"]][0], self.style["returns"]
        if returns == "last":
            return [0 * dy] * self.T, [dy]
        if returns == "dict":
            return steps(dy["hs"]), [dy["h"]]
        dhs = steps(dy)
        return dhs, {"nested": dlast, "all and last": [dlast]}.get(returns, [0 * dhs[0]])

    def put(self, new):
        old = list(self.grads.values() if isinstance(self.grads, dict) else self.grads)
        if self.style["grads"] == "new":
            self.grads = dict(zip(self.grads, new)) if isinstance(self.grads, dict) else new
            return
        for a, g in zip(old, new):
            a[...] = a + g if self.style["grads"] == "add" else g


def style(rng):
    """A handwriting at random."""
    def choose(among):
        return str(rng.choice(list(among)))

    found = {"cell": choose(CELLS), "layout": choose(LAYOUTS), "returns": choose(RETURNS), "weights": choose(WEIGHTS)}
    return {**found, **{habit: choose(ways) for habit, ways in HABITS.items()}}


def inputs(rng, style, D=3, H=4):
    """What such a layer is handed."""
    N, T = 1 if style["layout"] in ONE else int(rng.integers(1, 4)), int(rng.integers(3, 6))
    steps = [rng.standard_normal((N, D)) for _ in range(T)]
    states = [] if style["state"] == "zeros" else [rng.standard_normal((N, H)) for _ in range(CELLS[style["cell"]][2])]
    return [LAYOUTS[style["layout"]][1](steps), *states]
