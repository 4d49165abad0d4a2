"""What the search of a mistake tries, and which lines it can name without a patch."""

import ast

import numpy as np
import pytest

from helpers.handwritings.jobs import ALL, job_of
from helpers.handwritings.random_edits import random_cases
from helpers.handwritings.table import BY_NAME, changed
from tinygrad_rnn.check.debugger.chain import noted
from tinygrad_rnn.check.debugger.influence import ranks
from tinygrad_rnn.check.debugger.observe import Observation
from tinygrad_rnn.check.debugger.place import located, mends_others
from tinygrad_rnn.check.debugger.references import lines_of
from tinygrad_rnn.check.debugger.search import search
from tinygrad_rnn.check.debugger.statement_edits import slices
from tinygrad_rnn.check.debugger.table import Table


def job_with(folder, name, old, new):
    """A handwriting with a changed line, as a job, and the number of the line."""
    text, line = changed(ALL[name].text, old, new)
    return job_of(ALL[name], text, folder / f"{name}.py"), line


@pytest.mark.parametrize(("name", "old", "new", "patched"), [
    ("book_gru", "dh = dh_prev", "pass", "dh = dh_prev"),
    ("vector_lstm", "err = err / T", "pass", "err = err / T"),
    ("book_gru", "self.grads[2][...] = db", "self.grads[1][...] = db", "self.grads[2][...] = db"),
    ("attribute_rnn", "return dx, carry", "return dx, H", "return dx, carry"),
    ("attribute_rnn", "total = dh[:, t] + carry", "total = dh[:, t] + N", "total = dh[:, t] + carry"),
    ("local_lstm", "self.grads = {'Wx': dWx, 'Wh': dWh, 'b': db}", "self.grads = {'Wx': dWx, 'Wh': dWh, 'b': dWh}",
     "self.grads = {'Wx': dWx, 'Wh': dWh, 'b': db}"),
    ("cs231n_rnn", "dtanh = dnext_h * (1 - next_h**2)", "dtanh = dnext_h * 1 - next_h**2",
     "dtanh = dnext_h * (1 - next_h**2)"),
    ("book_lstm", "dx, dh, dc = layer.backward(dhs[:, t, :] + dh, dc)", "dx, dh, dc = layer.backward(dh, dc)",
     "dx, dh, dc = layer.backward(dh + dhs[:, t, :], dc)"),
    ("stepwise_gru", "d_gates[:, 2*H:] = d_out * (1 - z) * (1 - n**2)", "d_gates[:, 2*H:] = d_out * (1 - z) * (1 - 2)",
     "d_gates[:, 2*H:] = d_out * (1 - z) * (1 - n ** 2)"),
    ("pair_gru", "dh_next = dh * z + drh * r + daz @ Uz.T + dar @ Ur.T", "dh_next = dh * z + drh * r + daz @ Uz.T",
     "dh_next = dh * z + drh * r + daz @ Uz.T + dar @ Ur.T"),
    ("attribute_rnn", "da = total * (1 - self.h[:, t + 1] ** 2)", "da = total * 1",
     "da = total * (1 - self.h[:, t + 1] ** 2)"),
    ("concat_lstm", "dhx = da @ W.T", "dhx = da", "dhx = da @ W.T"),
    ("concat_lstm", "di * s['i'] * (1 - s['i']),", "1 - s['i'],", "di * s['i'] * (1 - s['i']),"),
    ("cs231n_lstm", "dai = di * i * (1 - i)", "dai = 1 - i", "dai = di * i * (1 - i)"),
    ("column_gru", "grads['Wh'] += dahc @ x.T", "grads['Wh'] += x.T", "grads['Wh'] += dahc @ x.T"),
    ("min_char_lstm", "db_i += di", "db_i += X", "db_i += di"),
    ("book_gru", "return dxs, dh", "return dWh, dh", "return dxs, dh"),
    ("book_rnn", "return dxs", "return layer", "return dxs"),
    ("book_lstm", "layer = self.layers[t]", "layer = self.layers[N]", "layer = self.layers[t]"),
    ("min_char_lstm", "C_s[t] = f_s[t] * C_s[t - 1] + i_s[t] * C_bar_s[t]", "C_s[t] = f_s[t] + i_s[t] * C_bar_s[t]",
     "C_s[t] = f_s[t] * C_s[t - 1] + i_s[t] * C_bar_s[t]"),
])  # fmt: skip
def test_the_patch_is_what_was_changed(name, old, new, patched, tmp_path):
    job, _ = job_with(tmp_path, name, old, new)
    assert [patch.new.strip() for patch in search(job).patches] == [patched]


