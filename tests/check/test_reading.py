"""A line to change is read back: what is so passes, what is not is noticed, what cannot be read is not counted."""

import pytest

from helpers.bptt_by_hand import BY_HAND
from helpers.judging import CELLS, case
from helpers.mutants import SINGLE
from helpers.reading import steps, untrue

#: Handwriting or mutant, the line, which sides are not so, how many could be read.
LINES = {
    "so": ("lstm in the loop: do with c'", "do = dh' * c'  ->  do = dh' * tanh(c')", [], 2),
    "right side not so": ("lstm in the loop: do with c'", "do = dh' * c'   ->   do = dh' * tanh(c)", ["right"], 2),
    "left side not so": ("lstm in the loop: do with c'", "do = dh' * c  ->  do = dh' * tanh(c')", ["left"], 2),
    "neither": ("lstm in the loop: do with c'", "do = dh' * c  ->  do = dh' * c", ["right", "left"], 2),
    "a block": ("lstm in the loop: dA.o with tanh'", "dA.o = do * (1 - o**2)  ->  dA.o = do * o * (1 - o)", [], 2),
    "a block, not so": ("lstm in the loop: dA.o with tanh'", "dA.o = do  ->  dA.o = do * o", ["right", "left"], 2),
    "a weight": ("lstm in the loop: dWh from the new state", "dWh = h'.T @ dA  ->  dWh = h.T @ dA", [], 2),
    "a weight, not so": ("lstm in the loop: dWh from the new state", "dWh = x.T @ dA  ->  dWh = h.T @ dA", ["left"], 2),
    "a block of a weight": ("gru in the loop: dWh.h of h",
                            "dWh.h = h.T @ dA_h_new  ->  dWh.h = (r * h).T @ dA_h_new", [], 2),
    "a part": ("lstm in the loop", "dc' += 0  ->  dc' += dh' * o * (1 - tanh(c')**2)", [], 1),
    "a part, not so": ("lstm in the loop", "dc' += 0  ->  dc' += dh' * (1 - tanh(c')**2)", ["right"], 1),
    "a part of a state": ("gru in the loop", "dh += dh' * z  ->  dh += dh' * (1 - z)", [], 1),
    "what a gate has inside": ("rnn in the loop", "dA_h = dh'  ->  dA_h = dh' * (1 - h'**2)", [], 1),
    "the argument of a gate": ("rnn in the loop", "dA_h = dh'  ->  dA_h = dh' * (1 - tanh(A_h)**2)", [], 1),
    "a matrix product": ("rnn in the loop", "dx = dA_h @ Wx  ->  dx = dA_h @ Wx.T", [], 1),
    "the step before": ("lstm in the loop: caches of the step before",
                        "dc = dc' * (f of the step before (around the end))  ->  dc = dc' * f", [], 2),
    "the step before, not around": ("lstm in the loop: caches of the step before",
                                    "dc = dc' * f of the step before  ->  dc = dc' * f", ["left"], 2),
    "the step after": ("lstm in the loop: caches of the step before",
                       "dc = dc' * (f of the step after)  ->  dc = dc' * f", ["left"], 2),
    "the step before, in a sum": ("rnn in the loop: dWx from the input before",
                                  "dWx += (x of the step before (around the end)).T @ dA_h  "
                                  "->  dWx += x.T @ dA_h", [], 2),
    "another name": ("rnn in the loop", "dh = dq @ Wh  ->  dh = dq @ Wh.T", [], 0),
    "another line": ("rnn in the loop", "dq = dA_h @ Wh  ->  dq = dA_h @ Wh.T", [], 0),
    "words": ("rnn in the loop", "dh: its sign is flipped", [], 0),
    "words in a line": ("rnn in the loop", "dh = dA_h of a step  ->  dh = dA_h @ Wh.T of it", [], 0),
    "no value": ("rnn in the loop", "dh = q of the step after  ->  dh = q of the step before", [], 0),
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_a_line_is_read(name):
    by, text, sides, count = LINES[name]
    cell = CELLS[by.split()[0]]
    arrays, params, dys = case(cell, seed=5)
    f = SINGLE[by].function() if by in SINGLE else BY_HAND[by][0]
    returned = f(*arrays, **params, **dys)
    found = untrue(text, cell, steps(cell, arrays, params, dys), returned if by in SINGLE else None)
    assert found == (sides, count)
