"""The generated language: its texts are decodable, its seeds are kept, its documented numbers are true."""

import hashlib
import itertools
import math
import re
from collections import Counter

import numpy as np
import pytest

from tinygrad_rnn.data import STORIES, Grammar, grammar


@pytest.fixture(scope="module")
def text():
    corpus = grammar(150_000, seed=3)
    return corpus.decode(corpus.ids)


@pytest.fixture(scope="module")
def reading(text):
    return STORIES.read(text)


# ---- the text -----------------------------------------------------------------------------------------------------


def test_the_documented_numbers():
    assert len(STORIES.vocab) == 144
    assert f"{STORIES.story_length:.1f} {STORIES.entropy:.4f} {STORIES.perplexity:.3f}" == "43.6 0.5505 1.734"
    assert f"{STORIES.forgetful_perplexity:.3f} {STORIES.recalled:.3f}" == "2.309 0.138"
    assert repr(STORIES) == "Grammar(144 words, 43.6 tokens a story, best perplexity 1.734)"
    for number in ("144", "43.6", "0.5505", "1.734", "2.309", "13.8 %"):
        assert number in grammar.__doc__


def test_what_is_recalled_lies_far_back(text, reading):
    """A recalled word was last said 4 to 29 words before, 15 on the average; in an ending 9 to 29, 19 on average."""
    last: dict = {}
    back, closing, ending = [], [], False
    for at, (word, cost) in enumerate(zip(text, reading.forgotten, strict=True)):
        if word in ("then", "at", "so", "later") and text[at - 1] == ".":
            ending = True
        if cost:
            back.append(at - last[word])
            closing += [back[-1]] if ending else []
        last[word] = at
        if word == "<eos>":
            last, ending = {}, False
    assert (min(back), max(back)) == (4, 29) and abs(np.mean(back) - 15) < 0.5
    assert (min(closing), max(closing)) == (9, 29) and abs(np.mean(closing) - 19) < 0.5
    assert abs(len(back) / len(text) - STORIES.recalled) < 0.001


def test_a_seed_is_a_text_forever():
    ids = grammar(10_000, seed=0).ids
    assert " ".join(grammar(12).decode(ids[:12])) == "tom was reading in the library . soon rose brought a white"
    assert (
        hashlib.sha256(ids.astype("<i4").tobytes()).hexdigest()
        == "17237396c1ebb5ac290a249a440c1c3faef22074814bd80ebfb482dac3b25cc4"
    )


def test_a_shorter_corpus_is_the_start_of_a_longer_one():
    assert grammar(100).ids.tolist() == grammar(1000).ids[:100].tolist()
    assert [len(grammar(n)) for n in (1, 43, 100)] == [1, 43, 100]


def test_seeds_differ_and_share_their_words():
    one, two = grammar(1000, seed=1), grammar(1000, seed=2)
    assert one.vocab == two.vocab == STORIES.vocab
    assert one.ids.tolist() != two.ids.tolist()


def test_the_rng_is_the_callers():
    rng = np.random.default_rng(0)
    first, second = STORIES.sample(500, rng), STORIES.sample(500, rng)
    assert first.ids.tolist() != second.ids.tolist()
    assert grammar(500).ids.tolist() == first.ids.tolist()  # default_rng is PCG64


def test_every_word_is_used_and_alternatives_are_equally_likely(text):
    counts = Counter(text)
    assert all(counts[word] for word in STORIES.vocab)
    hosts = [sum(1 for a, b in itertools.pairwise(text) if a == host and b in ("was", "sat")) for host in
             STORIES.rules["HOST"]]  # fmt: skip
    n, p = sum(hosts), 1 / 8
    assert all(abs(count - n * p) < 4 * math.sqrt(n * p * (1 - p)) for count in hosts)


# ---- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ({"STORY": ["a B"]}, "there is no rule B, it should be in rules"),
        ({"A": ["a"]}, "there is no rule STORY, it should be in rules"),
        ({"STORY": []}, "rule STORY has nothing to draw, every alternative should have a word"),
        ({"STORY": ["a", " "]}, "rule STORY has nothing to draw, every alternative should have a word"),
        ({"STORY": ["a A"], "A": ["b", "c STORY"]}, "rule STORY is recursive, every story should end"),
        ({"STORY": ["a A"], "A": ["b", "A c"]}, "rule A is recursive, every story should end"),
        ({"STORY": ["a <eos> b"]}, "<eos> is written in a rule, it should not be: it ends every story by itself"),
        ({"STORY": ["w? w=W"], "W": ["p"]}, "w? of rule STORY is recalled before it is drawn for certain"),
        (
            {"STORY": ["A w?"], "A": ["a w=W", "b"], "W": ["p"]},
            "w? of rule STORY is recalled before it is drawn for certain",
        ),
        ({"STORY": ["a w=W"], "W": ["p q"]}, "w remembers W, whose alternatives should be single words"),
        ({"STORY": ["a w=W b w=X"], "W": ["p"], "X": ["q"]}, "w is drawn from W and X, it should have one rule"),
        (
            {"STORY": ["A", "w=W"], "A": ["p q"], "W": ["p", "r"]},
            "two alternatives of STORY begin with 'p', a text should tell by its next word which was drawn",
        ),
        (
            {"STORY": ["a w=W A"], "A": ["w? left", "q came"], "W": ["p", "q"]},
            "two alternatives of A begin with 'q', a text should tell by its next word which was drawn",
        ),
    ],
)
def test_rules_that_cannot_be_counted_are_refused(rules, text):
    with pytest.raises(ValueError, match=f"^{re.escape(f'Grammar: {text}')}$"):
        Grammar(rules)


@pytest.mark.parametrize("n", [0, -1, 1.5, True])
def test_a_corpus_has_a_positive_number_of_tokens(n):
    with pytest.raises(ValueError, match=re.escape(f"sample: n_tokens is {n!r}, should be a positive int")):
        grammar(n)


def test_a_text_of_another_language_is_refused():
    with pytest.raises(ValueError, match=r"^read: word 3 is 'on', should be one like 'in'$"):
        STORIES.read(["tom", "was", "reading", "on", "the", "kitchen"])
    with pytest.raises(ValueError, match=r"^read: word 1 is 'zebra', should be one like 'was'$"):
        STORIES.read(["tom", "zebra"])
    assert STORIES.read([]).nats.shape == (0,)
