"""Functions that NumPy lacks, as they stand at the head of a printed module: operations declare them as helpers."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from ..engine.op import OPS


def helpers() -> dict[str, str]:
    """The source of every declared helper, by the name of the function; one that calls another follows it."""
    sources = {text.partition("(")[0].split()[-1]: text for spec in OPS.values() if (text := spec.traits.helper)}
    return dict(sorted(sources.items(), key=lambda item: len(called(item[1], tuple(sources)))))


@functools.cache
def called(source: str, names: tuple[str, ...]) -> list[str]:
    """Which of the functions ``names`` a source calls."""
    return [name for name in names if re.search(rf"(?<![\w.]){name}\((?!.*:$)", source, re.MULTILINE)]


def head(wanted: Iterable[str]) -> list[str]:
    """The imports, and the helpers that are wanted, with all that they call."""
    sources = helpers()
    needed = [*wanted]
    for name in needed:  # which grows
        needed += [other for other in called(sources[name], tuple(sources)) if other not in needed]
    texts = [text.strip() + "\n" for name, text in sources.items() if name in needed]
    imports = ["import math\n"] * any("math." in text for text in texts) + ["import numpy as np\n"]
    return ["\n".join(imports), *texts]
