"""How far the checkers can be trusted, and how long they take: ``python tests/bench/checking.py``.

Right code and wrong code, each written once and run by all: ours, PyTorch's ``gradcheck``, autograd's ``check_grads``,
and central differences as one writes them by hand, as they are called by default. Those that are not installed are left
out. ``--seconds`` prints only the times of our checks, with what the debugger takes for a layer with mistakes.
"""

import importlib.util
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import check_backward, check_gradients, check_layer, scan
from tinygrad_rnn.engine.op import op

sys.path.append(str(Path(__file__).resolve().parents[1]))

SCALES = [10.0**n for n in range(-12, 13, 3)]


# -- the functions, in the words of any library ----------------------------------------------------------------------


def rnn(lib, xs, Wx, Wh, b):
    h, total = lib.zeros((xs.shape[0], Wh.shape[0]), xs), 0.0
    for t in range(xs.shape[1]):
        h = lib.tanh(xs[:, t] @ Wx + h @ Wh + b)
        total = total + h
    return total


def lstm(lib, xs, Wx, Wh, b):
    H = Wh.shape[0]
    h = c = lib.zeros((xs.shape[0], H), xs)
    total = 0.0
    for t in range(xs.shape[1]):
        A = xs[:, t] @ Wx + h @ Wh + b
        f, g = lib.sigmoid(A[:, :H]), lib.tanh(A[:, H : 2 * H])
        i, o = lib.sigmoid(A[:, 2 * H : 3 * H]), lib.sigmoid(A[:, 3 * H :])
        c = f * c + g * i
        h = o * lib.tanh(c)
        total = total + h
    return total


def gru(lib, xs, Wx, Wh, b):
    H = Wh.shape[0]
    h, total = lib.zeros((xs.shape[0], H), xs), 0.0
    for t in range(xs.shape[1]):
        A = xs[:, t] @ Wx + b
        z = lib.sigmoid(A[:, :H] + h @ Wh[:, :H])
        r = lib.sigmoid(A[:, H : 2 * H] + h @ Wh[:, H : 2 * H])
        g = lib.tanh(A[:, 2 * H :] + (r * h) @ Wh[:, 2 * H :])
        h = (1 - z) * h + z * g
        total = total + h
    return total


def relu_rnn(lib, xs, Wx, Wh, b):
    """With a state, a bias and a first input of zero every unit starts at the kink."""
    h, total = lib.zeros((xs.shape[0], Wh.shape[0]), xs), 0.0
    for t in range(xs.shape[1]):
        h = lib.relu(xs[:, t] @ Wx + h @ Wh + b)
        total = total + h
    return total


def buffered(lib, xs, Wx, Wh, b):
    """float64 but for one place."""
    return lib.tanh(lib.single(xs[:, 0] @ Wx) + b)


def scaled(lib, tanh, scale):
    return lambda x, w: getattr(lib, tanh)(x @ w) * lib.number(scale, x)


# -- the libraries ---------------------------------------------------------------------------------------------------


class Ours:
    def __init__(self):
        def flipped(x):
            return np.tanh(x)

        self.tanh, self.sigmoid, self.relu = tg.tanh, tg.sigmoid, tg.relu
        self.flipped = op(name="flipped", arguments="x", numpy=[])(flipped)
        self.flipped.vjp(x=lambda dy, y: -dy * (1 - y * y))

    def zeros(self, shape, like):
        return np.zeros(shape, like.dtype)

    def single(self, x):
        return x.astype("f").astype("d")

    def number(self, scale, x):
        return x.dtype.type(scale)

    def passes(self, f, arrays):
        return check_gradients(f, *arrays).ok


