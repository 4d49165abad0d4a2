"""Optimisers: they update parameters in place by their ``.grad``."""

from .clip import clip_grad_norm, grad_norm
from .optimizers import SGD, Adam, Optimizer

__all__ = ["SGD", "Adam", "Optimizer", "clip_grad_norm", "grad_norm"]
