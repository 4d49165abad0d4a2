"""Every operation, by its name.  Declared once each in the modules here; listed with formulas in docs/ops.md."""

from .elementwise import (
    add,
    subtract,
    multiply,
    divide,
    negative,
    positive,
    reciprocal,
    remainder,
    fmod,
    hadamard,
    power,
    square,
    sqrt,
    cbrt,
    exp,
    exp2,
    expm1,
    log,
    log2,
    log10,
    log1p,
    logaddexp,
    logaddexp2,
    sin,
    cos,
    tan,
    arcsin,
    arccos,
    arctan,
    arctan2,
    sinh,
    cosh,
    tanh,
    arcsinh,
    arccosh,
    arctanh,
    hypot,
    sinc,
    deg2rad,
    rad2deg,
    abs,
    fabs,
    sign,
    floor,
    ceil,
    trunc,
    rint,
    maximum,
    minimum,
    fmax,
    fmin,
    copysign,
    clip,
    where,
)
from .activation import sigmoid, relu, leaky_relu, elu, silu, softplus, hard_sigmoid
from .gaussian import erf, erfc, gelu
from .linear import matmul, affine, dot, inner, outer, tensordot, kron, cross
from .einsum import einsum
from .reduce import sum, mean, var, std, prod, max, min, norm, cumsum, sort, trace, diff
from .shaping import (
    reshape,
    expand_dims,
    squeeze,
    transpose,
    swapaxes,
    moveaxis,
    broadcast_to,
    roll,
    pad,
    ravel,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    flip,
    fliplr,
    flipud,
    rot90,
    rollaxis,
    repeat,
)
from .join_split import (
    concatenate,
    stack,
    append,
    vstack,
    hstack,
    dstack,
    column_stack,
    tile,
    split,
    array_split,
    hsplit,
    vsplit,
    dsplit,
    block,
)
from .index import getitem, scatter, embedding, take, take_along_axis, diag, diagonal, tril, triu
from .assignment import assign
from .composed import nan_to_num, linspace, partition, select, gradient
from .loss import softmax, log_softmax, logsumexp, mean_squared_error, binary_cross_entropy
from .cross_entropy import softmax_cross_entropy
from .fused_output import affine_cross_entropy
from .random import dropout
from .tensor_methods import copy, astype

__all__ = [name for name, function in globals().items() if callable(function)]
