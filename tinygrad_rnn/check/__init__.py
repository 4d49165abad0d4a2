"""Check gradients: autograd against numbers, and a gradient derived by hand against both."""

from .backward import check_backward
from .gradients import check_gradients
from .report import CheckError, Diagnosis, Report, Row

__all__ = ["check_gradients", "check_backward", "CheckError", "Report", "Row", "Diagnosis"]
