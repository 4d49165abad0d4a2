"""One training step of two LSTM layers with dropout and tied weights: forward, backward, clip by norm 0.25, SGD.

The check is the loss and the gradients by the shared matrix and by the bias of the output, without dropout.

``python tests/bench/better_lm.py``
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from cases import LMCase, lm_case
from hoisted_lm import LR, MAX_NORM
from lm_step import LSTM_NAMES, batches
from spec import Array, Bench, Job, Target, library
from table import main
from torch_peers import to_torch

LAYERS, DROPOUT = 2, 0.5
LABEL = "V10000 H650 N20 T35"


def job(case: LMCase, T: int, step: Callable[[Array, Array], Any], check: Callable[[Array, Array], Any]) -> Job:
    """``step(ids, targets)`` trains; ``check(ids, targets)`` gives the loss and gradients by name, without dropout."""
    text = batches(case, T)
    return Job(lambda: step(*next(text)), lambda: check(*next(text)))


def torch_tied(N: int, T: int, V: int, H: int) -> Job:
    """PyTorch with ``nn.LSTM`` and the fused cross-entropy; both layers begin with the same weights, as ours do."""
    torch = library("torch")
    case, functional = lm_case(N, T, V, H, H), torch.nn.functional
    lstm = torch.nn.LSTM(H, H, LAYERS, batch_first=True, dropout=DROPOUT)
    W, b = (torch.from_numpy(case.params[name].copy()).requires_grad_() for name in ("W_embed", "b_out"))
    with torch.no_grad():
        for parameter in lstm.parameters():
            parameter.zero_()
        for k in range(LAYERS):
            for name, theirs in LSTM_NAMES.items():
                getattr(lstm, theirs[:-1] + str(k)).copy_(torch.from_numpy(to_torch(case.params[name])))
    trained = [W, b, *lstm.parameters()]
    optimizer, state = torch.optim.SGD(trained, lr=LR), [torch.zeros(LAYERS, N, H), torch.zeros(LAYERS, N, H)]

    def loss(ids: Array, targets: Array) -> Any:
        optimizer.zero_grad()
        xs = functional.dropout(functional.embedding(torch.from_numpy(ids), W), DROPOUT, lstm.training)
        hs, new = lstm(xs, tuple(state))
        state[:] = (s.detach() for s in new)
        scores = functional.linear(functional.dropout(hs, DROPOUT, lstm.training).reshape(N * T, H), W, b)
        value = functional.cross_entropy(scores, torch.from_numpy(targets).reshape(-1))
        value.backward()
        return value

    def step(ids: Array, targets: Array) -> None:
        loss(ids, targets)
        torch.nn.utils.clip_grad_norm_(trained, MAX_NORM)
        optimizer.step()

    def check(ids: Array, targets: Array) -> dict[str, Any]:
        lstm.eval()
        value = loss(ids, targets).item()
        lstm.train()
        return {"loss": value, "dW": W.grad.numpy(), "db": b.grad.numpy()}

    return job(case, T, step, check)


def ours(N: int, T: int, V: int, H: int) -> Job:
    """tinygrad_rnn: the book's BetterRnnlm, by the lines of the training loop."""
    tg, case = library("tinygrad_rnn"), lm_case(N, T, V, H, H)
    model = tg.models.BetterRnnlm(V, H, layers=LAYERS, dropout=DROPOUT, rng=np.random.default_rng(0))
    layers = {f"recurrent.layers.{k}.{name}": case.params[name] for k in range(LAYERS) for name in LSTM_NAMES}
    model.load_state_dict({"embed.W": case.params["W_embed"], "affine.b": case.params["b_out"], **layers})
    optimizer, state = tg.optim.SGD(model, lr=LR), [None]

    def loss(ids: Array, targets: Array) -> Any:
        optimizer.zero_grad()
        value, new = model.loss(ids, targets, state[0])
        state[0] = tg.detach(new)
        value.backward()
        return value

    def step(ids: Array, targets: Array) -> None:
        loss(ids, targets)
        tg.optim.clip_grad_norm(model, MAX_NORM)
        optimizer.step()

    def check(ids: Array, targets: Array) -> dict[str, Any]:
        model.eval()
        value = loss(ids, targets).item()
        model.train()
        return {"loss": value, "dW": model.embed.W.grad, "db": model.affine.b.grad}

    return job(case, T, step, check)


BENCH = Bench(
    module="better_lm",
    title="language model, two layers, dropout, tied, one training step",
    baseline="torch, nn.LSTM",
    contenders={"torch, nn.LSTM": torch_tied, "ours": ours},
    sizes={LABEL: {"N": 20, "T": 35, "V": 10000, "H": 650}},
    targets={LABEL: (Target("ours", "torch, nn.LSTM", 1.3),)},
)

if __name__ == "__main__":
    main(BENCH)
