"""The presets of ``tinygrad-rnn train``: settings by name, with what they reach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Preset(NamedTuple):
    """What it is, and the settings that differ from the defaults."""

    about: str
    settings: Mapping[str, Any]


_BETTER = {"model": "lstm", "embed": 650, "hidden": 650, "layers": 2, "dropout": 0.5, "tie": True, "rows": 20,
           "window": 35, "clip": 0.25}  # fmt: skip

PRESETS: Mapping[str, Preset] = {
    "notes-simple": Preset(
        "the book's SimpleRnnlm: the first 1000 words of PTB, perplexity of the training",
        {"model": "rnn", "first": 1000, "validate": False, "embed": 100, "hidden": 100, "rows": 10, "window": 5,
         "lr": 0.1, "epochs": 100, "clip": 0.0}),
    "notes-lstm": Preset(
        "the book's Rnnlm on PTB",
        {"model": "lstm", "embed": 100, "hidden": 100, "rows": 20, "window": 35, "lr": 20.0, "epochs": 4,
         "clip": 0.25}),
    "notes-better": Preset(
        "the book's BetterRnnlm on PTB: 2 x 650, dropout, tied, lr / 4 when validation is no better",
        {**_BETTER, "lr": 20.0, "schedule": "plateau", "epochs": 40}),
    "better": Preset(
        "the same model for few epochs: dropout 0.3, and the learning rate falls to 0 by a cosine",
        {**_BETTER, "dropout": 0.3, "lr": 20.0, "schedule": "cosine", "epochs": 6}),
    "stories": Preset(
        "an LSTM on generated stories whose best possible perplexity is known, in 90 seconds on two cores",
        {"data": "stories", "model": "lstm", "embed": 64, "hidden": 150, "optimizer": "adam", "lr": 0.01, "clip": 0.5,
         "embedding": "normal", "forget_bias": 3.0, "epochs": 7, "schedule": "cosine"}),
}  # fmt: skip
