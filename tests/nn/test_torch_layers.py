"""Parity with PyTorch: outputs, states and every gradient, float64, of the layers."""

import copy

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

N, T, D, H, V = 3, 5, 4, 6, 7


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def shaken(module: nn.Module, seed: int = 5) -> nn.Module:
    """The module with random numbers in every parameter, also where it starts with zeros or ones."""
    rng = np.random.default_rng(seed)
    module.load_state_dict({name: 0.5 * rng.standard_normal(array.shape) + (array if "var" in name else 0)
                            for name, array in module.state_dict().items()})  # fmt: skip
    return module


def leaf(array: np.ndarray) -> "torch.Tensor":
    return torch.tensor(array, requires_grad=True)


def close(got, want, atol: float = 1e-13) -> None:
    want = want.detach().numpy() if isinstance(want, torch.Tensor) else want
    np.testing.assert_allclose(got.numpy() if isinstance(got, tg.Tensor) else got, want, rtol=0, atol=atol)


def ifgo(array: np.ndarray) -> "torch.Tensor":
    """Our blocks f g i o in PyTorch's order i f g o, as (4H, in)."""
    f, g, i, o = np.split(array, 4, axis=-1)
    return torch.tensor(np.concatenate([i, f, g, o], axis=-1).T)


def torch_lstm(layers: list[nn.Recurrent], bidirectional: bool = False) -> "torch.nn.LSTM":
    """PyTorch's LSTM with the parameters of our layers; its second bias is 0."""
    count = 1 if bidirectional else len(layers)
    module = torch.nn.LSTM(layers[0].sizes["D"], H, count, batch_first=True, bidirectional=bidirectional).double()
    for k, layer in enumerate(layers):
        end = "l0_reverse" if bidirectional and k else f"l{0 if bidirectional else k}"
        weights = {"weight_ih": layer.Wx, "weight_hh": layer.Wh, "bias_ih": layer.b}
        for name, ours in weights.items():
            getattr(module, f"{name}_{end}").data = ifgo(ours.numpy())
        getattr(module, f"bias_hh_{end}").data.zero_()
    return module


def same_gradients(layers: list[nn.Recurrent], module: "torch.nn.LSTM", bidirectional: bool = False) -> None:
    for k, layer in enumerate(layers):
        end = "l0_reverse" if bidirectional and k else f"l{0 if bidirectional else k}"
        for name, ours in {"weight_ih": layer.Wx, "weight_hh": layer.Wh, "bias_ih": layer.b}.items():
            close(ifgo(ours.grad).numpy(), getattr(module, f"{name}_{end}").grad)


def test_stacked_lstm_with_lengths():
    ours = shaken(nn.Stacked("lstm", layers=2, D=D, H=H, rng=0, dtype="d"))
    module, lengths = torch_lstm(ours.layers), np.array([2, 5, 1])
    x, y, dy = tg.tensor(draw(N, T, D), requires_grad=True), leaf(draw(N, T, D)), draw(N, T, H, seed=1)
    hs, state = ours(x, lengths=lengths)
    packed = torch.nn.utils.rnn.pack_padded_sequence(y, lengths, batch_first=True, enforce_sorted=False)
    want, (h, c) = module(packed)
    want, _ = torch.nn.utils.rnn.pad_packed_sequence(want, batch_first=True)
    close(hs, want)
    for k, (ours_h, ours_c) in enumerate(state):
        close(ours_h, h[k])
        close(ours_c, c[k])
    hs.backward(dy)
    want.backward(torch.tensor(dy))
    close(x.grad, y.grad)
    same_gradients(ours.layers, module)


@pytest.mark.parametrize("variational", [False, True])
def test_stacked_lstm_with_dropout_by_the_same_masks(variational):
    ours = shaken(nn.Stacked("lstm", layers=2, D=D, H=H, rng=0, dtype="d", dropout=0.4, variational=variational))
    mask = tg.dropout(np.ones((N, 1 if variational else T, H)), rate=0.4, rng=copy.deepcopy(ours.dropout.rng))
    first, second = (torch_lstm([layer]) for layer in ours.layers)
    y, dy = leaf(draw(N, T, D)), draw(N, T, H, seed=1)
    x = tg.tensor(draw(N, T, D), requires_grad=True)
    hs, _ = ours(x)
    want, _ = second(first(y)[0] * torch.tensor(mask))
    close(hs, want)
    hs.backward(dy)
    want.backward(torch.tensor(dy))
    close(x.grad, y.grad)
    same_gradients(ours.layers[:1], first)
    same_gradients(ours.layers[1:], second)


