"""Perplexity against a loop over words, and the generator."""

import functools
import math
import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.learners import Dropped
from tinygrad_rnn.data import windows
from tinygrad_rnn.models import LanguageModel
from tinygrad_rnn.train import generate, mean_loss, perplexity, stream

V = 7


def model(cell=tg.gru) -> LanguageModel:
    made, rng = LanguageModel(cell, V, 3, 4, rng=np.random.default_rng(0)), np.random.default_rng(1)
    made.load_state_dict({name: rng.standard_normal(one.shape) for name, one in made.params.items()})
    return made


def text(n: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, V, n)


def by_hand(made: LanguageModel, ids: np.ndarray, N: int) -> float:
    """exp of the mean of -ln p, word by word, each row of the text from its start."""
    params = {name: one.numpy().astype("d") for name, one in made.params.items()}
    cell = {name: params[f"recurrent.{name}"] for name in made.recurrent.cell.params}
    L, total = (len(ids) - 1) // N, 0.0
    for row in range(N):
        h = np.zeros((1, 4))
        for t in range(row * L, row * L + L):
            h = made.recurrent.cell(params["embed.W"][ids[t : t + 1]], h, **cell)
            scores = [
                sum(h[0, k] * params["affine.W"][k, v] for k in range(4)) + params["affine.b"][v] for v in range(V)
            ]
            total += math.log(sum(math.exp(s) for s in scores)) - scores[ids[t + 1]]
    return math.exp(total / (N * L))


@pytest.mark.parametrize(("n", "N", "T"), [(50, 1, 50), (50, 1, 7), (50, 3, 5), (51, 10, 35), (8, 7, 35), (30, 4, 7)])
def test_perplexity_is_that_of_a_loop_over_the_words(n, N, T):
    made, ids = model(), text(n)
    assert math.isclose(perplexity(made, ids, N, T), by_hand(made, ids, N), rel_tol=1e-5)


def test_the_length_of_the_windows_makes_no_difference():
    found = [perplexity(model(), text(60), 2, T) for T in (1, 4, 29, 35)]
    np.testing.assert_allclose(found, found[0], rtol=1e-5)


def test_all_words_but_fewer_than_N_are_predicted():
    seen: list = []

    def watched(batches):
        for xs, ts in batches:
            seen.append(ts.size)
            yield xs, ts

    perplexity(model(), text(100), 4, 7, progress=watched)
    assert sum(seen) == 96 and seen[-1] == 4 * (24 % 7)
    assert windows(text(100), 4, 7, tail=True).lost == 3


def test_a_model_that_knows_nothing_has_the_perplexity_of_its_vocabulary():
    made = model()
    made.load_state_dict({name: one * 0 for name, one in made.state_dict().items()})
    assert math.isclose(perplexity(made, text(40)), V, rel_tol=1e-6)


def test_perplexity_records_nothing_and_changes_nothing():
    made = model()
    before = made.state_dict()
    perplexity(made, text(40))
    assert all(one.grad is None for one in made.params.values())
    for name, one in made.state_dict().items():
        np.testing.assert_array_equal(one, before[name])


def test_a_hopeless_model_has_a_large_perplexity_not_an_error():
    made = model()
    with tg.no_grad():
        made.affine.b[0] = 1e6
    assert 1e300 < perplexity(made, np.full(40, 3)) < math.inf


def test_nothing_is_dropped_in_an_evaluation_and_the_mode_and_the_generator_are_as_before():
    trained, ids = Dropped(0.5, V), text(60)
    before = trained.rng.bit_generator.state
    found = perplexity(trained, ids)
    assert trained.training and trained.rng.bit_generator.state == before
    trained.eval()
    assert perplexity(trained, ids) == found and not trained.training


def test_a_label_of_minus_1_is_no_target():
    """Batches count by their targets: the mean is that over all words that have a label."""
    made, rng = model(), np.random.default_rng(0)
    ids, targets = rng.integers(0, V, (2, 3, 5)), rng.integers(0, V, (2, 3, 5))
    targets[1, :, 1:] = -1

    def loss(ids, targets):
        return made.loss(ids, targets)[0]

    with tg.no_grad():
        p = tg.softmax(made(ids.reshape(6, 5))[0]).numpy().reshape(2, 3, 5, V)
    each = [-math.log(p[i, j, k, t]) for (i, j, k), t in np.ndenumerate(targets) if t >= 0]
    found = mean_loss(made, list(zip(ids, targets)), loss)
    assert len(each) == 18 and math.isclose(found, sum(each) / 18, rel_tol=1e-5)
    with pytest.raises(ValueError, match=r"^mean_loss: the batches have no targets, should have at least one$"):
        mean_loss(made, [])


# -- the generator ---------------------------------------------------------------------------------------------------


def say(seed: int = 0, temperature: float = 1.0, start=(1, 2), length: int = 50) -> list[int]:
    return generate(model(), start, length, np.random.default_rng(seed), temperature)


