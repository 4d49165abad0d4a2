"""Handwritings as jobs of the debugger."""

from pathlib import Path

from helpers.handwritings.fresh import FRESH
from helpers.handwritings.table import BY_NAME, Handwriting, made
from tinygrad_rnn.check.debugger.job import Job
from tinygrad_rnn.check.layers.adapter import Adapter
from tinygrad_rnn.check.layers.cache_pair import pair_as_layer
from tinygrad_rnn.check.layers.functions import loss_as_layer

ALL = {**BY_NAME, **{handwriting.name: handwriting for handwriting in FRESH}}


def job_of(handwriting: Handwriting, text: str, file: Path, seed: int = 0) -> Job:
    """The job of a text in a handwriting, which is loaded as ``file``."""
    kind, function, backward, inputs = made(handwriting, text, file, seed)
    if kind == "layer":
        layer = function
    else:
        layer = pair_as_layer(function, backward) if kind == "pair" else loss_as_layer(function)
    return Job(Adapter(layer, inputs), [function, backward])
