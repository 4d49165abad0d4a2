"""Right code that keeps parameters, gradients and caches where the checker has to find them."""

HEAD = """
import numpy as np
rng = np.random.default_rng(3)

def normal(*shape):
    return rng.standard_normal(shape) / 2
"""

CONTAINERS = HEAD + """
class Cell:
    def __init__(self):
        self.p = {"Wx": normal(2, 3), "Wh": normal(3, 3), "b": normal(3)}
        self.g = {key: np.zeros_like(p) for key, p in self.p.items()}
        self.momentum = {key: np.zeros_like(p) for key, p in self.p.items()}

    def forward(self, x, h):
        self.x, self.h, self.new = x, h, np.tanh(x @ self.p["Wx"] + h @ self.p["Wh"] + self.p["b"])
        return self.new

    def backward(self, dnew):
        a = dnew * (1 - self.new**2)
        self.g["Wx"] += self.x.T @ a
        self.g["Wh"] += self.h.T @ a
        self.g["b"] += a.sum(0)
        return a @ self.p["Wx"].T, a @ self.p["Wh"].T
"""

PARTS = HEAD + """
class Affine:
    def __init__(self):
        self.W, self.b = normal(2, 2), normal(2)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        self.grad_W, self.grad_b = self.x.T @ dy, dy.sum(0)
        return dy @ self.W.T

class Two:
    def __init__(self):
        self.layers = [Affine(), Affine()]
        self.mask = (rng.random(2) < 0.5) / 0.5

    def forward(self, x):
        return self.layers[1].forward(self.layers[0].forward(x) * self.mask)

    def backward(self, dy):
        return self.layers[0].backward(self.layers[1].backward(dy) * self.mask)
"""

RETURNED = HEAD + """
class Cell:
    def __init__(self):
        self.W, self.b = normal(2, 3), normal(3)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        dW = self.x.T @ dy
        db = dy.sum(0)
        return db, dy @ self.W.T, dW
"""

RETURNED_DICT = RETURNED.replace("return db, dy @ self.W.T, dW", 'return dy @ self.W.T, {"W": dW, "b": db}')

GLOBALS = HEAD + """
Wxh, Whh, Why = normal(4, 5), normal(4, 4), normal(5, 4)
bh, by = normal(4, 1), normal(5, 1)

def softmax(y):
    return np.exp(y) / np.exp(y).sum()

def lossFun(inputs, targets, hprev):
    xs, hs, ps, loss = {}, {-1: hprev}, {}, 0
    for t in range(len(inputs)):
        xs[t] = np.zeros((5, 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(Wxh @ xs[t] + Whh @ hs[t - 1] + bh)
        ps[t] = softmax(Why @ hs[t] + by)
        loss -= np.log(ps[t][targets[t], 0])
    dWxh, dWhh, dWhy, dbh, dby = (np.zeros_like(p) for p in (Wxh, Whh, Why, bh, by))
    carry = 0
    for t in reversed(range(len(inputs))):
        dy = ps[t].copy()
        dy[targets[t]] -= 1
        dWhy += dy @ hs[t].T
        dby += dy
        da = (Why.T @ dy + carry) * (1 - hs[t] ** 2)
        dbh += da
        dWxh += da @ xs[t].T
        dWhh += da @ hs[t - 1].T
        carry = Whh.T @ da
    return loss, dWxh, dWhh, dWhy, dbh, dby, hs[len(inputs) - 1]
"""

GLOBAL_DICT = HEAD + """
P = {"W": normal(2, 1), "b": normal(1)}

def cost(x, y):
    e = x @ P["W"] + P["b"] - y
    return (e**2).sum(), {"dW": x.T @ (2 * e), "db": (2 * e).sum(0)}
"""

TAPE = HEAD + """
def run(W, U, bias, seq, h0):
    h, tape, out = h0, [], []
    for x in seq:
        new = np.tanh(W @ x + U @ h + bias[:, None])
        tape.append((x, h, new))
        h = new
        out.append(h)
    return np.array(out), tape

def run_back(dout, tape, W, U):
    gW, gU, gb, dx, carry = np.zeros_like(W), np.zeros_like(U), 0, [], 0
    for t in range(len(tape) - 1, -1, -1):
        x, h, new = tape[t]
        a = (dout[t] + carry) * (1 - new**2)
        gW += a @ x.T
        gU += a @ h.T
        gb = gb + a.sum(1)
        dx.insert(0, W.T @ a)
        carry = U.T @ a
    return np.array(dx), gW, gU, gb
"""

BOTH_WAYS = HEAD + """
class Rnn:
    def __init__(self):
        self.W, self.b = normal(5, 3), normal(3)

    def forward(self, x):
        h, self.joined, self.h = np.zeros((len(x), 3)), [], []
        for t in range(x.shape[1]):
            self.joined.append(np.hstack([x[:, t], h]))
            h = np.tanh(self.joined[t] @ self.W + self.b)
            self.h.append(h)
        return np.stack(self.h, 1)

    def backward(self, dh):
        dx, carry = np.zeros((len(dh), dh.shape[1], 2)), 0
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.b)
        for t in reversed(range(dh.shape[1])):
            a = (dh[:, t] + carry) * (1 - self.h[t] ** 2)
            self.dW += self.joined[t].T @ a
            self.db += a.sum(0)
            dx[:, t], carry = (a @ self.W.T)[:, :2], (a @ self.W.T)[:, 2:]
        return dx

class BothWays:
    def __init__(self):
        self.forth, self.back = Rnn(), Rnn()

    def forward(self, x):
        return np.concatenate([self.forth.forward(x), self.back.forward(x[:, ::-1])[:, ::-1]], 2)

    def backward(self, dy):
        dx = self.forth.backward(dy[..., :3])
        return dx + self.back.backward(dy[..., 3:][:, ::-1])[:, ::-1]
"""

METHOD = """\
import numpy as np


class WordModel:
    def __init__(self, words, hidden, seed=0):
        normal = np.random.RandomState(seed).randn
        self.E, self.W, self.V = normal(words, hidden) / 2, normal(hidden, hidden) / 2, normal(hidden, words) / 2

    def loss(self, tokens, following):
        N, T = tokens.shape
        rows, loss = np.arange(N), 0.0
        hs, ps = [np.zeros((N, self.W.shape[0]))], []
        for t in range(T):
            hs.append(np.tanh(self.E[tokens[:, t]] + hs[-1] @ self.W))
            e = np.exp(hs[-1] @ self.V)
            ps.append(e / e.sum(axis=1, keepdims=True))
            loss -= np.log(ps[-1][rows, following[:, t]]).sum()
        grads = {name: np.zeros_like(getattr(self, name)) for name in "EWV"}
        carried = np.zeros_like(hs[0])
        for t in reversed(range(T)):
            d = ps[t]
            d[rows, following[:, t]] -= 1
            grads["V"] += hs[t + 1].T @ d
            a = (d @ self.V.T + carried) * (1 - hs[t + 1] ** 2)
            grads["W"] += hs[t].T @ a
            np.add.at(grads["E"], tokens[:, t], a)
            carried = a @ self.W.T
        return loss, grads
"""
