"""How long pictures take, each in a process of its own: ``python tests/bench/drawing.py [--rounds R]``.

The time is from after the import to the written file, and the largest memory of the process is its own.
"""

import argparse
import statistics
import subprocess
import sys

CASES = {
    "lstm, one step, forward and backward, svg": ("draw(lstm).save('a.svg')", 0.5),
    "lstm, 35 steps of operations, unrolled, svg": ("draw(lstm, steps=35, level='op', fold='none').save('a.svg')", 5.0),
    "lstm, 10,000 steps, folded, svg (import included)": ("draw(lstm, steps=10000).save('a.svg')", 2.0),
    "chain of 100,000 operations, svg": ("draw(chain(100000)).save('a.svg')", None),
}
CODE = """
import os, resource, tempfile, time
start = time.perf_counter()
import numpy as np
from tinygrad_rnn import Tensor, draw, lstm
if "import included" not in {name!r}:
    start = time.perf_counter()
def chain(n):
    y = Tensor(np.ones(3), requires_grad=True)
    for _ in range(n):
        y = y + 1.0
    return y
os.chdir(tempfile.mkdtemp())
{call}
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def measured(name: str, call: str) -> tuple[float, float]:
    """Seconds, and MB."""
    done = subprocess.run([sys.executable, "-c", CODE.format(name=name, call=call)], capture_output=True, text=True,
                          check=True)  # fmt: skip
    seconds, memory = map(float, done.stdout.split())
    return seconds, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, metavar="R", help="runs of each (%(default)s)")
    rounds = parser.parse_args().rounds
    print(f"{'':52} {'median':>8} {'least':>8} {'target':>8} {'memory':>9}")
    for name, (call, target) in CASES.items():
        runs = [measured(name, call) for _ in range(rounds)]
        times = [seconds for seconds, _ in runs]
        aim = "" if target is None else f"{target:.1f} s"
        most = max(memory for _, memory in runs)
        print(f"{name:52} {statistics.median(times):6.2f} s {min(times):6.2f} s {aim:>8} {most:6.0f} MB")


if __name__ == "__main__":
    main()