def test_bidirectional_lstm_packed_with_nan_in_the_padding():
    ours = shaken(nn.Bidirectional("lstm", D=D, H=H, rng=0, dtype="d"))
    module, lengths = torch_lstm([ours.ahead, ours.behind], bidirectional=True), np.array([2, 5, 1])
    padded = np.where((np.arange(T) < lengths[:, None])[..., None], draw(N, T, D), np.nan)
    x, y, dy = tg.tensor(padded, requires_grad=True), leaf(padded), draw(N, T, 2 * H, seed=1)
    hs, (ahead, behind) = ours(x, lengths=lengths)
    packed = torch.nn.utils.rnn.pack_padded_sequence(y, lengths, batch_first=True, enforce_sorted=False)
    want, (h, c) = module(packed)
    want, _ = torch.nn.utils.rnn.pad_packed_sequence(want, batch_first=True)
    for got, right in ((hs, want), (ahead[0], h[0]), (ahead[1], c[0]), (behind[0], h[1]), (behind[1], c[1])):
        close(got, right)
    hs.backward(dy)
    want.backward(torch.tensor(dy))
    close(x.grad, y.grad)
    same_gradients([ours.ahead, ours.behind], module, bidirectional=True)


def test_two_bidirectional_layers():
    ours = shaken(nn.Stacked("lstm", layers=2, D=D, H=H, rng=0, dtype="d", bidirectional=True))
    modules = [torch_lstm([layer.ahead, layer.behind], bidirectional=True) for layer in ours.layers]
    lengths, y = np.array([2, 5, 1]), leaf(draw(N, T, D))
    want = torch.nn.utils.rnn.pack_padded_sequence(y, lengths, batch_first=True, enforce_sorted=False)
    for module in modules:
        want, _ = module(want)
    want, _ = torch.nn.utils.rnn.pad_packed_sequence(want, batch_first=True)
    hs, ((_, _), ((h, _), _)) = ours(draw(N, T, D), lengths=lengths)
    close(hs, want)
    close(h, want[np.arange(N), lengths - 1, :H])
    dy = draw(N, T, 2 * H, seed=1)
    hs.backward(dy)
    want.backward(torch.tensor(dy))
    for layer, module in zip(ours.layers, modules, strict=True):
        same_gradients([layer.ahead, layer.behind], module, bidirectional=True)


@pytest.mark.parametrize("shape", [(N, H), (N, T, H)], ids=str)
@pytest.mark.parametrize("momentum", [0.1, 0.7])
def test_batch_norm_with_running_statistics_over_steps(shape, momentum):
    ours = shaken(nn.BatchNorm(H, dtype="d", momentum=momentum))
    module = torch.nn.BatchNorm1d(H, momentum=momentum).double()
    for tensor, array in ((module.weight, ours.gain), (module.bias, ours.b), (module.running_mean, ours.running_mean),
                          (module.running_var, ours.running_var)):  # fmt: skip
        tensor.data = torch.tensor(array.numpy())
    for step in range(6):
        mode = step not in (3, 5)
        ours.train(mode)
        module.train(mode)
        x, y = tg.tensor(3 * draw(*shape, seed=step) + 1, requires_grad=True), leaf(3 * draw(*shape, seed=step) + 1)
        dy = draw(*shape, seed=50 + step)
        got, want = ours(x), module(y.swapaxes(1, -1)).swapaxes(1, -1)
        close(got, want)
        got.backward(dy)
        want.backward(torch.tensor(dy))
        close(x.grad, y.grad)
        close(ours.gain.grad, module.weight.grad, 1e-12)
        close(ours.b.grad, module.bias.grad, 1e-12)
        close(ours.running_mean, module.running_mean)
        close(ours.running_var, module.running_var)


def test_layer_norm():
    ours, module = shaken(nn.LayerNorm(H, dtype="d")), torch.nn.LayerNorm(H).double()
    module.weight.data, module.bias.data = torch.tensor(ours.gain.numpy()), torch.tensor(ours.b.numpy())
    x, y, dy = tg.tensor(draw(N, T, H), requires_grad=True), leaf(draw(N, T, H)), draw(N, T, H, seed=1)
    got, want = ours(x), module(y)
    close(got, want)
    got.backward(dy)
    want.backward(torch.tensor(dy))
    for ours_grad, right in ((x.grad, y.grad), (ours.gain.grad, module.weight.grad), (ours.b.grad, module.bias.grad)):
        close(ours_grad, right)


