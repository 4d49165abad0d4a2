"""What is compared of a page of the documentation with what its code prints."""

import re

ROUNDING = re.compile(r"(?<![\w.])(0|\d(\.\d+)?e-1[2-9])(?![\w.])")


def plain(text: str) -> list[list[str]]:
    """The words of each line, all numbers of the size of rounding the same: they depend on the machine."""
    return [ROUNDING.sub("~0", line).split() for line in text.rstrip().splitlines()]