class ByHand(Ours):
    """Central differences with a step of 1e-5, compared by `numpy.allclose`."""

    def passes(self, f, arrays):
        value, pull = tg.vjp(f, *arrays)
        gradients = pull(np.ones(value.shape, value.dtype))
        return all(np.allclose(g, self.numbers(f, arrays, k)) for k, g in enumerate(gradients))

    def numbers(self, f, arrays, k):
        g = np.zeros(arrays[k].shape)
        for index in np.ndindex(*g.shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = [x.copy() for x in arrays]
                moved[k][index] += step
                ends.append(float(np.sum(np.asarray(f(*map(tg.tensor, moved))))))
            g[index] = (ends[0] - ends[1]) / 2e-5
        return g


class Torch:
    def __init__(self):
        self.torch = torch = importlib.import_module("torch")
        self.tanh, self.sigmoid, self.relu = torch.tanh, torch.sigmoid, torch.relu

        class Flipped(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(y := torch.tanh(x))
                return y

            @staticmethod
            def backward(ctx, dy):
                (y,) = ctx.saved_tensors
                return -dy * (1 - y * y)

        self.flipped = Flipped.apply

    def zeros(self, shape, like):
        return self.torch.zeros(shape, dtype=like.dtype)

    def single(self, x):
        return x.float().double()

    def number(self, scale, x):
        return scale

    def passes(self, f, arrays):
        tensors = [self.torch.tensor(x, requires_grad=True) for x in arrays]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that float32 is too little: then it is failed
            return self.torch.autograd.gradcheck(f, tensors, raise_exception=False)


class HipsAutograd:
    def __init__(self):
        self.np = anp = importlib.import_module("autograd.numpy")
        extend = importlib.import_module("autograd.extend")
        self.check = importlib.import_module("autograd.test_util").check_grads
        self.tanh = anp.tanh
        self.flipped = extend.primitive(np.tanh)
        extend.defvjp(self.flipped, lambda y, x: lambda dy: -dy * (1 - y * y))

    def zeros(self, shape, like):
        return np.zeros(shape, like.dtype)

    def sigmoid(self, x):
        return 1 / (1 + self.np.exp(-x))

    def relu(self, x):
        return self.np.where(x > 0, x, 0.0)

    def single(self, x):
        return x.astype("f").astype("d")

    def number(self, scale, x):
        return x.dtype.type(scale)

    def passes(self, f, arrays):
        try:
            self.check(f, modes=["rev"], order=1)(*arrays)
        except AssertionError:
            return False
        return True


def libraries():
    """The checkers that are here, by name."""
    made = {"ours": Ours, "by hand": ByHand, "torch": Torch, "autograd": HipsAutograd}
    return {name: make() for name, make in made.items() if issubclass(make, Ours) or importlib.util.find_spec(name)}


# -- the tables ------------------------------------------------------------------------------------------------------


def right_code(checkers, longest=100):
    """Right code: what does each checker say?"""
    cases = [(f, T, dtype) for dtype in "df" for f in (rnn, lstm, gru) for T in (1, 10, longest)]
    cases += [(relu_rnn, 3, "d"), (buffered, 1, "d")]
    for f, T, dtype in cases:
        rng, blocks = np.random.default_rng(T), {lstm: 4, gru: 3}.get(f, 1)
        shapes = [(1, T, 2), (2, 3 * blocks), (3, 3 * blocks), (3 * blocks,)]
        arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
        if f is relu_rnn:
            arrays[0][:, 0] = arrays[3][:] = 0
        said = []
        for lib in checkers.values():
            start = time.perf_counter()
            verdict = "passes" if lib.passes(lambda *xs, lib=lib, f=f: f(lib, *xs), arrays) else "FAILS"
            said.append(f"{verdict} {time.perf_counter() - start:6.2f} s")
        yield [f"{f.__name__}, T = {T}, float{32 if dtype == 'f' else 64}", *said]


def scales(checkers):
    """The right rule and one with a flipped sign, at every scale: are they told apart?"""
    rng = np.random.default_rng(0)
    for dtype in "df":
        arrays = [rng.standard_normal(shape).astype(dtype) for shape in ((3, 4), (4, 5))]
        for scale in SCALES:
            said = []
            for lib in checkers.values():
                right, wrong = (lib.passes(scaled(lib, one, scale), arrays) for one in ("tanh", "flipped"))
                said.append(f"{'passes' if right else 'FAILS'}, {'PASSES' if wrong else 'caught'}")
            yield [f"{scale:.0e}, float{32 if dtype == 'f' else 64}", *said]


class Affine:
    """A layer by hand, of a million parameters."""

    def __init__(self, factor):
        rng = np.random.default_rng(0)
        self.params = [rng.standard_normal((1000, 1000)) / 30, rng.standard_normal(1000)]
        self.grads, self.factor = [np.zeros_like(p) for p in self.params], factor

    def forward(self, x):
        self.x = x
        return x @ self.params[0] + self.params[1]

    def backward(self, dy):
        self.grads[0][...], self.grads[1][...] = self.x.T @ dy, dy.sum(axis=0)
        self.grads[0][123, 456] *= self.factor
        return dy @ self.params[0].T


def by_scan():
    rng = np.random.default_rng(0)
    params = tg.lstm.init(rng, D=7, H=11, dtype=np.float64)
    return check_gradients(lambda xs, params: scan(tg.lstm, xs, None, params), rng.standard_normal((3, 5, 7)), params)


def through_time():
    from helpers.bptt_by_hand import lstm_in_the_loop

    return check_backward(tg.lstm, lstm_in_the_loop)


def over_time():
    from helpers.layers_by_hand import LSTM
    from helpers.over_time import OverTime

    return check_layer(OverTime(LSTM, 7, 11), np.random.default_rng(0).standard_normal((3, 5, 7)))


def million(factor):
    return check_layer(Affine(factor), np.random.default_rng(1).standard_normal((10, 1000)))


def mistaken(*mistakes):
    """The LSTM of the book over time, with mistakes; the report has to have a patch of each."""
    from helpers.handwritings.table import BY_NAME, changed, load

    text = BY_NAME["book_lstm"].text
    for old, new in mistakes:
        text, _ = changed(text, old, new)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lstm_with_mistakes.py"
        file.write_text(text, encoding="utf-8")
        weights = [rng.standard_normal(shape) / 2 for shape in ((7, 44), (11, 44), (44,))]
        report = check_layer(load(file, file.stem).TimeLSTM(*weights), rng.standard_normal((3, 5, 7)))
    assert len(mistakes) == len([line for line in report.lines if line.new]), report
    return report


SLIP = ("do = dh_next * tanh_c_next", "do = dh_next * c_next")
CHAIN = [("ds = dc_next + (dh_next * o) * (1 - tanh_c_next ** 2)", "ds = dc_next + (dh_next * o) * (1 - tanh_c_next)"),
         ("df *= f * (1 - f)", "df *= f")]  # fmt: skip
TIMED = {
    "check_gradients, scan of an lstm, N3 T5 D7 H11": (by_scan, "right", 1.0),
    "check_backward, lstm through time, N3 T5 D7 H11": (through_time, "right", 1.0),
    "check_layer, lstm over time, N3 T5 D7 H11": (over_time, "right", 1.0),
    "an LSTM of the book, right": (mistaken, "precision", 1.0),
    "the same, one mistake, patched": (lambda: mistaken(SLIP), "wrong", 10.0),
    "the same, two in one chain, patched": (lambda: mistaken(*CHAIN), "wrong", 10.0),
    "check_layer, 1,000,000 parameters": (lambda: million(1.0), "right", 15.0),
    "check_layer, 1,000,000 parameters, one wrong": (lambda: million(1.5), "wrong", 60.0),
}


def seconds():
    for name, (call, verdict, target) in TIMED.items():
        start, cpu = time.perf_counter(), time.process_time()
        report = call()
        found, cpu = time.perf_counter() - start, time.process_time() - cpu
        assert report.verdict == verdict, report
        yield [name, f"{found:6.2f} s", f"{cpu:6.2f} CPU s", f"target {target:.0f} s", report.verdict]


def printed(title, head, rows):
    print(f"\n{title}\n{''.join(word.ljust(n) for word, n in zip(['', *head], [50, *[22] * len(head)]))}".rstrip())
    for first, *rest in rows:
        print(f"{first:50}{''.join(word.ljust(22) for word in rest)}".rstrip(), flush=True)


def main():
    if "--seconds" in sys.argv:
        printed("Seconds", [], seconds())
        return
    checkers = libraries()
    printed("Right code", checkers, right_code(checkers))
    printed("A right rule, and one with a flipped sign, times a scale", checkers, scales(checkers))
    printed("Seconds", [], seconds())


if __name__ == "__main__":
    main()
