import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def dsigmoid(y):
    return y * (1 - y)


def dtanh(y):
    return 1 - y * y


def softmax(x):
    e = np.exp(x - np.max(x))
    return e / np.sum(e)


def forward_backward(inputs, targets, h_prev, c_prev, W_f, W_i, W_C, W_o, W_v, b_f, b_i, b_C, b_o, b_v):
    H = h_prev.shape[0]
    X = W_v.shape[0]
    z_s, f_s, i_s, C_bar_s, C_s, o_s, h_s, y_s = {}, {}, {}, {}, {}, {}, {}, {}
    h_s[-1], C_s[-1] = np.copy(h_prev), np.copy(c_prev)
    loss = 0
    for t in range(len(inputs)):
        x = np.zeros((X, 1))
        x[inputs[t]] = 1
        z_s[t] = np.vstack((h_s[t - 1], x))
        f_s[t] = sigmoid(np.dot(W_f, z_s[t]) + b_f)
        i_s[t] = sigmoid(np.dot(W_i, z_s[t]) + b_i)
        C_bar_s[t] = np.tanh(np.dot(W_C, z_s[t]) + b_C)
        C_s[t] = f_s[t] * C_s[t - 1] + i_s[t] * C_bar_s[t]
        o_s[t] = sigmoid(np.dot(W_o, z_s[t]) + b_o)
        h_s[t] = o_s[t] * np.tanh(C_s[t])
        y_s[t] = softmax(np.dot(W_v, h_s[t]) + b_v)
        loss += -np.log(y_s[t][targets[t], 0])
    dW_f, dW_i, dW_C, dW_o, dW_v = [np.zeros_like(W) for W in (W_f, W_i, W_C, W_o, W_v)]
    db_f, db_i, db_C, db_o, db_v = [np.zeros_like(b) for b in (b_f, b_i, b_C, b_o, b_v)]
    dh_next = np.zeros_like(h_s[0])
    dC_next = np.zeros_like(C_s[0])
    for t in reversed(range(len(inputs))):
        dv = np.copy(y_s[t])
        dv[targets[t]] -= 1
        dW_v += np.dot(dv, h_s[t].T)
        db_v += dv
        dh = np.dot(W_v.T, dv)
        dh += dh_next
        do = dh * np.tanh(C_s[t])
        do = dsigmoid(o_s[t]) * do
        dW_o += np.dot(do, z_s[t].T)
        db_o += do
        dC = np.copy(dC_next)
        dC += dh * o_s[t] * dtanh(np.tanh(C_s[t]))
        dC_bar = dC * i_s[t]
        dC_bar = dtanh(C_bar_s[t]) * dC_bar
        dW_C += np.dot(dC_bar, z_s[t].T)
        db_C += dC_bar
        di = dC * C_bar_s[t]
        di = dsigmoid(i_s[t]) * di
        dW_i += np.dot(di, z_s[t].T)
        db_i += di
        df = dC * C_s[t - 1]
        df = dsigmoid(f_s[t]) * df
        dW_f += np.dot(df, z_s[t].T)
        db_f += df
        dz = (np.dot(W_f.T, df)
              + np.dot(W_i.T, di)
              + np.dot(W_C.T, dC_bar)
              + np.dot(W_o.T, do))
        dh_next = dz[:H, :]
        dC_next = f_s[t] * dC
    return loss, dW_f, dW_i, dW_C, dW_o, dW_v, db_f, db_i, db_C, db_o, db_v, h_s[len(inputs) - 1], C_s[len(inputs) - 1]
