"""Texts, a generated language of known entropy, generated tasks; and the batches that models are trained on."""

from . import tasks
from .batches import Batches, batches, pad
from .corpus import Corpus
from .grammar import STORIES, grammar, grammar_entropy
from .language import Grammar, Reading
from .load import Splits, load
from .mapped import map_text, open_map
from .ptb import ptb
from .row_plot import plot_rows
from .text import read_text
from .tokens import BYTES, EOS, UNK
from .windows import Windows, draw_rows, windows

__all__ = [
    "BYTES",
    "EOS",
    "STORIES",
    "UNK",
    "Batches",
    "Corpus",
    "Grammar",
    "Reading",
    "Splits",
    "Windows",
    "batches",
    "draw_rows",
    "grammar",
    "grammar_entropy",
    "load",
    "map_text",
    "open_map",
    "pad",
    "plot_rows",
    "ptb",
    "read_text",
    "tasks",
    "windows",
]
