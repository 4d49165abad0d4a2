"""A training run that can be stopped and taken up: what is on disk of it, and Ctrl-C."""

from __future__ import annotations

import json
import math
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Splits, windows
from ..optim import SGD
from ..tensor import Tensor
from .evaluate import perplexity
from .fit import Progress, fit
from .language_model import LanguageModel
from .store import load_model, save_model

LAST, BEST, LOG = "last.safetensors", "best.safetensors", "log.jsonl"


def bar(total: int, what: str, done: int = 0) -> Any:
    """A progress bar on the error stream; off a terminal there is none, for it would fill the log."""
    try:
        from tqdm import tqdm
    except ModuleNotFoundError as error:
        need = "the progress bar needs tqdm: pip install 'tinygrad-rnn[train]'"
        raise ModuleNotFoundError(need, name="tqdm") from error
    form = {"unit": " windows", "mininterval": 0.5, "dynamic_ncols": True, "disable": None}
    return tqdm(total=total, initial=done, desc=what, **form)


def status(perplexity: str, progress: Progress) -> str:
    """What stands beside the bar."""
    return f"{perplexity}, {progress.tokens_per_second:,.0f} tokens/s"


class Session:
    """A model in training, and where it is: after ``window`` windows of the epoch that follows ``epoch`` whole ones.

    On disk: ``last.safetensors``, from which it goes on bit for bit; ``best.safetensors``, the weights of the best
    validation perplexity; ``log.jsonl``, a line for every epoch.
    """

    def __init__(self, model: LanguageModel, splits: Splits, out: Path, about: dict[str, Any]):
        self.model, self.splits, self.out, self.about = model, splits, out, about
        self.epoch, self.window, self.best = 0, 0, math.inf
        self.state: tuple[Tensor, ...] | None = None  # carried to the next window
        self.stopping = self.stopped = False

    def where(self) -> str:
        """The place in words."""
        return f"epoch {self.epoch}" + (f" and {self.window} windows" if self.window else "")

    # -- on disk ---------------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Take up the run saved last."""
        path = self.out / LAST
        if not path.exists():
            raise FileNotFoundError(f"--resume: there is no {path}, should be the --out of an earlier run")
        arrays, about = load_model(path)
        for name, value in self.about.items():
            if about.get(name) != value:
                raise ValueError(f"--resume: {path} is of a run with {name} = {about.get(name)}, should be {value}")
        held = [Tensor(arrays.pop(name)) for name in list(arrays) if name.startswith("state.")]
        self.model.load_state_dict(arrays)
        self.epoch, self.window, self.state = about["epoch"], about["done"], tuple(held) or None
        self.best = math.inf if about["best"] is None else about["best"]

    def save(self, name: str) -> None:
        """Write the weights and where the run is, and into the last also the state that is carried."""
        held = {f"state.{k}": one.numpy() for k, one in enumerate(self.state or ()) if name == LAST}
        best = self.best if math.isfinite(self.best) else None
        about = {**self.about, "epoch": self.epoch, "done": self.window, "best": best}
        save_model(self.out / name, {**self.model.state_dict(), **held}, about)

    # -- Ctrl-C ----------------------------------------------------------------------------------------------------

    @contextmanager
    def patient(self) -> Iterator[None]:
        """Let Ctrl-C wait for the end of the window, where nothing is half done; a second one does not wait."""
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
        """The place where a run stops: the window is done, and can be saved."""
        if self.stopping:
            self.save(LAST)
            self.stopped = True
            raise KeyboardInterrupt

    # -- training --------------------------------------------------------------------------------------------------

    def train(self, options: Any) -> None:
        """One pass from where it is, validation, and the weights on disk: the best first, so that none can be lost."""
        count, speeds = len(windows(self.splits.train.ids, options.rows, options.window)), []
        with bar(count, f"epoch {self.epoch + 1}/{options.epochs}", self.window) as shown:

            def report(progress: Progress) -> None:
                self.window, self.state = progress.window, progress.state
                shown.set_postfix_str(status(f"perplexity {progress.perplexity:.1f}", progress), refresh=False)
                shown.update()
                speeds.append(progress.tokens_per_second)
                self.pause()

            fit(self.model, self.splits.train.ids, SGD(self.model, lr=options.lr), N=options.rows, T=options.window,
                max_norm=options.clip, report=report, start=(self.window, self.state), passed=self.epoch)  # fmt: skip
        valid = perplexity(self.model, self.splits.valid.ids, progress=self.watched)
        if not math.isfinite(valid):
            raise FloatingPointError(f"the validation perplexity is {valid}; a smaller --lr or --clip may help")
        self.passed(valid, float(np.median(speeds)) if speeds else 0.0)

    def watched(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The windows of the validation, between which it can stop as well."""
        for batch in batches:
            self.pause()
            yield batch

    def passed(self, valid: float, speed: float) -> None:
        """Say and save that an epoch is over."""
        self.epoch, self.window = self.epoch + 1, 0
        print(f"epoch {self.epoch}: validation perplexity {valid:.2f}, {speed:,.0f} tokens/s", flush=True)
        if valid < self.best:
            self.best = valid
            self.save(BEST)
        self.save(LAST)
        with open(self.out / LOG, "a" if self.epoch > 1 else "w", encoding="utf-8") as log:
            log.write(json.dumps({"epoch": self.epoch, "valid": valid, "tokens_per_second": speed}) + "\n")