def test_tied_weights():
    embed = shaken(nn.Embedding(V, D, rng=0, dtype="d"))
    affine = nn.Linear(D, V, tied=embed, activation="tanh")
    W, b, ids, dy = leaf(embed.W.numpy()), leaf(np.zeros(V)), np.array([[0, 3, 3], [6, 0, 1]]), draw(2, 3, V)
    got = affine(embed(ids))
    want = torch.tanh(torch.nn.functional.linear(torch.nn.functional.embedding(torch.tensor(ids), W), W, b))
    close(got, want)
    got.backward(dy)
    want.backward(torch.tensor(dy))
    close(embed.W.grad, W.grad)
    close(affine.b.grad, b.grad)


@pytest.mark.parametrize("score", ["dot", "general"])
@pytest.mark.parametrize("lengths", [None, [2, 5, 1]], ids=["full", "padded"])
def test_attention(score, lengths):
    K = H if score == "dot" else D
    ours = nn.Attention(score, **({} if score == "dot" else {"H": H, "D": D, "rng": 0, "dtype": "d"}))
    arrays = [draw(N, 2, H), draw(N, T, K, seed=1)]
    q, hs = (tg.tensor(array, requires_grad=True) for array in arrays)
    tq, ths = (leaf(array) for array in arrays)
    W = leaf(ours.W.numpy()) if score == "general" else torch.eye(H, dtype=torch.float64)
    mask = None if lengths is None else (torch.arange(T) < torch.tensor(lengths)[:, None])[:, None]
    context, weights = ours(q, hs, lengths)
    want = torch.nn.functional.scaled_dot_product_attention(tq @ W, ths, ths, attn_mask=mask, scale=1.0)
    scores = tq @ W @ ths.transpose(1, 2)
    close(weights, torch.softmax(scores if mask is None else scores.masked_fill(~mask, -torch.inf), -1))
    close(context, want)
    dy = draw(N, 2, K, seed=2)
    context.backward(dy)
    want.backward(torch.tensor(dy))
    close(q.grad, tq.grad)
    close(hs.grad, ths.grad)
    if score == "general":
        close(ours.W.grad, W.grad)


def test_encoder_and_peeky_decoder_with_attention():
    encoder = shaken(nn.Encoder(V, D, H, rng=0, dtype="d"))
    decoder = shaken(nn.Decoder(V, D, H, rng=1, dtype="d", peeky=True, attention="dot"), seed=6)
    ids, targets, lengths = draw_ids(T), draw_ids(3), np.array([2, 5, 1])
    scores, (last,) = decoder(targets, encoder(ids, lengths))
    first, second = torch_lstm(encoder.recurrent.layers), torch_lstm(decoder.recurrent.layers)
    ours = (encoder.embed.W, decoder.embed.W, decoder.affine.W, decoder.affine.b)
    W1, W2, W, b = theirs = [leaf(tensor.numpy()) for tensor in ours]
    packed = torch.nn.utils.rnn.pack_padded_sequence(W1[ids], lengths, batch_first=True, enforce_sorted=False)
    hs, (h, c) = first(packed)
    hs, _ = torch.nn.utils.rnn.pad_packed_sequence(hs, batch_first=True)
    peek = h[0][:, None].expand(-1, 3, -1)
    out, (h2, c2) = second(torch.cat([W2[targets], peek], -1), (h, c))
    mask = (torch.arange(T) < torch.tensor(lengths)[:, None])[:, None]
    context = torch.softmax((out @ hs.transpose(1, 2)).masked_fill(~mask, -torch.inf), -1) @ hs
    want = torch.cat([out, peek, context], -1) @ W + b
    for got, right in ((scores, want), (last[0], h2[0]), (last[1], c2[0])):
        close(got, right)
    dy = draw(N, 3, V)
    scores.backward(dy)
    want.backward(torch.tensor(dy))
    for tensor, right in zip(ours, theirs, strict=True):
        close(tensor.grad, right.grad)
    same_gradients(encoder.recurrent.layers, first)
    same_gradients(decoder.recurrent.layers, second)


def draw_ids(T: int) -> np.ndarray:
    return np.random.default_rng(T).integers(0, V, (N, T))
