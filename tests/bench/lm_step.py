"""One training step of a language model on PTB's shapes: forward, backward, clip by global norm 0.25, SGD at rate 20.

A run is a step on the next T columns of a text, so the state is carried and the batch changes, as in training.  The
check is two steps from the same weights: their losses, and the direction in which the first has moved each weight.  Its
length is that of the clipping, and PyTorch's norm of 14 million float32 gradients is 0.1 % too small.  From the third
step on the rate of 20 makes roundings large.

``python tests/bench/lm_step.py``
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

import numpy as np

from book_lm import BookLM, LeanLM
from cases import LMCase, lm_case
from hoisted_lm import LR, MAX_NORM, HoistedLM
from spec import Array, Bench, Job, Target, library
from table import main
from torch_peers import from_torch, to_torch

OUR_NAMES = {
    "embed.W": "W_embed", "recurrent.Wx": "Wx", "recurrent.Wh": "Wh", "recurrent.b": "b",
    "affine.W": "W_out", "affine.b": "b_out",
}  # fmt: skip
SMALL, LARGE = "V10000 D100 H100 N20 T35", "V10000 D650 H650 N20 T35"
LSTM_NAMES = {"Wx": "weight_ih_l0", "Wh": "weight_hh_l0", "b": "bias_ih_l0"}


def batches(case: LMCase, T: int) -> Iterator[tuple[Array, Array]]:
    """Pairs ids, targets (N, T), from the start again when the text ends."""
    steps = (case.ids.shape[1] - 1) // T
    for k in count():
        start = k % steps * T
        yield case.ids[:, start:start + T], case.ids[:, start + 1:start + T + 1]


def job(case: LMCase, T: int, step: Callable[[Array, Array], Any], params: Callable[[], Mapping[str, Array]]) -> Job:
    """``step(ids, targets)`` returns the loss; ``params()`` the weights as they are now, in the case's layout."""
    text = batches(case, T)

    def check() -> dict[str, Any]:
        first = float(step(*next(text)))
        moved = {f"moved {name}": params()[name] - start for name, start in case.params.items()}
        length = np.sqrt(sum(np.sum(np.square(way, dtype=float)) for way in moved.values()))
        return {"loss 1": first, "loss 2": float(step(*next(text)))} | {name: w / length for name, w in moved.items()}

    return Job(lambda: step(*next(text)), check)


def by_hand(model: type[HoistedLM | BookLM]) -> Callable[..., Job]:
    """A contender from one of the two models in plain NumPy."""

    def setup(N: int, T: int, V: int, D: int, H: int) -> Job:
        case = lm_case(N, T, V, D, H)
        trained = model(case, N, T)
        return job(case, T, trained.step, lambda: trained.params)

    return setup


def torch_model(case: LMCase) -> tuple[Any, Any, Any, dict[str, Any]]:
    """``nn.Embedding``, ``nn.LSTM``, ``nn.Linear`` with the case's weights, and their trained tensors by our names.

    The second bias of ``nn.LSTM`` is left untrained: two of them would move twice as far as one.
    """
    torch = library("torch")
    (V, D), H = case.params["W_embed"].shape, len(case.params["Wh"])
    embed, lstm, affine = torch.nn.Embedding(V, D), torch.nn.LSTM(D, H, batch_first=True), torch.nn.Linear(H, V)
    trained = {name: getattr(lstm, own) for name, own in LSTM_NAMES.items()}
    trained |= {"W_embed": embed.weight, "W_out": affine.weight, "b_out": affine.bias}
    lstm.bias_hh_l0.requires_grad_(False)
    with torch.no_grad():
        lstm.bias_hh_l0.zero_()
        for name, tensor in trained.items():
            value = case.params[name]
            value = to_torch(value) if name in LSTM_NAMES else value.T if name == "W_out" else value
            tensor.copy_(torch.from_numpy(value))
    return embed, lstm, affine, trained


def read_torch(trained: Mapping[str, Any]) -> dict[str, Array]:
    """Their weights in our layout."""
    found = {name: tensor.detach().numpy() for name, tensor in trained.items()}
    found |= {name: from_torch(found[name]) for name in LSTM_NAMES}
    return found | {"W_out": found["W_out"].T}


def torch_lstm(N: int, T: int, V: int, D: int, H: int) -> Job:
    """PyTorch with ``nn.LSTM`` and the fused cross-entropy."""
    torch = library("torch")
    case = lm_case(N, T, V, D, H)
    embed, lstm, affine, trained = torch_model(case)
    optimizer = torch.optim.SGD(trained.values(), lr=LR)
    state = [torch.zeros(1, N, H), torch.zeros(1, N, H)]

    def step(ids: Array, targets: Array) -> float:
        optimizer.zero_grad()
        hs, new = lstm(embed(torch.from_numpy(ids)), tuple(state))
        state[:] = (s.detach() for s in new)
        loss = torch.nn.functional.cross_entropy(affine(hs.reshape(N * T, H)), torch.from_numpy(targets).reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.values(), MAX_NORM)
        optimizer.step()
        return loss.item()

    return job(case, T, step, lambda: read_torch(trained))


def ours(N: int, T: int, V: int, D: int, H: int) -> Job:
    """tinygrad_rnn: the model that ``tinygrad-rnn train`` trains, by the lines of its loop."""
    tg, case = library("tinygrad_rnn"), lm_case(N, T, V, D, H)
    model = tg.models.LanguageModel(tg.lstm, V, D, H, rng=np.random.default_rng(0))
    model.load_state_dict({own: case.params[name] for own, name in OUR_NAMES.items()})
    optimizer, state = tg.optim.SGD(model, lr=LR), [None]

    def step(ids: Array, targets: Array) -> float:
        optimizer.zero_grad()
        loss, new = model.loss(ids, targets, state[0])
        state[0] = tg.detach(new)
        loss.backward()
        tg.optim.clip_grad_norm(model, MAX_NORM)
        optimizer.step()
        return float(loss)

    return job(case, T, step, lambda: {OUR_NAMES[own]: array for own, array in model.state_dict().items()})


BENCH = Bench(
    module="lm_step",
    title="language model, one training step",
    baseline="lean",
    contenders={
        "lean": by_hand(LeanLM),
        "lean, time hoisted": by_hand(HoistedLM),
        "book": by_hand(BookLM),
        "torch, nn.LSTM": torch_lstm,
        "ours": ours,
    },
    sizes={SMALL: {"N": 20, "T": 35, "V": 10000, "D": 100, "H": 100},
           LARGE: {"N": 20, "T": 35, "V": 10000, "D": 650, "H": 650}},
    targets={SMALL: (Target("ours", "lean", 0.8), Target("ours", "torch, nn.LSTM", 1.0)),
             LARGE: (Target("ours", "torch, nn.LSTM", 1.3),)},
    slow=("lean, time hoisted", "book"),
)

if __name__ == "__main__":
    main(BENCH)
