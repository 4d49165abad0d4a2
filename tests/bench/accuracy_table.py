"""Print how accurate every operation is: python tests/bench/accuracy_table.py [count] [operation ...]

The worst error in ulp of the value and of each derivative, in float32 and float64. Derivatives are compared with the
true ones at what their rule has saved.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from helpers.accuracy import elementwise, measured


def main(count: int, names: list[str]) -> None:
    print("| operation | quantity | float32 | float64 |\n|---|---|---|---|")
    for spec in elementwise():
        if not names or spec.name in names:
            single, double = (
                dict(measured(spec, dtype, np.random.default_rng(0), count)) for dtype in (np.float32, np.float64)
            )
            for quantity in single:
                errors = f"{single[quantity].ulp:.3g} | {double[quantity].ulp:.3g}"
                print(f"| {spec.name} | {quantity} | {errors} |", flush=True)


if __name__ == "__main__":
    main(int([*sys.argv, "1000"][1]), sys.argv[2:])
