"""Check gradients: autograd against numbers, a hand-derived backward against both, a layer against numbers."""

from .backward import check_backward
from .gradients import check_gradients
from .layer import check_layer
from .layer import check_loss
from ..errors import CheckError
from .report import Diagnosis, Report, Row
from .testing import each_gradient

__all__ = ["check_gradients", "check_backward", "check_layer", "check_loss", "each_gradient", "CheckError", "Report",
           "Row", "Diagnosis"]  # fmt: skip
