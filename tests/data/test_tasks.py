"""Generated tasks: right answers by other means, chance by brute force, no example in two splits."""

import datetime
import re
from collections import Counter, defaultdict
from fractions import Fraction

import numpy as np
import pytest

from tinygrad_rnn.data import tasks
from tinygrad_rnn.data.tasks import sentences
from tinygrad_rnn.data.tasks.dates import SPELLINGS
from tinygrad_rnn.data.tasks.derivations import Derivations
from tinygrad_rnn.data.tasks.task import distinct

NAMES = ["addition", "cloze", "copy", "count_ones", "dates", "parity", "reversal", "sentiment", "tagging"]
SMALL = (60, 20, 20)


def pairs(part, task):
    """The examples of a split as texts, read from its arrays."""
    for x, t, length in zip(part.inputs, part.targets, part.lengths):
        assert (x[length:] == 0).all()
        yield task.decode(x[:length]), task.decode_target(t)


def everything(task):
    return [pair for part in (task.train, task.valid, task.test) for pair in pairs(part, task)]


def whole(name, count, **options):
    """The task with all its examples."""
    return getattr(tasks, name)(sizes=(count - 2, 1, 1), **options)


# ---- what all tasks have in common -----------------------------------------------------------------------------------


def test_every_task_is_tested():
    assert [name for name in tasks.__all__ if name.islower()] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_no_example_is_in_two_splits_or_twice_in_one(name):
    task = getattr(tasks, name)(sizes=SMALL)
    assert [len(part) for part in (task.train, task.valid, task.test)] == list(SMALL)
    assert len(dict(everything(task))) == 100
    assert f"Task({name}: 60, 20, 20 examples" in repr(task)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_is_a_task(name):
    make = getattr(tasks, name)
    assert everything(make(sizes=SMALL, seed=3)) == everything(make(sizes=SMALL, seed=3))
    assert everything(make(sizes=SMALL, seed=3)) != everything(make(sizes=SMALL, seed=4))


@pytest.mark.parametrize("name", NAMES)
def test_batches_have_the_examples_and_texts_are_encoded(name):
    task = getattr(tasks, name)(sizes=SMALL)
    seen = []
    for xs, ts, lengths in task.train.batches(7, seed=1).epoch(2):
        for x, t, length in zip(xs, ts, lengths):
            seen.append((task.decode(x[:length]), task.decode_target(t)))
            assert task.encode(seen[-1][0]).tolist() == x[:length].tolist()
    assert sorted(seen) == sorted(pairs(task.train, task))
    assert xs.dtype.kind == ts.dtype.kind == "i"


@pytest.mark.parametrize("name", NAMES)
def test_ids_of_start_and_end_have_their_place(name):
    task = getattr(tasks, name)(sizes=SMALL)
    if task.start is not None:
        assert task.labels == task.vocab and not (task.train.targets == task.start).any()
    if task.end is not None:
        assert ((task.train.targets == task.end).sum(axis=1) == 1).all()
    used = np.concatenate([part.inputs.ravel() for part in (task.train, task.valid, task.test)])
    assert used.min() >= 0 and used.max() < len(task.vocab) and task.train.targets.max() < len(task.labels)


def test_a_seed_is_the_same_task_forever():
    task = tasks.addition(2, sizes=(3, 1, 1))
    assert everything(task) == [
        ("41+94", "135"),
        ("50+81", "131"),
        ("46+37", "83 "),
        ("68+34", "102"),
        ("36+94", "130"),
    ]


