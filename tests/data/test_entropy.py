"""The entropy of the generated language, against a differently written count: all derivations, all stories."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.data import STORIES, Grammar, grammar, grammar_entropy

# ---- independent truth: the rules read again, with every derivation that a text may have --------------------------


def forward(rules, words, start="STORY"):
    """The forward algorithm over *all* derivations: (-log p(word | words before), number of derivations so far).

    It knows nothing of first words, tables or decoders: a hypothesis is what is still to come and what is remembered.
    """
    begin = ((start, "<eos>"), ())
    mass = {begin: (1.0, 1)}
    for word in words:
        after: dict = {}
        todo = list(mass.items())
        while todo:
            ((head, *rest), memory), (p, ways) = todo.pop()
            slot, _, rule = head.rpartition("=")
            if rule in rules:
                for text in rules[rule]:
                    kept = (*memory, (slot, text)) if slot else memory
                    todo.append((((*text.split(), *rest), kept), (p / len(rules[rule]), ways)))
            elif (dict(memory)[head[:-1]] if head.endswith("?") else head) == word:
                state = (tuple(rest), memory) if rest else begin
                known, others = after.get(state, (0.0, 0))
                after[state] = (known + p, others + ways)
        total = sum(p for p, _ in after.values())
        yield -math.log(total), sum(ways for _, ways in after.values())
        mass = {state: (p / total, ways) for state, (p, ways) in after.items()}


def forget(rules):
    """The same rules, with a fresh draw at every place that recalls."""
    texts = " ".join(text for alternatives in rules.values() for text in alternatives)
    sources = dict(re.findall(r"(\w+)=(\w+)", texts))
    return {
        name: [re.sub(r"(\w+)\?", lambda found: sources[found[1]], text) for text in alternatives]
        for name, alternatives in rules.items()
    }


def enumerate_stories(rules, symbols, memory=()):
    """Every story and its probability, by brute force."""
    if not symbols:
        yield (), 1.0
        return
    slot, _, rule = symbols[0].rpartition("=")
    if rule not in rules:
        word = dict(memory)[symbols[0][:-1]] if symbols[0].endswith("?") else symbols[0]
        for rest, p in enumerate_stories(rules, symbols[1:], memory):
            yield (word, *rest), p
        return
    for text in rules[rule]:
        kept = (*memory, (slot, text)) if slot else memory
        for story, p in enumerate_stories(rules, (*text.split(), *symbols[1:]), kept):
            yield story, p / len(rules[rule])


def z_score(costs, lengths, entropy):
    """How many standard errors ``entropy`` is off the mean cost per token of independent stories."""
    residuals = np.asarray(costs) - entropy * np.asarray(lengths)
    return residuals.sum() / np.sqrt((residuals**2).sum())


def per_story(words, values):
    """The sums of ``values`` over the whole stories of a text, and their lengths."""
    ends = np.flatnonzero(np.array(words) == "<eos>") + 1
    starts = np.r_[0, ends[:-1]]
    return np.add.reduceat(values[: ends[-1]], starts), ends - starts


@pytest.fixture(scope="module")
def text():
    corpus = grammar(150_000, seed=3)
    return corpus.decode(corpus.ids)


@pytest.fixture(scope="module")
def reading(text):
    return STORIES.read(text)


# ---- the entropy --------------------------------------------------------------------------------------------------


def test_the_reader_pays_what_the_forward_algorithm_pays(text, reading):
    costs = [cost for cost, _ in forward(STORIES.rules, text[:5000])]
    np.testing.assert_allclose(reading.nats[:5000], costs, atol=1e-9)


def test_a_text_has_one_derivation(text):
    assert all(ways == 1 for _, ways in forward(STORIES.rules, text[:5000]))


def test_the_forward_algorithm_would_see_two_derivations():
    """The planted mistake: rules that the constructor refuses are ambiguous indeed."""
    rules = {"STORY": ["A", "B"], "A": ["x y"], "B": ["x y", "z"]}
    assert [ways for _, ways in forward(rules, ["x", "y"])] == [2, 2]
    with pytest.raises(ValueError, match="two alternatives of STORY begin with 'x'"):
        Grammar(rules)


def test_the_entropy_is_that_of_the_text(text, reading):
    costs, lengths = per_story(text, reading.nats)
    assert len(costs) > 3000
    assert abs(z_score(costs, lengths, STORIES.entropy)) < 3
    assert abs(z_score(costs + per_story(text, reading.forgotten)[0], lengths, STORIES.forgetful_entropy)) < 3


@pytest.mark.parametrize("mistake", [0.99, 1.01])
def test_an_entropy_one_percent_off_is_seen(text, reading, mistake):
    """The planted mistake: the test above would fail."""
    assert abs(z_score(*per_story(text, reading.nats), mistake * STORIES.entropy)) > 5


def test_the_mean_story_is_as_long_as_it_should_be(text, reading):
    _, lengths = per_story(text, reading.nats)
    assert abs(lengths.mean() - STORIES.story_length) < 3 * lengths.std() / math.sqrt(len(lengths))


def test_to_forget_costs_what_drawing_again_costs(text, reading):
    costs = [cost for cost, _ in forward(forget(STORIES.rules), text[:5000])]
    np.testing.assert_allclose((reading.nats + reading.forgotten)[:5000], costs, atol=1e-9)


SMALL = {
    "STORY": ["HELLO who=WHO . REST", "who=WHO slept ."],
    "HELLO": ["hello", "good TIME"],
    "TIME": ["morning", "evening", "night"],
    "WHO": ["tom", "mary"],
    "REST": ["then who? left .", "nobody left who? .", "they stayed ."],
}


@st.composite
def small_rules(draw):
    """Rules R0 .. R2 that draw from later ones; alternative j of rule i begins with a word of its own."""
    rules = {}
    for i in range(3):
        later = [f"R{j}" for j in range(i + 1, 3)]
        piece = st.sampled_from(["x", "y", "w=W", "W", *later])
        bodies = draw(st.lists(st.lists(piece, max_size=3), min_size=1, max_size=3))
        rules[f"R{i}"] = [" ".join([f"{i}_{j}", *body]) for j, body in enumerate(bodies)]
    last = draw(st.sampled_from(["", " w?", " w? w?"]))
    return {"STORY": [f"w=W R0{last}"], **rules, "W": ["p", "q"]}


def assert_counted_right(rules):
    stories = list(enumerate_stories(rules, ("STORY", "<eos>")))
    language = Grammar(rules)
    total = sum(p for _, p in stories)
    length = sum(p * len(story) for story, p in stories)
    assert len(dict(stories)) == len(stories)  # no story is drawn in two ways
    assert math.isclose(total, 1.0)
    assert math.isclose(language.story_length, length)
    assert math.isclose(language.entropy, -sum(p * math.log(p) for _, p in stories) / length)


def test_the_numbers_are_those_of_all_stories():
    assert_counted_right(SMALL)
    stories = list(enumerate_stories(SMALL, ("STORY", "<eos>")))
    # Only REST recalls, twice in three: log 2 nats each, in the half of the stories that come to it.
    extra = 0.5 * 2 / 3
    length = sum(p * len(story) for story, p in stories)
    assert math.isclose(Grammar(SMALL).recalled, extra / length)
    assert math.isclose(Grammar(SMALL).forgetful_entropy - Grammar(SMALL).entropy, extra * math.log(2) / length)


@given(small_rules())
def test_the_numbers_are_those_of_all_stories_whatever_the_rules(rules):
    assert_counted_right(rules)


def test_a_perplexity_is_the_exponential_of_an_entropy():
    assert STORIES.perplexity == math.exp(STORIES.entropy) == math.exp(grammar_entropy())
    assert STORIES.forgetful_perplexity == math.exp(STORIES.forgetful_entropy)
