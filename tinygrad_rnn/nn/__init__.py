"""Layers: objects that own parameters and are called on Tensors."""

from .layers import Embedding, Linear
from .module import Module
from .parameter import Buffer
from .recurrent import Recurrent
from .summary import Summary

__all__ = ["Buffer", "Embedding", "Linear", "Module", "Recurrent", "Summary"]