def test_a_sample_is_decided_by_the_generator():
    assert say(0) == say(0) != say(1)
    assert len(say()) == 50 and all(type(word) is int and 0 <= word < V for word in say())
    assert say(length=0) == []


def test_the_words_before_it_decide_too():
    assert say(start=[1, 2]) != say(start=[2, 1])
    assert say(start=np.array([1, 2])) == say(start=[[1, 2]])


def test_words_come_as_often_as_the_model_says():
    made = model()
    with tg.no_grad():
        scores = made(np.array([[1, 2]]))[0].numpy()[0, -1].astype("d")
    p, rng = np.exp(scores) / np.exp(scores).sum(), np.random.default_rng(0)
    counts = np.bincount([generate(made, [1, 2], 1, rng)[0] for _ in range(1000)], minlength=V)
    assert (abs(counts / 1000 - p) < 4 * np.sqrt(p * (1 - p) / 1000) + 1e-9).all()


def test_a_word_that_cannot_come_does_not_come():
    class Lowest:
        def random(self):
            return 0.0

    made = model()
    with tg.no_grad():
        made.affine.b[:3] = -1e9
    assert generate(made, [1, 2], 5, Lowest()) == [3] * 5


def test_temperature_sharpens_and_flattens():
    made, likeliest, word, state = model(), [], np.array([[1, 2]]), None
    with tg.no_grad():
        for _ in range(50):
            scores, state = made(word, state)
            likeliest.append(int(scores.numpy()[0, -1].argmax()))
            word = np.array([[likeliest[-1]]])
    assert say(temperature=1e-3) == say(seed=9, temperature=1e-3) == likeliest
    with np.errstate(over="ignore"):
        assert say(temperature=1e-308) == likeliest
    counts = np.bincount(say(temperature=1e9, length=700), minlength=V)
    assert counts.min() > 60  # each about 100


@pytest.mark.parametrize("temperature", [0, -1.0, math.nan])
def test_a_temperature_is_above_0(temperature):
    words = f"generate: temperature is {temperature}, should be more than 0"
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        say(temperature=temperature)


def test_a_start_has_a_word():
    with pytest.raises(ValueError, match=r"^generate: start is empty, should be at least one word$"):
        say(start=[])


DRAWS = 500


@functools.cache
def weights(**options) -> np.ndarray:
    """How often each word comes after 1 2."""
    made, rng = model(), np.random.default_rng(0)
    with tg.no_grad():
        made.affine.W[...] = made.affine.W.numpy() / 4  # so that every word comes
    return np.bincount([generate(made, [1, 2], 1, rng, **options)[0] for _ in range(DRAWS)], minlength=V) / DRAWS


@pytest.mark.parametrize(("options", "count"), [
    ({"top_k": 1}, 1), ({"top_k": 3}, 3), ({"top_k": V + 5}, V), ({"top_p": 1e-9}, 1), ({"top_p": 1.0}, V),
])  # fmt: skip
def test_only_the_likeliest_words_are_drawn_in_their_proportions(options, count):
    full, cut = weights(), weights(**options)
    kept = np.argsort(-full)[:count]
    assert sorted(np.flatnonzero(cut)) == sorted(kept)
    p = full[kept] / full[kept].sum()
    assert (abs(cut[kept] - p) < 4 * np.sqrt(2 * p * (1 - p) / DRAWS) + 0.01).all()


def test_a_nucleus_is_the_fewest_words_that_have_the_probability():
    made = model()
    with tg.no_grad():
        scores = made(np.array([[1, 2]]))[0].numpy()[0, -1].astype("d")
    p = np.sort(np.exp(scores) / np.exp(scores).sum())[::-1]
    for top_p in (0.3, 0.6, 0.9, 0.99):
        count = next(k for k in range(1, V + 1) if p[:k].sum() >= top_p)
        rng = np.random.default_rng(0)
        drawn = {generate(made, [1, 2], 1, rng, top_p=top_p)[0] for _ in range(100)}
        assert len(drawn) <= count and {int(word) for word in np.argsort(-scores)[:count]} >= drawn


def test_a_stream_is_what_generate_draws():
    drawn = stream(model(), [1, 2], 7, 0.8, top_k=4)
    assert [next(drawn) for _ in range(20)] == generate(model(), [1, 2], 20, 7, 0.8, top_k=4)


@pytest.mark.parametrize(("options", "text"), [
    ({"top_k": 0}, "generate: top_k is 0, should be at least 1"),
    ({"top_p": 0.0}, "generate: top_p is 0.0, should be more than 0, at most 1"),
    ({"top_p": 1.5}, "generate: top_p is 1.5, should be more than 0, at most 1"),
])  # fmt: skip
def test_a_wrong_cut_is_refused(options, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        stream(model(), [1], 0, **options)  # at once, not at the first word
