"""Every operation, by its name.  Declared once each in the modules here; listed with formulas in docs/ops.md."""

from ..op import COMPOSITES, OPS
from . import activation, cross_entropy, elementwise, index, linear, loss, methods, random, reduce, shaping

_MODULES = (elementwise, activation, linear, reduce, shaping, index, loss, cross_entropy, random, methods)
_OTHERS = ["split", "array_split", "hsplit", "vsplit"]

__all__ = [*(name for name in OPS if name not in ("cross_entropy_gradient",)), *COMPOSITES, *_OTHERS]
for _name in __all__:
    globals()[_name] = next(getattr(module, _name) for module in _MODULES if hasattr(module, _name))
