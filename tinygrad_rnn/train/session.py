"""A training run that can be interrupted and resumed: its files, and Ctrl-C."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Splits, windows
from ..engine.tensor import Tensor
from ..errors import InvalidValue, MissingDependency, NumericalError
from ..files import write_whole
from ..optim import SGD
from . import saved
from .evaluate import perplexity
from .fit import Progress, fit
from .language_model import LanguageModel
from .saved import BEST, LAST, LOG, Place
from .store import save_model


def bar(total: int, what: str, done: int = 0) -> Any:
    """A progress bar on the error stream; disabled where that is no terminal, since it would fill the log."""
    try:
        from tqdm import tqdm
    except ModuleNotFoundError as error:
        need = "the progress bar needs tqdm: pip install 'tinygrad-rnn[train]'"
        raise MissingDependency(need, name="tqdm") from error
    form = {"unit": " windows", "mininterval": 0.5, "dynamic_ncols": True, "disable": None}
    return tqdm(total=total, initial=done, desc=what, **form)


def status(perplexity: str, progress: Progress) -> str:
    """The text beside the bar."""
    return f"{perplexity}, {progress.tokens_per_second:,.0f} tokens/s"


class Session:
    """A model in training, and its position in the text.

    Its files are ``last.safetensors``, from which it is resumed bit for bit; ``best.safetensors``, the weights with the
    best validation perplexity; and ``log.jsonl``, a line for every epoch.
    """

    def __init__(self, model: LanguageModel, splits: Splits, out: Path, about: dict[str, Any]):
        self.model, self.splits, self.out, self.about = model, splits, out, about
        self.place, self.lines = Place(), list[str]()  # the position, and the lines of the log
        self.state: tuple[Tensor, ...] | None = None  # the state for the next window
        self.stopping = self.stopped = False

    def where(self) -> str:
        """The place in words."""
        return f"epoch {self.place.epoch}" + (f" and {self.place.done} windows" if self.place.done else "")

    # -- on disk ---------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Save the run before its first window, so that it can be resumed. Raises FileExistsError if there is a run."""
        if any((self.out / name).exists() for name in (LAST, BEST, LOG)):
            what = f"{self.out} holds a run, should be a folder without a run; --resume continues it"
            raise FileExistsError(f"--out: {what}")
        self.save(LAST)

    def resume(self) -> None:
        """Continue the saved run. Raises, before it changes anything, for a damaged file or a file of another run."""
        path = self.out / LAST
        if not path.exists():
            raise FileNotFoundError(f"--resume: there is no {path}, should be the --out of an earlier run")
        arrays, about = saved.load_saved(path, self.about)
        place, count = Place.of(about, path), len(windows(self.splits.train.ids, about["rows"], about["window"]))
        if place.done > count:
            raise InvalidValue(f"--resume: {path}: done is {place.done}, should be from 0 to {count}")
        if place.best is not None:
            saved.check_best(self.out / BEST, saved.load_saved(self.out / BEST, self.about)[1], place, more=1)
        state = saved.carried(arrays, self.model, self.about["rows"], place, path)
        lines = saved.log_kept(self.out / LOG, place)
        saved.load_weights(self.model, arrays, path)
        self.place, self.state, self.lines = place, state, lines
        self.save_log()

    def save(self, name: str) -> None:
        """Write the weights and the position; the file LAST gets the state too."""
        held = {f"{saved.STATE}{k}": tensor.numpy() for k, tensor in enumerate(self.state or ()) if name == LAST}
        about = {**self.about, "version": saved.VERSION, "file": name, **vars(self.place)}
        save_model(self.out / name, {**self.model.state_dict(), **held}, about)

    def save_log(self) -> None:
        """Write the lines of all epochs."""
        write_whole(self.out / LOG, "".join(f"{line}\n" for line in self.lines))

    def take_best(self) -> int:
        """Load the weights with the best validation perplexity; returns their epoch."""
        path = self.out / BEST
        arrays, about = saved.load_saved(path, self.about)
        saved.check_best(path, about, self.place)
        saved.load_weights(self.model, arrays, path)
        return int(about["epoch"])

    # -- Ctrl-C ----------------------------------------------------------------------------------------------------

    @contextmanager
    def patient(self) -> Iterator[None]:
        """Inside, Ctrl-C waits for the end of the window, where all is consistent; a second Ctrl-C does not wait."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals go to the main thread only
            return

        def stop(*_: Any) -> None:
            self.stopping = True
            signal.signal(signal.SIGINT, signal.default_int_handler)

        before = signal.signal(signal.SIGINT, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def pause(self) -> None:
        """If Ctrl-C was pressed, save and raise KeyboardInterrupt. Called between windows."""
        if self.stopping:
            self.save(LAST)
            self.stopped = True
            raise KeyboardInterrupt

    # -- training --------------------------------------------------------------------------------------------------

    def train(self, options: Any) -> None:
        """Train the rest of the epoch, validate, and save."""
        count, speeds = len(windows(self.splits.train.ids, options.rows, options.window)), []
        with bar(count, f"epoch {self.place.epoch + 1}/{options.epochs}", self.place.done) as shown:

            def report(progress: Progress) -> None:
                self.place.done, self.state = progress.window, progress.state
                shown.set_postfix_str(status(f"perplexity {progress.perplexity:.1f}", progress), refresh=False)
                shown.update()
                speeds.append(progress.tokens_per_second)
                self.pause()

            fit(self.model, self.splits.train.ids, SGD(self.model, lr=options.lr), N=options.rows, T=options.window,
                max_norm=options.clip, report=report, start=(self.place.done, self.state),
                passed=self.place.epoch)  # fmt: skip
        valid = perplexity(self.model, self.splits.valid.ids, progress=self.watched)
        if not math.isfinite(valid):
            raise NumericalError(f"the validation perplexity is {valid}; a smaller --lr or --clip may help")
        self.passed(valid, float(np.median(speeds)) if speeds else 0.0)

    def watched(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The windows of the validation, with a `pause` before each."""
        for batch in batches:
            self.pause()
            yield batch

    def passed(self, valid: float, speed: float) -> None:
        """Record a complete epoch, save it, the best weights first, and print it."""
        epoch, better = self.place.epoch + 1, self.place.best is None or valid < self.place.best
        best = valid if better else self.place.best
        self.place = Place(epoch, 0, best, [*self.place.valid, valid], self.place.unlogged)
        self.lines.append(saved.log_line({"epoch": epoch, "valid": valid, "tokens_per_second": speed}))
        if better:
            self.save(BEST)
        self.save_log()
        self.save(LAST)
        print(f"epoch {epoch}: validation perplexity {valid:.2f}, {speed:,.0f} tokens/s", flush=True)
