"""Check gradients: autograd against numbers; one by hand against both; a layer by hand against numbers."""

from .backward import check_backward
from .gradients import check_gradients
from .layer import check_layer
from .report import CheckError, Diagnosis, Report, Row

__all__ = ["check_gradients", "check_backward", "check_layer", "CheckError", "Report", "Row", "Diagnosis"]
