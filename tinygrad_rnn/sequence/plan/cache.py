"""The plans that have been made: one for each cell, shapes, dtypes and flags, the latest used ones kept."""

from __future__ import annotations

import linecache
import threading
import zlib
from collections import OrderedDict
from typing import Any

import numpy as np

from ...engine import threads
from ...engine.codegen import SIMPLE
from ...engine.context import context
from ...engine.tensor import Tensor, value
from ...errors import Error, PlanError
from ..call import Call
from ..jit import compiled_writer
from .build import build
from .compiled import Plan
from .purity import Reads, reads_of
from .verify import verify
from .write_loop import Writer

MOST = 256  #: plans that are kept
TRIES = 3  #: plans for one key, if arrays that the cell reads change, before the cell runs eagerly

_lock = threading.RLock()
_plans: OrderedDict[Any, Entry] = OrderedDict()


class Entry:
    """A plan in the cache. ``state``: the checksums of the arrays that it holds for, the plan or why there is none, and
    how many plans were made for this key; None when the entry has been dropped.
    """

    __slots__ = ("key", "state")

    def __init__(self, key: Any, state: Any):
        self.key, self.state = key, state


class Request:
    """What calls of `scan` with arguments of the same kinds ask for: names, what needs a gradient, the key of the plan.

    It holds neither an array of a call nor the cell, which holds it. It is valid as long as the cell reads the same
    variables, ``reads``.
    """

    entry: Entry | None = None  # of its plan, after the first call

    def __init__(self, call: Call, reads: Reads, jit: bool):
        self.reads, self.masked = reads, call.mask is not None
        self.writer: type[Writer] = compiled_writer() if jit else Writer
        tensors, config = call.tensors, call.config
        taken = [*tensors, *config]
        self.outer = {f"{name}_outside" if name in taken else name: array for name, array in reads.arrays.items()}
        nodes = {**tensors, **self.outer}
        wanted = [name for name, tensor in nodes.items() if getattr(tensor, "node", None) is not None]
        self.wanted = wanted if context.recording else []
        arrays = [np.asarray(value(tensor)) for tensor in tensors.values()]
        self.kinds = [(array.shape, array.dtype) for array in arrays]
        self.dtype = arrays[0].dtype
        shapes = [array.shape if k else (len(array), *array.shape[2:]) for k, array in enumerate(arrays)]
        dtypes = list(dict.fromkeys([array.dtype.str for array in arrays]))
        if len(dtypes) > 1 or self.dtype.kind != "f" or self.dtype.itemsize not in (4, 8):
            raise PlanError(f"the arrays have dtypes {', '.join(dtypes)}, should all be float32 or float64")
        if 0 in [n for shape in shapes for n in shape]:
            raise PlanError("an array is empty")
        kinds = [(name, _config_key(name, arg)) for name, arg in config.items()]
        self.key = (*reads.key, *shapes, dtypes[0], *kinds, *self.wanted, self.masked, jit and ("jit", threads.chosen))

    def contents(self) -> Any:
        """Checksums of the arrays that the cell reads besides its arguments; Python may decide by their values."""
        fixed = [np.ascontiguousarray(value(arg)) for arg in self.outer.values() if getattr(arg, "node", None) is None]
        return tuple([zlib.crc32(array.reshape(-1).view(np.uint8).data) if array.size else 0 for array in fixed])


def request_of(call: Call, jit: bool = False) -> Request:
    """The request of a call: a known one as long as the cell reads the same. Raises PlanError for what is not planned.

    Raises MissingDependency for ``jit`` without llvmlite.
    """
    reads = reads_of(call.cell)
    known, flags = call.form.requests, (context.recording, call.mask is not None, jit and ("jit", threads.chosen))
    request = known.get(flags)
    if request is None or request.reads is not reads:
        request = Request(call, reads, jit)
        if reads.lasting:
            known[flags] = request
    return request


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


def plan_for(request: Request, call: Call) -> Plan:
    """The plan for a call: a known one, or a new one that is verified. Raises PlanError if there is none."""
    contents = request.contents() if request.outer else ()
    with _lock:
        entry = request.entry
        if entry is None or entry.state is None:
            entry = request.entry = _plans.setdefault(request.key, Entry(request.key, ((), None, 0)))
        _plans.move_to_end(entry.key)
        known, plan, tries = entry.state
        if plan is None or (known != contents and tries <= TRIES):
            changing = PlanError("an array that the cell reads has changed at each call")
            plan = _new(request, call) if tries < TRIES else changing
            entry.state = contents, plan, tries + 1
            while len(_plans) > MOST:
                _forget(_plans.popitem(last=False)[1])
    if isinstance(plan, PlanError):
        raise plan.with_traceback(None)
    return plan


def _new(request: Request, call: Call) -> Plan | PlanError:
    try:
        arrays = {name: np.asarray(value(tensor)) for name, tensor in call.tensors.items()}
        cell, xs = call.cell, arrays[call.cell.input]
        step = {**arrays, cell.input: xs[:, 0]}
        config, outer, masked = call.config, request.outer, request.masked
        with np.errstate(all="ignore"):
            built = build(cell, step, config, outer, request.wanted, masked, request.writer)
        plan = Plan(cell.name, built)
        verify(plan, cell, arrays, config, outer, masked)
        plan.drop_samples()
        return plan
    except PlanError as error:
        return error
    except Error as error:
        return PlanError(f"the cell raises {type(error).__name__}: {error}")


def clear() -> None:
    """Drop all plans."""
    with _lock:
        while _plans:
            _forget(_plans.popitem()[1])


def _forget(entry: Entry) -> None:
    for file in getattr(entry.state[1], "files", ()):
        linecache.cache.pop(file, None)
    entry.state = None
