"""Generated tasks, each with training, validation and test examples that do not overlap, and a known chance level."""

from .dates import dates
from .numbers import addition, count_ones, parity
from .sentences import cloze, sentiment, tagging
from .strings import copy, reversal
from .task import Examples, Task

__all__ = [
    "Examples",
    "Task",
    "addition",
    "cloze",
    "copy",
    "count_ones",
    "dates",
    "parity",
    "reversal",
    "sentiment",
    "tagging",
]
