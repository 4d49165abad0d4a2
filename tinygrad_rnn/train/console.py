"""Training on a console: a bar on a terminal, a line every ten seconds elsewhere, a line for each epoch."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from .progress import Progress

INTERVAL = 10.0  #: seconds between two lines where there is no terminal


class Console:
    """Shows batches on the error stream, and epochs on standard output; ``report`` is that of `fit`."""

    def __init__(self, report: Callable[[Progress], None] | bool, interval: float = INTERVAL):
        self.report, self.interval = report, interval
        self.shown = time.monotonic()
        self.bar: Any = None

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_: Any) -> None:
        if self.bar is not None:
            self.bar.close()

    def batch(self, progress: Progress) -> None:
        """Show the progress after a batch."""
        if callable(self.report):
            self.report(progress)
        elif self.report and sys.stderr.isatty() and self._begin(progress):
            self.bar.set_postfix_str(status(progress), refresh=False)
            self.bar.update()
        elif self.report and time.monotonic() - self.shown >= self.interval:
            self.shown = time.monotonic()
            place = f"epoch {progress.epoch}/{progress.epochs}, batch {progress.batch}/{progress.batches}"
            print(f"{place}: {status(progress)}, {duration(progress.seconds_left)} left", file=sys.stderr, flush=True)

    def _begin(self, progress: Progress) -> bool:
        """Open the bar of the epoch, if it is not open; False without tqdm."""
        if self.bar is not None:
            return True
        try:
            from tqdm import tqdm
        except ModuleNotFoundError:
            return False
        self.bar = tqdm(total=progress.batches, initial=progress.batch - 1, mininterval=0.5, dynamic_ncols=True,
                        desc=f"epoch {progress.epoch}/{progress.epochs}", unit=" batches")  # fmt: skip
        return True

    def epoch(self, row: dict[str, Any]) -> None:
        """Show the row of an epoch."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
        if self.report is True:
            print(summary(row), flush=True)


def status(progress: Progress) -> str:
    """The numbers of a batch in words."""
    speed = f"{progress.tokens_per_second:,.0f} tokens/s"
    return f"perplexity {two_digits(progress.perplexity)}, {speed}, norm {progress.norm:.3g}, lr {progress.lr:.4g}"


def summary(row: dict[str, Any]) -> str:
    """The row of an epoch in words."""
    valid = f", validation perplexity {two_digits(row['valid_perplexity'])}" if "valid" in row else ""
    text = f"epoch {row['epoch']}: perplexity {two_digits(row['perplexity'])}{valid}, lr {row['lr']:.4g}"
    return f"{text}, {row['tokens_per_second']:,.0f} tokens/s"


def two_digits(perplexity: float) -> str:
    """The perplexity with two digits after the point; a very large one as 1.01e+304."""
    return f"{perplexity:.2f}" if perplexity < 1e6 else f"{perplexity:.3g}"


def duration(seconds: float) -> str:
    """``3:20``, or ``1:03:20``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
