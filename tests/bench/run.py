"""Every benchmark, one table after another, with the targets and whether they are reached.

``python tests/bench/run.py [--quick] [--rounds R] [--json FILE] [--docs] [--only NAME ...] [--size LABEL ...]``
"""

import better_lm
import embedding
import first_use
import generation
import layers
import lm_step
import lstm
import op_overhead
import passes
import user_cells
from table import main

BENCHES = (lstm.BENCH, *user_cells.BENCHES, *layers.BENCHES, lm_step.BENCH, better_lm.BENCH, generation.BENCH,
           first_use.BENCH, passes.BENCH, op_overhead.BENCH, embedding.BENCH)  # fmt: skip

if __name__ == "__main__":
    main(*BENCHES)
