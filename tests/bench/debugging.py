"""How often the debugger names the planted line, and patches it: ``python tests/bench/debugging.py [NAME ...]``.

The mistakes are those of the table of handwritings; with ``--random 100``, random single edits of the syntax tree of
the backward instead. ``--every 5`` takes each fifth. Every patch is loaded as a file of its own and checked on inputs
of another seed. A file that fails with its mistake "does not run"; where the debugger itself or a mended file fails,
the word is "raised". Times are CPU seconds.
"""

import argparse
import collections
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))

from helpers.handwritings.fresh import FRESH
from helpers.handwritings.jobs import job_of
from helpers.handwritings.random_edits import random_cases
from helpers.handwritings.table import HANDWRITINGS
from tinygrad_rnn.check.debugger.search import search


def result(handwriting, text, line, folder, key):
    """What the debugger says of a file: a word, the line, the patch, and the seconds."""
    start = time.process_time()
    try:
        job = job_of(handwriting, text, folder / f"{handwriting.name}_{key}.py")
    except Exception:  # of the user's code: the traceback names its line
        return "does not run", None, None, time.process_time() - start
    if not job.first.wrong:
        return "not detected", None, None, time.process_time() - start
    found = search(job)
    seconds = time.process_time() - start
    if not found.patches:
        at = found.line.line.statement.lineno if found.line else None
        return "nothing" if at is None else "line" if at == line else "line elsewhere", at, None, seconds
    patch = found.patches[-1]
    again = job_of(handwriting, patch.text, folder / f"{handwriting.name}_{key}_mended.py", seed=7)
    if again.first.wrong:
        return "wrong patch", patch.line, patch, seconds
    near = line <= patch.line <= line + 2 or (found.edit and found.edit.statement.lineno == line)
    near = near and len(found.patches) == 1
    return "patched" if near else "patched elsewhere", patch.line, patch, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0, help="of the random edits")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--fresh", action="store_true", help="the handwritings that the edits were not tuned to")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    totals, seconds = collections.Counter(), []
    with tempfile.TemporaryDirectory() as name:
        table = FRESH if options.fresh else HANDWRITINGS
        for handwriting in [row for row in table if row.name in options.names] or table:
            cases = [(kind, *handwriting.with_mistake(k)) for k, (kind, _, _) in enumerate(handwriting.mistakes)]
            cases = random_cases(handwriting, options.random, options.seed) if options.random else cases
            for k, (kind, text, line) in list(enumerate(cases))[options.first :: options.every]:
                try:
                    word, at, patch, took = result(handwriting, text, line, Path(name), k)
                except Exception as error:
                    word, at, patch, took = f"raised {type(error).__name__}", None, None, 0.0
                totals[word] += 1
                seconds.append(took)
                planted = text.split("\n")[line - 1].strip()
                shown = patch is not None and word != "patched"
                said = (
                    f"-> {at}: {patch.old.strip()} => {patch.new.strip()}"
                    if shown
                    else f"-> {at}"
                    if at != line
                    else ""
                )
                print(f"{word:18}{took:6.1f} s  {handwriting.name}:{line} {kind}: {planted} {said}", flush=True)
    print(dict(totals), f"median {np.median(seconds):.1f} s, 90 % {np.quantile(seconds, 0.9):.1f} s")


if __name__ == "__main__":
    main()
