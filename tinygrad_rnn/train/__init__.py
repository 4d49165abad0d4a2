"""Training: the language model, its loop, perplexity, and samples."""

from .evaluate import generate, perplexity
from .fit import Progress, fit
from .language_model import LanguageModel
from .store import load_model, save_model

__all__ = ["LanguageModel", "Progress", "fit", "generate", "load_model", "perplexity", "save_model"]
