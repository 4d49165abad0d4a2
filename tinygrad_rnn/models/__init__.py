"""The models of the notes, made of the layers of `nn`, each with its loss, its prediction and its accuracy."""

from .classifier import Classifier
from .counting import CountingNetwork
from .language import BetterRnnlm, LanguageModel, Rnnlm, SimpleRnnlm
from .one_to_many import OneToMany
from .seq2seq import Seq2seq
from .tagger import Tagger

__all__ = [
    "BetterRnnlm",
    "Classifier",
    "CountingNetwork",
    "LanguageModel",
    "OneToMany",
    "Rnnlm",
    "Seq2seq",
    "SimpleRnnlm",
    "Tagger",
]
