"""`Module`: parameters with names, in the order of their assignment; modes, buffers and generators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from ..engine.context import context
from ..engine.graph import clock
from ..engine.tensor import Tensor, value
from ..engine.versions import bump
from ..errors import InvalidAttribute, InvalidType, InvalidValue
from . import parameter as tensors
from .parameter import Buffer, Frozen, is_parameter
from .summary import Summary, summarize

Self = TypeVar("Self", bound="Module")


class Module:
    """Base class of layers and models: it collects the parameters among its attributes.

    A subclass writes its computation as ``forward`` or as ``__call__``; ``model(x)`` and ``model.forward(x)`` are the
    same. Parameters may be attributes themselves, or be in modules, lists, tuples and dicts among the attributes. A
    parameter is a leaf Tensor that requires a gradient, or a Tensor by which `grad` and the other transforms
    differentiate. Its name is the path of attributes to it (``embed.W``); the order is that of assignment. A Tensor
    with two names (tied weights) is one parameter, under the first name; two equal Tensors are two parameters.
    """

    training: bool = True  #: the mode: `train` and `eval` set it

    def __init_subclass__(cls, **options: Any) -> None:
        """Let ``forward`` be ``__call__``, so that a call has its signature and costs nothing more."""
        super().__init_subclass__(**options)
        parent: Any = super(cls, cls)
        written = "forward" in vars(cls) and "__call__" not in vars(cls)
        if written and parent.__call__ in (Module.__call__, parent.forward):
            cls.__call__ = cls.forward  # type: ignore[method-assign]

    def __call__(self, *args: Any, **options: Any) -> Any:
        forward = type(self).forward
        if getattr(forward, "__wrapped__", forward) is Module.forward:  # wrapped: in a summary
            raise InvalidType(f"{type(self).__name__}: it has no forward, should define forward(self, ...)")
        return self.forward(*args, **options)

    def forward(self, *args: Any, **options: Any) -> Any:
        """Compute the output: the same as a call of the module."""
        return self(*args, **options)

    def __setattr__(self, name: str, new: Any) -> None:
        """Set an attribute. A Tensor in the place of a buffer sets the values of the buffer.

        Raises InvalidType for a computed Tensor or an array in the place of a parameter, which would silently not be
        trained, and InvalidAttribute for a name that every module has.
        """
        if name == "training":  # set for every token of a text that is generated
            super().__setattr__(name, new)
            return
        where, before = type(self).__name__, vars(self).get(name)
        if hasattr(Module, name) and not name.startswith("__"):
            raise InvalidAttribute(f"{where}: {name} is what every Module has, should be another name")
        computed = isinstance(new, Tensor) and new.node is not None and not is_parameter(new)
        if computed and (is_parameter(before) or isinstance(before, Frozen)) and not context.transforms:
            raise InvalidType(f"{where}: {name} is {new.node.label()}, should be a leaf, since {name} is a parameter; "
                            "to tie an output layer to an embedding: Linear(..., tied=embed)")  # fmt: skip
        if isinstance(new, np.ndarray) and (is_parameter(before) or isinstance(before, Frozen)):
            raise InvalidType(f"{where}: {name} is an array, should be a Tensor, since {name} is a parameter; to set "
                            f"its values: with no_grad(): layer.{name}[...] = array")  # fmt: skip
        if type(before) is Buffer and type(new) is Tensor and not is_parameter(new):
            before.data = value(new)
        else:
            super().__setattr__(name, new)

    # -- what it holds ---------------------------------------------------------------------------------------------

    @property
    def params(self) -> dict[str, Tensor]:
        """Every parameter by its name, collected anew at each access. Frozen parameters are not among them."""
        return {name: tensor for name, tensor in walk(self, Tensor) if is_parameter(tensor)}

    @property
    def modules(self) -> dict[str, Module]:
        """The module itself, named "", and every module below it by its path."""
        return dict(walk(self, Module))

    @property
    def rngs(self) -> dict[str, np.random.Generator]:
        """Every random generator in the module by its path, each once: what a resumed run has to restore."""
        return dict(walk(self, np.random.Generator))

    # -- modes -----------------------------------------------------------------------------------------------------

    def train(self: Self, mode: bool = True) -> Self:
        """Set the training mode of this module and of all below it: dropout drops, `BatchNorm` uses the batch.

        Returns the module. The mode alone decides; `no_grad` does not change what a layer computes.
        """
        for module in self.modules.values():
            module.training = bool(mode)
        return self

    def eval(self: Self) -> Self:
        """Set the evaluation mode: nothing is dropped, and `BatchNorm` uses its running statistics."""
        return self.train(False)

    def freeze(self: Self) -> Self:
        """Exclude all parameters from training: they leave `params`, and stay in `state_dict`. Returns the module.

        Freeze before the optimiser is created, or between a step and the next forward pass.
        """
        for tensor in self.params.values():
            tensors.freeze(tensor)
        return self

    def unfreeze(self: Self) -> Self:
        """Undo `freeze`; the gradients are None."""
        for _, tensor in walk(self, Tensor):
            if isinstance(tensor, Frozen):
                tensors.unfreeze(tensor)
        return self

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to None."""
        for tensor in self.params.values():
            tensor.grad = None

    # -- all arrays at once ----------------------------------------------------------------------------------------

    def _saved(self) -> dict[str, Tensor]:
        """The parameters, frozen or not, and the buffers, by name."""
        return {name: tensor for name, tensor in walk(self, Tensor)
                if is_parameter(tensor) or isinstance(tensor, Buffer)}  # fmt: skip

    def state_dict(self) -> dict[str, np.ndarray]:
        """A copy of every parameter, frozen ones included, and of every buffer as an array, by name."""
        return {name: tensor.numpy() for name, tensor in self._saved().items()}

    def load_state_dict(self, arrays: Mapping[str, Any]) -> None:
        """Set every parameter and buffer from an array of its shape, by name; dtypes stay as they are.

        Raises InvalidValue if an array is missing, unknown, or of another shape or kind; then nothing is set.
        """
        saved, where = self._saved(), type(self).__name__
        missing = [name for name in saved if name not in arrays]
        extra = [name for name in arrays if name not in saved]
        if missing or extra:
            parts = [f"{', '.join(missing)} missing"] * bool(missing) + [f"{', '.join(extra)} unknown"] * bool(extra)
            raise InvalidValue(f"{where}: {' and '.join(parts)}, should be exactly {', '.join(saved)}")
        new = {name: np.asarray(value(arrays[name])) for name in saved}
        for name, tensor in saved.items():
            if new[name].shape != tensor.shape or new[name].dtype.kind not in "fiub":
                raise InvalidValue(f"{where}: {name} is {new[name].dtype} {new[name].shape}, "
                                 f"should be {tensor.dtype} {tensor.shape}")  # fmt: skip
        for name, tensor in saved.items():
            tensor._array[...] = new[name]
            bump(tensor._array, clock())

    def summary(self, *inputs: Any, **options: Any) -> Summary:
        """A table of the modules: name, output shape, parameters, memory; ``print(model.summary(ids))``.

        With ``inputs``, the shapes are those of a call ``model(*inputs, **options)``. The call is made on a copy in
        evaluation mode, so neither the state, nor the generators, nor the mode of the module change.
        """
        return summarize(self, inputs, options)

    def __repr__(self) -> str:
        shapes = [
            f"{name} {tensor.shape}{' frozen' * isinstance(tensor, Frozen)}" for name, tensor in self._saved().items()
        ]
        return f"{type(self).__name__}({', '.join(shapes)})"


def walk(holder: Any, kind: type, path: str = "", seen: dict[int, None] | None = None) -> Iterator[tuple[str, Any]]:
    """Every object of ``kind`` in ``holder`` with its path, itself included; an object in ``seen`` is left out."""
    seen = {} if seen is None else seen
    parts = dict(enumerate(holder)) if isinstance(holder, (list, tuple)) else holder
    parts = vars(holder) if isinstance(holder, Module) else parts
    if id(holder) in seen or not (isinstance(holder, kind) or isinstance(parts, Mapping)):
        return
    seen[id(holder)] = None
    if isinstance(holder, kind):
        yield path, holder
    if isinstance(parts, Mapping):
        for key, part in parts.items():
            yield from walk(part, kind, f"{path}.{key}" if path else str(key), seen)
