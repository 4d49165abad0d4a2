import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step(x, h_prev, p):
    z = sigmoid(p['Wz'] @ x + p['Uz'] @ h_prev + p['bz'])
    r = sigmoid(p['Wr'] @ x + p['Ur'] @ h_prev + p['br'])
    hc = np.tanh(p['Wh'] @ x + p['Uh'] @ (r * h_prev) + p['bh'])
    h = z * h_prev + (1 - z) * hc
    return h, (x, h_prev, z, r, hc)


def step_back(dh, cache, p, grads):
    x, h_prev, z, r, hc = cache
    dhc = dh * (1 - z)
    dahc = dhc * (1 - hc * hc)
    dz = dh * (h_prev - hc)
    daz = dz * z * (1 - z)
    drh = p['Uh'].T @ dahc
    dr = drh * h_prev
    dar = dr * r * (1 - r)
    grads['Wz'] += daz @ x.T
    grads['Wr'] += dar @ x.T
    grads['Wh'] += dahc @ x.T
    grads['Uz'] += daz @ h_prev.T
    grads['Ur'] += dar @ h_prev.T
    grads['Uh'] += dahc @ (r * h_prev).T
    grads['bz'] += daz
    grads['br'] += dar
    grads['bh'] += dahc
    dh_prev = dh * z + drh * r
    dh_prev += p['Uz'].T @ daz
    dh_prev += p['Ur'].T @ dar
    return dh_prev


def loss_and_grads(xs, ys, h0, params):
    h, caches, hs, loss = h0, [], [], 0.0
    for x, y in zip(xs, ys):
        h, cache = step(x, h, params)
        hs.append(h)
        caches.append(cache)
        loss += 0.5 * np.sum((params['Wy'] @ h - y) ** 2)
    loss /= len(xs)
    grads = {k: np.zeros_like(v) for k, v in params.items()}
    dh = np.zeros_like(h0)
    for t in reversed(range(len(xs))):
        dy = (params['Wy'] @ hs[t] - ys[t]) / len(xs)
        grads['Wy'] += dy @ hs[t].T
        dh = step_back(dh + params['Wy'].T @ dy, caches[t], params, grads)
    return loss, grads