@pytest.mark.parametrize("count", [50, 200, 3 * 2**60])
def test_examples_are_drawn_evenly_and_once(count):
    rng, n = np.random.default_rng(0), 40
    draws = [distinct(count, n, rng) for _ in range(200)]
    assert all(len(dict.fromkeys(draw)) == n and min(draw) >= 0 and max(draw) < count for draw in draws)
    thirds = np.bincount([3 * i // count for draw in draws for i in draw], minlength=3) / (200 * n)
    assert np.abs(thirds - 1 / 3).max() < 0.02
    firsts = np.bincount([3 * draw[0] // count for draw in draws], minlength=3) / 200
    assert np.abs(firsts - 1 / 3).max() < 0.12


# ---- the answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("T", [1, 5, 6])
def test_ones_are_counted(T):
    found = everything(whole("count_ones", 2**T, T=T) if T > 1 else tasks.count_ones(5, sizes=(30, 1, 1)))
    assert all(int(count) == text.count("1") for text, count in found)
    if T > 1:
        counts = [int(count) for _, count in found]
        assert max(Counter(counts).values()) / 2**T == whole("count_ones", 2**T, T=T).chance
        assert np.mean((np.array(counts) - T / 2) ** 2) == T / 4


@pytest.mark.parametrize("running", [False, True])
def test_parity_is_that_of_the_sum(running):
    task = whole("parity", 64, T=6, running=running)
    found = everything(task)
    for text, answer in found:
        bits = [int(bit) for bit in text.split()]
        sums = np.cumsum(bits) if running else [sum(bits)]
        assert answer.split() == ["odd" if total % 2 else "even" for total in sums]
    answers = [answer.split() for _, answer in found]
    assert max(Counter(a for answer in answers for a in answer).values()) == task.chance * sum(map(len, answers))
    level = best(found, lambda words, t: (words[t], t) if running else words[-1])
    assert level == Fraction(task.levels["the present bit"]).limit_denominator(100)


def best(found, key):
    """The accuracy, by label, of the best guess that sees only ``key(words, t)``, by counting all examples."""
    votes: dict = defaultdict(Counter)
    for text, answer in found:
        words, answers = text.split(), answer.split()
        for t, label in enumerate(answers):
            votes[key(words, t)][label] += 1
    return Fraction(sum(max(c.values()) for c in votes.values()), sum(sum(c.values()) for c in votes.values()))


def test_sums_are_right_and_in_the_books_format():
    task = whole("addition", 100, digits=1)
    for text, answer in everything(task):
        a, b = text.split("+")
        assert int(answer) == int(a) + int(b) and len(text) == 3 and len(answer) == 2
    assert max(Counter(answer for _, answer in everything(task)).values()) / 100 == task.chance
    assert all(len(text) == 7 and len(answer) == 4 for text, answer in everything(tasks.addition(sizes=SMALL)))
    task = tasks.addition(2, sizes=SMALL)
    assert task.encode("57+5").tolist() == task.encode("57+5 ").tolist() and len(task.encode("1+1")) == 5
    assert tasks.addition(2, sizes=(9998, 1, 1)).decode_target(task.encode("62 ")[:3]) == "62 "


def test_strings_are_turned_round():
    task = whole("reversal", 4 + 8 + 16, symbols="ab", shortest=2, longest=4)
    for text, answer in everything(task):
        assert answer == text[::-1] + "<eos>" and 2 <= len(text) <= 4
    assert task.chance == 1 / 28 and len(dict(everything(task))) == 28
    assert 1 / task.chance == pytest.approx(len({answer for _, answer in everything(task)}))


def test_what_was_read_is_to_be_copied():
    task = whole("copy", 27, length=3, delay=4, symbols="abc")
    for text, answer in everything(task):
        assert re.fullmatch(rf"({answer})\.\.\.\.>\.\.", text) and len(answer) == 3
    assert (task.train.targets[:, :7] == -1).all() and (task.train.targets[:, 7:] >= 0).all()
    letters = Counter(letter for _, answer in everything(task) for letter in answer)
    assert max(letters.values()) / sum(letters.values()) == task.chance
    assert len(everything(tasks.copy(20, 100, sizes=(20, 1, 1)))[0][0]) == 140


# ---- dates -----------------------------------------------------------------------------------------------------------

READ = ["%B %d, %Y", "%d %B %Y", "%A, %B %d, %Y", "%B %d, %Y", "the %d of %B %Y", "%b %d %Y", "%d-%b-%y", "%b %d '%y",
        "%m/%d/%Y", "%m/%d/%y"]  # fmt: skip


def test_dates_are_what_a_parser_reads():
    for text, answer in everything(tasks.dates(sizes=(200, 20, 20))):
        plain, readings = re.sub(r"(?<=\d)(st|nd|rd|th)\b", "", text), []
        for form in READ:
            try:
                day = datetime.datetime.strptime(plain, form).date()
            except ValueError:
                continue
            century = day.replace(year=day.year - 100) if day.year >= 2050 else day  # strptime has 1969 to 2068
            readings.append(century.isoformat())
        assert answer in readings and len(dict.fromkeys(readings)) == 1, (text, answer)


def test_no_two_dates_are_spelled_alike():
    days = [datetime.date(year, month, day) for year in (1950, 2011, 2049) for month in (1, 5, 11)
            for day in (1, 2, 3, 11, 12, 13, 21, 22, 23)]  # fmt: skip
    texts = [spelling(day) for day in days for spelling in SPELLINGS]
    assert len(dict.fromkeys(texts)) == len(texts)
    assert [spelling(datetime.date(1994, 9, 7)) for spelling in SPELLINGS] == [
        "September 7, 1994", "7 September 1994", "Wednesday, September 7, 1994", "September 7th, 1994",
        "the 7th of September 1994", "SEP 7 1994", "7-Sep-94", "Sep 7 '94", "9/7/1994", "9/7/94",
    ]  # fmt: skip
    ends = [SPELLINGS[3](datetime.date(2000, 1, day)).split(",")[0][8:] for day in (1, 2, 3, 4, 11, 12, 13, 21, 22, 31)]
    assert ends == ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "31st"]


def test_every_character_of_a_date_is_in_the_vocabulary():
    task = tasks.dates(sizes=SMALL)
    first, days = datetime.date(1950, 1, 1).toordinal(), round(1 / task.chance)
    assert datetime.date.fromordinal(first + days - 1) == datetime.date(2049, 12, 31)
    used = "".join(spelling(datetime.date.fromordinal(first + 17 * k)) for k in range(100) for spelling in SPELLINGS)
    assert sorted(dict.fromkeys(used)) == sorted(token for token in task.vocab if token != "_")


# ---- sentences -------------------------------------------------------------------------------------------------------


def polarity(clause):
    good = clause.split()[-1] in ("good", "great", "funny", "clever", "moving", "fresh")
    return good != (" not " in clause or " never " in clause)


def verdict(text):
    if text.startswith("although"):
        text = text.split(" , ")[1]
    return "positive" if polarity(text.split(" but ")[-1].split(" although ")[0]) else "negative"


def test_reviews_say_what_their_main_clause_says(monkeypatch):
    found = everything(tasks.sentiment(sizes=(300, 10, 10)))
    assert all(answer == verdict(text) for text, answer in found)
    assert all(
        sum(mark in text for text, _ in found) > 50 for mark in (" but ", "although ", " , ", " not ", " never ")
    )
    small = {**sentences.REVIEWS.rules, "THING": ["film"], "GOOD": ["good"], "BAD": ["bad"]}
    monkeypatch.setattr(sentences, "REVIEWS", Derivations(small, "REVIEW"))
    task = whole("sentiment", 8 + 3 * 64)
    assert Counter(answer for _, answer in everything(task)) == {"positive": 100, "negative": 100}
    assert task.chance == best(everything(task), lambda words, t: 0)


def test_tags_need_the_words_on_both_sides():
    task = whole("tagging", 7752)
    found = everything(task)
    assert len(dict(found)) == 7752  # a sentence has one sequence of tags
    assert dict(found)["the old fish early"] == "DET NOUN VERB ADV"
    assert dict(found)["the old fish watch us"] == "DET ADJ NOUN VERB PRON"
    assert (dict(found)["they can fish"], dict(found)["they want fish"]) == ("PRON MODAL VERB", "PRON VERB NOUN")
    keys = [lambda words, t: 0, lambda words, t: words[t], lambda words, t: tuple(words[: t + 1]),
            lambda words, t: tuple(words[t:])]  # fmt: skip
    for key, (what, level) in zip(keys, task.levels.items(), strict=True):
        assert float(best(found, key)) == level, what


def test_a_gap_needs_the_words_on_both_sides(monkeypatch):
    small = {**sentences.HABITS.rules, "NAME": ["tom"], "HOW": ["often"]}
    monkeypatch.setattr(sentences, "HABITS", Derivations(small, "SENTENCE"))
    task = whole("cloze", 3 * 16 + 3 * 80 + 3 * 80)
    found = everything(task)
    assert ("tom often drinks [] at school at night", "milk") in found
    gap = [words.split().index("[]") for words, _ in found]
    assert [np.flatnonzero(row >= 0).tolist() for row in task.train.targets[:50]] == [[at] for at in gap[:50]]
    sides = {"a fixed answer": lambda words, at: 0, "the words before": lambda words, at: tuple(words[: at + 1]),
             "the words after": lambda words, at: tuple(words[at:])}  # fmt: skip
    for what, level in task.levels.items():
        assert best(found, lambda words, t, key=sides[what]: key(words, words.index("[]"))) == level
    assert best(found, lambda words, t: tuple(words)) == 1


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: tasks.count_ones(3), "count_ones: sizes are 3000 together, should be at most 8, "
         "as there are no more different examples"),
        (lambda: tasks.count_ones(0), "count_ones: T is 0, should be a positive int"),
        (lambda: tasks.parity(T=1.5), "parity: T is 1.5, should be a positive int"),
        (lambda: tasks.addition(sizes=(5, 5)),
         "addition: sizes is (5, 5), should be three ints: of train, valid and test"),
        (lambda: tasks.addition(sizes=100), "addition: sizes is 100, should be three ints: of train, valid and test"),
        (lambda: tasks.addition(seed=-1), "addition: seed is -1, should be an int from 0"),
        (lambda: tasks.addition(sizes=(5, 0, 5)), "addition: a size is 0, should be a positive int"),
        (lambda: tasks.addition(0), "addition: digits is 0, should be a positive int"),
        (lambda: tasks.copy(symbols="a"),
         "copy: symbols is 'a', should be at least two different characters without '.' and '>'"),
        (lambda: tasks.copy(symbols="a.b"),
         "copy: symbols is 'a.b', should be at least two different characters without '.' and '>'"),
        (lambda: tasks.reversal("aba"), "reversal: symbols is 'aba', should be at least two different characters "
         "without '_'"),
        (lambda: tasks.reversal(shortest=4, longest=3), "reversal: longest is 3, should be at least shortest, 4"),
        (lambda: tasks.addition(sizes=SMALL).encode("5-3"),
         "addition: encode: '-' is not in the vocabulary of 13 tokens, it should be, or the vocabulary should have "
         "<unk> for such tokens"),
        (lambda: tasks.tagging(sizes=SMALL).decode_target([7]),
         "decode_target: id 7 is not in the vocabulary, should be in 0 .. 6"),
    ],
)  # fmt: skip
def test_errors_say_what_is_and_what_should_be(call, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        call()
