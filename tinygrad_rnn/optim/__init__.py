"""Optimisers update parameters in place by their ``.grad``; schedules set their learning rate; clipping limits it."""

from .clip import clip_grad_norm, clip_grad_value, grad_norm
from .optimizer import Optimizer
from .optimizers import ASGD, OPTIMIZERS, SGD, AdaGrad, Adam, AdamW, RMSprop, Rprop
from .schedules import SCHEDULES, Constant, Cosine, ReduceOnPlateau, Schedule, StepDecay, WarmUp

__all__ = [
    "SGD", "ASGD", "AdaGrad", "RMSprop", "Rprop", "Adam", "AdamW", "Optimizer", "OPTIMIZERS",
    "Constant", "StepDecay", "Cosine", "WarmUp", "ReduceOnPlateau", "Schedule", "SCHEDULES",
    "clip_grad_norm", "clip_grad_value", "grad_norm",
]  # fmt: skip
