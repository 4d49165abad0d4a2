"""The plans that have been made: one for each cell, shapes, dtypes and flags, the latest used ones kept."""

from __future__ import annotations

import linecache
import threading
import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...engine.codegen import SIMPLE
from ...engine.context import context
from ...engine.tensor import Tensor, value
from ...errors import Error, PlanError
from ..jit import compiled_writer
from .build import build
from .compiled import Plan
from .purity import Reads
from .verify import verify
from .write_loop import Writer

MOST = 256  #: plans that are kept
TRIES = 3  #: plans for one key, if arrays that the cell reads change, before the cell runs eagerly

_lock = threading.RLock()
_plans: OrderedDict[Any, tuple[Any, Plan | PlanError, int]] = OrderedDict()


class Request:
    """A call of scan that asks for a plan: its arrays by name, its configuration, and its key."""

    def __init__(self, cell: Cell, xs: Tensor, state: Sequence[Tensor], params: Mapping[str, Any], masked: bool,
                 jit: bool = False):  # fmt: skip
        reads = Reads(cell)
        self.cell, self.masked = cell, masked
        self.writer: type[Writer] = compiled_writer() if jit else Writer
        self.tensors: dict[str, Any] = {cell.input: xs, **dict(zip(cell.states, state))}
        self.tensors.update({name: params[name] for name in cell.params})
        self.config = {name: arg for name, arg in params.items() if name not in cell.params}
        taken = [*self.tensors, *self.config]
        self.outer = {f"{name}_outside" if name in taken else name: array for name, array in reads.arrays.items()}
        nodes = {**self.tensors, **self.outer}
        self.wanted = [name for name, tensor in nodes.items() if getattr(tensor, "node", None) is not None]
        self.wanted = self.wanted if context.recording else []
        arrays = [np.asarray(value(tensor)) for tensor in self.tensors.values()]
        self.dtype = arrays[0].dtype
        shapes = [array.shape if k else (len(array), *array.shape[2:]) for k, array in enumerate(arrays)]
        dtypes = [array.dtype.str for array in arrays]
        if len(dict.fromkeys(dtypes)) > 1 or self.dtype.kind != "f" or self.dtype.itemsize not in (4, 8):
            raise PlanError(
                f"the arrays have dtypes {', '.join(dict.fromkeys(dtypes))}, should all be float32 or float64"
            )
        if 0 in (len(value(xs)), *(n for shape in shapes for n in shape)):
            raise PlanError("an array is empty")
        config = [(name, _config_key(name, arg)) for name, arg in self.config.items()]
        self.key = (*reads.key, *shapes, dtypes[0], *config, *self.wanted, masked, jit)

    def contents(self) -> Any:
        """Checksums of the arrays that the cell reads besides its arguments; Python may decide by their values."""
        fixed = [np.ascontiguousarray(value(arg)) for arg in self.outer.values() if getattr(arg, "node", None) is None]
        return tuple(zlib.crc32(array.reshape(-1).view(np.uint8).data) if array.size else 0 for array in fixed)


def _config_key(name: str, arg: Any) -> Any:
    if arg.__class__ in SIMPLE:
        return type(arg), repr(arg)
    if isinstance(arg, (np.ndarray, Tensor)) and getattr(arg, "node", None) is None:
        return type(arg), arg.shape, str(arg.dtype)
    if isinstance(arg, np.random.Generator) and name == "rng":
        return "rng"
    raise PlanError(
        f"the configuration {name} is a {type(arg).__name__}, should be a number, an array or a generator rng"
    )


def plan_for(request: Request) -> Plan:
    """The plan for a request: a known one, or a new one that is verified. Raises PlanError if there is none."""
    contents = request.contents()
    with _lock:
        known = _plans.get(request.key)
        if known is not None:
            _plans.move_to_end(request.key)
        if known is not None and (known[0] == contents or known[2] > TRIES):
            if isinstance(known[1], PlanError):
                raise known[1].with_traceback(None)
            return known[1]
        tries = known[2] + 1 if known is not None else 1
        result = _new(request) if tries <= TRIES else PlanError("an array that the cell reads has changed at each call")
        _plans[request.key] = contents, result, tries
        while len(_plans) > MOST:
            _forget(_plans.popitem(last=False)[1][1])
    if isinstance(result, PlanError):
        raise result
    return result


def _new(request: Request) -> Plan | PlanError:
    try:
        arrays = {name: np.array(value(tensor)) for name, tensor in request.tensors.items()}
        xs = arrays[request.cell.input]
        step = {**arrays, request.cell.input: xs[:, 0]}
        config, outer, masked = request.config, request.outer, request.masked
        with np.errstate(all="ignore"):
            built = build(request.cell, step, config, outer, request.wanted, masked, request.writer)
        plan = Plan(request.cell.name, built)
        verify(plan, request.cell, arrays, config, outer, masked)
        return plan
    except PlanError as error:
        return error
    except Error as error:
        return PlanError(f"the cell raises {type(error).__name__}: {error}")


def _forget(plan: Plan | PlanError) -> None:
    for file in getattr(plan, "files", ()):
        linecache.cache.pop(file, None)
