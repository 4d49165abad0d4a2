"""Layers: objects that own parameters and are called on Tensors."""

from .layers import Embedding, Linear
from .module import Module
from .recurrent import Recurrent

__all__ = ["Embedding", "Linear", "Module", "Recurrent"]