def test_a_random_edit_is_patched_or_its_line_is_named(trials, tmp_path):
    """Of each hundred edits that run and change a gradient; a patch mends the file on other inputs too."""
    named, wrong = 0, 0
    for name in list(BY_NAME)[:: trials(12, 1)]:
        for n, (_, text, _) in enumerate(random_cases(BY_NAME[name], trials(4, 100), seed=8)):
            try:
                job = job_of(BY_NAME[name], text, tmp_path / f"{name}{n}.py")
            except Exception:  # of a file that does not run
                continue
            if job.first.wrong:
                found, wrong = search(job), wrong + 1
                named += bool(found.patches) or found.line is not None
                if found.patches:
                    again = job_of(BY_NAME[name], found.patches[-1].text, tmp_path / f"{name}{n}_mended.py", seed=7)
                    assert not again.first.wrong, f"{text}\n{found.patches}"
    assert wrong and named >= 0.95 * wrong, f"{named} of {wrong}"


def test_a_variable_is_ranked_by_what_its_reads_change(tmp_path):
    """The gradient of a mean taken as of a sum: the error is read by the loss, and then by all gradients."""
    job, _ = job_with(tmp_path, "vector_lstm", "err = err / T", "pass")
    variables = ranks(job, Observation(job)).variables
    assert min((rank, name) for (_, name), rank in variables.items()) == (0.0, "err")


def test_the_blocks_beside_a_block():
    texts = {"H:2 * H": ["2 * H:3 * H", "0 * H:1 * H"], ":H": ["1 * H:2 * H"], "1:n": [], "3 * H:": []}
    for text, others in texts.items():
        node = ast.parse(f"a[{text}]", mode="eval").body.slice
        assert set(others) <= {ast.unparse(new) for cost, new in slices(node, NoSlices) if cost == 1.3}


def test_a_product_is_found_by_its_values():
    rng = np.random.default_rng(0)
    forms = [(1.0, name, list(rng.standard_normal((2, 3, 4)))) for name in "abcde"]
    places = np.argwhere(np.ones((2, 4)))
    table = Table(forms, places)
    arrays = {name: np.array(xs) for _, name, xs in forms}
    for product in ("a", "ab", "aac", "bcde"):
        values = np.prod([arrays[name] for name in product], axis=0)
        wanted = np.array([-values[run].flat[k] for run, k in places])
        found = [("".join(name for _, name, _ in factors), sign) for factors, sign in table.products(wanted, 4)]
        assert found == [(product, -1)]
        assert (list(table.products(wanted, 2)) == []) == (len(product) > 2)


class NoSlices:
    slices = ()


def test_a_line_without_a_patch_holds_the_values_of_the_line_as_it_was(tmp_path):
    """It is named if everything is right with them, on other inputs too."""
    old = "da = total * (1 - self.h[:, t + 1] ** 2)"
    job, line = job_with(tmp_path, "attribute_rnn", old, "da = np.sinh(total)")
    found, *_ = located(job, ranks(job, Observation(job)), 2000)
    assert mends_others(job, found, 2000)
    assert found.line.statement.lineno == line
    right, _ = job_with(tmp_path, "attribute_rnn", old, old + "  # right")
    (same,) = [other for other in lines_of(right) if other.statement.lineno == line]
    noted(right, [same])
    assert all(map(np.allclose, found.right, same.values))
    assert not all(map(np.allclose, found.right, found.line.values))


def test_a_line_is_not_named_if_a_second_one_is_wrong(tmp_path):
    old = "da = total * (1 - self.h[:, t + 1] ** 2)"
    text, _ = changed(ALL["attribute_rnn"].text, old, "da = np.sinh(total)")
    text, _ = changed(text, "dx[:, t] = da @ self.Wx.T", "dx[:, t] = da @ np.sinh(self.Wx.T)")
    job = job_of(ALL["attribute_rnn"], text, tmp_path / "attribute_rnn.py")
    assert located(job, ranks(job, Observation(job)), 2000) == []
