"""Tasks of English words: what a review says, the parts of speech, the word in a gap."""

from __future__ import annotations

from .derivations import Derivations
from .task import FIXED, Space, Task

REVIEWS = Derivations(
    {
        "REVIEW": ["CLAUSE", "CLAUSE BUT CLAUSE", "CLAUSE ALTHOUGH CLAUSE", "ALTHOUGH CLAUSE COMMA CLAUSE"],
        "CLAUSE": ["the THING was GOOD", "the THING was BAD", "the THING was very GOOD", "the THING was very BAD",
                   "the THING was NOT GOOD", "the THING was NOT BAD"],
        "THING": ["film", "plot", "music", "acting", "ending", "cast", "story", "dialogue"],
        "NOT": ["not", "never"],
        "BUT": ["but"],
        "ALTHOUGH": ["although"],
        "COMMA": [","],
        "GOOD": ["good", "great", "funny", "clever", "moving", "fresh"],
        "BAD": ["bad", "dull", "poor", "silly", "boring", "weak"],
    },
    "REVIEW",
)  # fmt: skip

#: "old" and the like are nouns or adjectives, which the words after tell; "fish" and the like are nouns or verbs, which
#: the words before tell. The tag of a word is its rule's, up to "_".
SPEECH = Derivations(
    {
        "SENTENCE": ["SUBJECT PREDICATE"],
        "SUBJECT": ["DET NOUN", "DET ADJ NOUN_FEW", "PRON"],
        "PREDICATE": ["MODAL VERB", "VERB_LIKE NOUN_BARE", "VERB PRON_THEM", "VERB ADV"],
        "DET": ["the", "these", "some", "many"],
        "NOUN": ["fish", "staff", "crew", "police", "old", "young", "rich", "poor", "children", "birds"],
        "NOUN_FEW": ["fish", "staff"],
        "NOUN_BARE": ["fish", "staff", "crew", "police", "children", "birds"],
        "VERB": ["fish", "staff", "crew", "police", "watch", "help"],
        "VERB_LIKE": ["like", "want", "need", "see"],
        "ADJ": ["old", "young", "rich", "poor"],
        "PRON": ["they", "we", "you", "i"],
        "PRON_THEM": ["them", "us", "you", "me", "it"],
        "MODAL": ["can", "may", "will", "must"],
        "ADV": ["early", "often", "daily", "here"],
    },
    "SENTENCE",
)  # fmt: skip
TAGS = ("DET", "NOUN", "VERB", "ADJ", "PRON", "MODAL", "ADV")

GAP = "[]"
TIMES = ("in the morning", "at noon", "in the evening", "at night")
#: The word in the gap: the verb tells the row, the time of day the column.
WORDS = {
    "drinks": ("coffee", "water", "tea", "milk"),
    "eats": ("porridge", "soup", "fish", "cake"),
    "wears": ("boots", "sandals", "slippers", "pyjamas"),
    "reads": ("newspapers", "letters", "poems", "stories"),
}
HABITS = Derivations(
    {
        "SENTENCE": ["WHO HOW VERB GAP TIME", "WHO VERB GAP WHERE TIME", "WHO HOW VERB GAP WHERE TIME"],
        "WHO": ["NAME", "my friend NAME", "NAME who knows NAME"],
        "NAME": ["tom", "anna", "ben", "clara", "mary", "john", "lucy", "peter"],
        "HOW": ["always", "often", "sometimes", "usually"],
        "VERB": list(WORDS),
        "GAP": ["gap"],
        "WHERE": ["at home", "in the garden", "at school", "with friends", "near the river"],
        "TIME": list(TIMES),
    },
    "SENTENCE",
)


def positive_review(words: list[tuple[str, str]]) -> bool:
    """Is the review positive? "not" and "never" turn a clause round; of two clauses, that without "although" and after
    "but" counts."""
    rules = [rule for _, rule in words]
    for mark, before in (("BUT", False), ("COMMA", False), ("ALTHOUGH", True)):
        if mark in rules:
            at = rules.index(mark)
            rules = rules[:at] if before else rules[at + 1 :]
            break
    return ("GOOD" in rules) != ("NOT" in rules)


def sentiment(*, sizes: tuple[int, int, int] = (4000, 500, 500), seed: int = 0) -> Task:
    """Many-to-one: is a review positive or negative.

    ``"the film was not bad but the plot was dull" -> "negative"``. "not" and "never" turn a clause round. Of two
    clauses B counts: ``A but B``, ``B although A``, ``although A , B``. Every sentence is equally likely, and half of
    them are positive: chance is 1/2.
    """

    def example(i: int) -> tuple[list[str], str]:
        words = REVIEWS.sentence(i)
        return [word for word, _ in words], "positive" if positive_review(words) else "negative"

    names = ("negative", "positive")
    space = Space(REVIEWS.count, example, REVIEWS.vocab, names, {FIXED: 0.5}, {"separator": " "})
    return space.draw("sentiment", sizes, seed)


def tagging(*, sizes: tuple[int, int, int] = (4000, 500, 500), seed: int = 0) -> Task:
    """Many-to-many: the part of speech of each word.

    ``"the old fish the streets" -> "DET NOUN VERB DET NOUN"``, but ``"the old fish help ..." -> "DET ADJ NOUN VERB"``:
    what "old" and "fish" are is known from the words after them, and in ``"they can fish"``, ``"they want fish"`` from
    those before. There are 7752 sentences, all equally likely, and each has one sequence of tags. The best accuracy,
    by word, is 0.271 for a fixed answer (chance), 0.851 for a reader of the word alone, 0.943 of the words up to it,
    0.964 of the words from it on, and 1 of the sentence.
    """
    levels = {FIXED: 382 / 1411, "the word alone": 212 / 249, "the words up to it": 1331 / 1411,
              "the words from it on": 4081 / 4233}  # fmt: skip

    def example(i: int) -> tuple[list[str], list[str]]:
        words = SPEECH.sentence(i)
        return [word for word, _ in words], [rule.split("_")[0] for _, rule in words]

    space = Space(SPEECH.count, example, SPEECH.vocab, TAGS, levels, {"separator": " "})
    return space.draw("tagging", sizes, seed)


def cloze(*, sizes: tuple[int, int, int] = (4000, 500, 500), seed: int = 0) -> Task:
    """Many-to-many with one label: the word in the gap ``[]``, which the words on both sides of it determine.

    ``"tom often drinks [] at school at night" -> "milk"``. The verb before the gap leaves four words, the time of day
    after it leaves four, and both leave one. The target of the gap is the word, and all others are ignored (-1). Every
    sentence is equally likely. Chance is 1/16; a reader of one side has 1/4, also with the gap itself; who reads both
    has 1.
    """

    def example(i: int) -> tuple[list[str], list[str | None]]:
        words = HABITS.sentence(i)
        verb = next(word for word, rule in words if rule == "VERB")
        time = " ".join(word for word, rule in words if rule == "TIME")
        target = [WORDS[verb][TIMES.index(time)] if rule == "GAP" else None for _, rule in words]
        return [GAP if rule == "GAP" else word for word, rule in words], target

    levels = {FIXED: 1 / 16, "the words before": 1 / 4, "the words after": 1 / 4}
    vocab = [GAP if word == "gap" else word for word in HABITS.vocab]
    labels = [word for row in WORDS.values() for word in row]
    space = Space(HABITS.count, example, vocab, labels, levels, {"separator": " "})
    return space.draw("cloze", sizes, seed)
