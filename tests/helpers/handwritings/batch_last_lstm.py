import numpy as np

GATES = ('i', 'f', 'o', 'u')


def act(name, a):
    return np.tanh(a) if name == 'u' else 1 / (1 + np.exp(-a))


def forward(X, W, U, b):
    D, B, T = X.shape
    H = b['i'].shape[0]
    gates = {k: np.zeros((H, B, T)) for k in GATES}
    hs = np.zeros((H, B, T + 1))
    cs = np.zeros((H, B, T + 1))
    for t in range(T):
        for k in GATES:
            gates[k][:, :, t] = act(k, W[k] @ X[:, :, t] + U[k] @ hs[:, :, t] + b[k])
        cs[:, :, t + 1] = gates['f'][:, :, t] * cs[:, :, t] + gates['i'][:, :, t] * gates['u'][:, :, t]
        hs[:, :, t + 1] = gates['o'][:, :, t] * np.tanh(cs[:, :, t + 1])
    return hs[:, :, 1:].copy(), (X, W, U, gates, hs, cs)


def backward(dH, cache):
    X, W, U, gates, hs, cs = cache
    H, B, T = dH.shape
    dX = np.zeros_like(X)
    dW = {k: np.zeros_like(W[k]) for k in GATES}
    dU = {k: np.zeros_like(U[k]) for k in GATES}
    db = {k: np.zeros((H, 1)) for k in GATES}
    dh_rec = np.zeros((H, B))
    dc = np.zeros((H, B))
    for t in range(T - 1, -1, -1):
        i, f, o, u = [gates[k][:, :, t] for k in GATES]
        dh = dH[:, :, t] + dh_rec
        tc = np.tanh(cs[:, :, t + 1])
        dc = dc + dh * o * (1 - tc**2)
        da = {}
        da['o'] = dh * tc * o * (1 - o)
        da['i'] = dc * u * i * (1 - i)
        da['u'] = dc * i * (1 - u**2)
        da['f'] = dc * cs[:, :, t] * f * (1 - f)
        dh_rec = np.zeros((H, B))
        for k in GATES:
            dW[k] += da[k] @ X[:, :, t].T
            dU[k] += da[k] @ hs[:, :, t].T
            db[k] += da[k].sum(axis=1, keepdims=True)
            dX[:, :, t] += W[k].T @ da[k]
            dh_rec += U[k].T @ da[k]
        dc = dc * f
    return dX, dW, dU, db
