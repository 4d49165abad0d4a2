"""tinygrad_rnn: recurrent cells as forward-only code, on NumPy."""

from .draw import draw  # before the operations: a module named trace must not hide the operation of that name
from .errors import CheckError
from .check import check_backward, check_gradients, check_layer
from . import ops
from .ops import *
from .errors import GraphError
from .errors import MutationError
from .mode import no_grad, scope
from .errors import ShapeError
from .tensor import Tensor, detach, tensor, zeros
from .cell import Cell, Param, cell
from .cells import gru, gru_after, layer_norm_lstm, lstm, mgu, peephole_lstm, rnn
from .masks import draw_masks
from .scan import scan
from .wrappers import projected, residual, variational_dropout, zoneout
from .checkpoint import checkpoint
from .transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from .errors import NanError
from .debug import trace_mutations, trace_nans
from . import data, nn, optim, train
from .draw import draw
from .flow import gradient_flow
from .errors import DeriveError
from .derive import derive

__version__ = "0.1.0"
