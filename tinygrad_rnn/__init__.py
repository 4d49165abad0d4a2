"""tinygrad_rnn: recurrent cells as forward-only code, on NumPy."""

from . import ops
from .ops import *
from .tensor import Tensor, detach, no_grad, scope, tensor, zeros
from .cell import Cell, Param, cell
from .cells import gru, gru_after, layer_norm_lstm, lstm, mgu, peephole_lstm, rnn
from .scan import scan
from .transforms import checkpoint, grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from . import data, nn, optim, train
