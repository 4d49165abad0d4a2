"""Layers: objects that own parameters and are called on Tensors."""

from .attention import Attention
from .bidirectional import Bidirectional
from .dropout import Dropout, VariationalDropout
from .layers import Embedding, Linear
from .module import Module
from .norm import BatchNorm, LayerNorm
from .parameter import Buffer
from .recurrent import Recurrent
from .seq2seq import Decoder, Encoded, Encoder
from .sequential import LastStep, Sequential
from .stacked import Stacked
from .summary import Summary

__all__ = [
    "Module", "Buffer", "Summary",
    "Embedding", "Linear", "Dropout", "VariationalDropout", "LayerNorm", "BatchNorm", "Sequential", "LastStep",
    "Recurrent", "Stacked", "Bidirectional", "Attention", "Encoder", "Encoded", "Decoder",
]  # fmt: skip
