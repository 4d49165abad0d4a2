import numpy as np


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def forward(xs, h0, c0, params):
    W, b = params['W'], params['b']
    T, N, D = xs.shape
    H = h0.shape[1]
    h, c = h0, c0
    hs, cache = [], []
    for t in range(T):
        hx = np.hstack([h, xs[t]])
        a = hx @ W + b
        i, f, o, g = np.split(a, 4, axis=1)
        i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(g)
        c_prev = c
        c = f * c_prev + i * g
        tc = np.tanh(c)
        h = o * tc
        hs.append(h)
        cache.append({'hx': hx, 'i': i, 'f': f, 'o': o, 'g': g, 'c_prev': c_prev, 'tc': tc})
    return np.stack(hs), h, c, (cache, W)


def backward(dhs, dh_last, dc_last, cache):
    steps, W = cache
    T, N, H = dhs.shape
    grads = {'dW': np.zeros_like(W), 'db': np.zeros(4 * H)}
    dxs = [None] * T
    dh, dc = dh_last, dc_last
    for t in reversed(range(T)):
        s = steps[t]
        dh = dh + dhs[t]
        do = dh * s['tc']
        dc = dc + dh * s['o'] * (1 - s['tc'] ** 2)
        di = dc * s['g']
        dg = dc * s['i']
        df = dc * s['c_prev']
        da = np.hstack([
            di * s['i'] * (1 - s['i']),
            df * s['f'] * (1 - s['f']),
            do * s['o'] * (1 - s['o']),
            dg * (1 - s['g'] ** 2),
        ])
        grads['dW'] += s['hx'].T @ da
        grads['db'] += da.sum(0)
        dhx = da @ W.T
        dh = dhx[:, :H]
        dxs[t] = dhx[:, H:]
        dc = dc * s['f']
    return np.stack(dxs), dh, dc, {'W': grads['dW'], 'b': grads['db']}
