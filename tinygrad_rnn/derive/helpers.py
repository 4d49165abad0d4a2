"""Functions that NumPy lacks, as they stand at the head of a printed module. A helper may call one before it."""

from __future__ import annotations

HELPERS = {
    "sigmoid": """
def sigmoid(x):
    e = np.exp(np.minimum(x, 40))  # e**x could overflow; from 40 on the result is 1
    return e / (1 + e)
""",
    "softmax": """
def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))  # e**x could overflow
    return e / e.sum(axis=axis, keepdims=True)
""",
    "log_softmax": """
def log_softmax(x, axis=-1):
    x = x - x.max(axis=axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=axis, keepdims=True))
""",
    "logsumexp": """
def logsumexp(x, axis=None, keepdims=False):
    top = x.max(axis=axis, keepdims=True)  # e**x could overflow
    y = np.log(np.exp(x - top).sum(axis=axis, keepdims=True)) + top
    return y if keepdims else y.squeeze(axis)
""",
    "erf": """
def erf(x):
    return np.vectorize(math.erf, otypes=[x.dtype])(x)
""",
    "erfc": """
def erfc(x):
    return np.vectorize(math.erfc, otypes=[x.dtype])(x)
""",
    "gelu": """
def gelu(x):
    return x * 0.5 * erfc(-x / math.sqrt(2))
""",
    "elu": """
def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))
""",
    "put": """
def put(x, index, shape):
    y = np.zeros(shape, x.dtype)
    y[index] = x
    return y
""",
    "assigned": """
def assigned(x, index, v):
    y = x.copy()
    y[index] = v
    return y
""",
}
#: What a helper calls.
NEEDS = {"gelu": ["erfc"]}


def head(wanted: dict[str, None]) -> list[str]:
    """The imports, and the helpers that are wanted with all that they call, in the order of the table."""
    needed = dict.fromkeys([*wanted, *(other for one in wanted for other in NEEDS.get(one, []))])
    texts = [text.strip() + "\n" for name, text in HELPERS.items() if name in needed]
    imports = ["import math\n"] * any("math." in text for text in texts) + ["import numpy as np\n"]
    return ["\n".join(imports), *texts]
