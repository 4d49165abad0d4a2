"""tinygrad_rnn: recurrent cells as forward-only code, on NumPy."""

from . import data, models, nn, ops, optim, train
from .cells import initializers as init
from .cells.builtin import gru, gru_after, layer_norm_lstm, lstm, mgu, peephole_lstm, rnn
from .cells.cell import Cell, Param, cell
from .cells.masks import draw_masks
from .cells.wrappers import projected, residual, variational_dropout, zoneout
from .check import check_backward, check_gradients, check_layer, check_loss
from .derive import derive
from .draw import draw
from .engine.checkpoint import checkpoint
from .engine.context import no_grad, scope
from .engine.debug import trace_mutations, trace_nans
from .engine.tensor import Tensor, detach, tensor, zeros
from .engine.transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from .errors import (
    CheckError, DeriveError, Error, GraphError, MutationError, NanError, PlanError, RenderError, ShapeError,
)  # fmt: skip
from .flow import gate_values, gradient_flow
from .ops import *
from .sequence.plan.explain import plan
from .sequence.scan import scan

__version__ = "0.1.0"

__all__ = [
    "Tensor", "tensor", "zeros", "detach", "no_grad", "scope", "checkpoint",
    "grad", "value_and_grad", "vjp", "jvp", "jacobian", "hessian", "hvp",
    "cell", "Cell", "Param", "scan", "plan",
    "rnn", "lstm", "gru", "gru_after", "peephole_lstm", "layer_norm_lstm", "mgu",
    "variational_dropout", "zoneout", "residual", "projected", "draw_masks",
    "draw", "gradient_flow", "gate_values", "check_gradients", "check_backward", "check_layer", "check_loss",
    "derive",
    "trace_nans", "trace_mutations",
    "Error", "ShapeError", "GraphError", "MutationError", "NanError", "CheckError", "DeriveError", "PlanError",
    "RenderError",
    "ops", "nn", "optim", "data", "models", "train", "init",
    *ops.__all__,
]  # fmt: skip


def __dir__() -> list[str]:
    """The public names: what `__all__` has, and what every module has."""
    return [*__all__, *(name for name in globals() if name.startswith("__") and name != "__dir__")]
