import numpy as np


def gru_forward(xs, h0, Wz, Wr, Wn, Uz, Ur, Un):
    h = h0
    cache = []
    out = []
    for x in xs:
        z = 1 / (1 + np.exp(-(x @ Wz + h @ Uz)))
        r = 1 / (1 + np.exp(-(x @ Wr + h @ Ur)))
        n = np.tanh(x @ Wn + (r * h) @ Un)
        h_new = z * h + (1 - z) * n
        cache.append((x, h, z, r, n, Wz, Wr, Wn, Uz, Ur, Un))
        h = h_new
        out.append(h)
    return np.array(out), cache


def gru_backward(dout, cache):
    x, h, z, r, n, Wz, Wr, Wn, Uz, Ur, Un = cache[-1]
    dWz, dWr, dWn = np.zeros(Wz.shape), np.zeros(Wr.shape), np.zeros(Wn.shape)
    dUz, dUr, dUn = np.zeros(Uz.shape), np.zeros(Ur.shape), np.zeros(Un.shape)
    dxs = []
    dh_next = np.zeros(h.shape)
    for t in range(len(cache) - 1, -1, -1):
        x, h, z, r, n, Wz, Wr, Wn, Uz, Ur, Un = cache[t]
        dh = dout[t] + dh_next
        dn = dh * (1 - z)
        dz = dh * (h - n)
        dan = dn * (1 - n ** 2)
        drh = dan @ Un.T
        dr = drh * h
        daz = dz * z * (1 - z)
        dar = dr * r * (1 - r)
        dh_next = dh * z + drh * r + daz @ Uz.T + dar @ Ur.T
        dxs.insert(0, daz @ Wz.T + dar @ Wr.T + dan @ Wn.T)
        dWz += x.T @ daz
        dWr += x.T @ dar
        dWn += x.T @ dan
        dUz += h.T @ daz
        dUr += h.T @ dar
        dUn += (r * h).T @ dan
    return np.array(dxs), dh_next, dWz, dWr, dWn, dUz, dUr, dUn
