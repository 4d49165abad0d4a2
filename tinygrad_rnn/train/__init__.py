"""Training: the loop for any model, perplexity and samples, runs on disk."""

from .evaluate import generate, mean_loss, perplexity, stream
from .fit import fit
from .history import History, plot_histories
from .progress import Position, Progress
from .store import load_model, save_model

__all__ = [
    "History",
    "Position",
    "Progress",
    "fit",
    "generate",
    "load_model",
    "mean_loss",
    "perplexity",
    "plot_histories",
    "save_model",
    "stream",
]
