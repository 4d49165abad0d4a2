"""A training in a folder: it can be stopped, killed, and resumed bit for bit.

The files are replaced whole, in the order best, metrics, last. So what last says is in the two others too; what the
others have beyond it, the resumed run writes again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..engine import threads
from ..errors import InvalidValue, MissingDependency
from ..files import write_whole
from ..nn.evaluating import evaluating
from . import saved
from .console import Console
from .fit import fit
from .history import History
from .loop import generator_states, restore_generators
from .losses import Loss
from .progress import Position, Progress
from .saved import BEST, CURVES, LAST, METRICS
from .signals import Signals, Watched
from .store import save_model

SECONDS = 300.0  #: at most so long from one checkpoint to the next


class Run:
    """A model in training in ``folder``, with its optimiser and its schedule (or None).

    ``about`` is a dict that JSON can hold. It describes the run; a saved run with another one is refused. ``measure``
    is called after each epoch and returns further entries for the row of the history.
    """

    def __init__(
        self,
        folder: Path,
        model: Any,
        optimizer: Any,
        schedule: Any = None,
        *,
        about: Mapping[str, Any],
        measure: Callable[[], dict[str, Any]] = dict,
    ):
        self.folder, self.model, self.optimizer, self.schedule = folder, model, optimizer, schedule
        self.about, self.measure = dict(about), measure
        self.position, self.history = Position(), History()
        self.signals, self.saved_at, self.plots = Signals(), time.monotonic(), True
        self.threads = threads.count()  #: a resumed run goes on with as many, since compiled loops may depend on it

    def where(self) -> str:
        """The position in words."""
        place = self.position
        return f"epoch {place.epoch}" + (f" and {place.batch} batches" if place.batch else "")

    # -- training --------------------------------------------------------------------------------------------------

    def fit(self, batches: Any, *, valid: Iterable[Any] | None = None, **options: Any) -> History:
        """Continue to ``epochs`` by `fit` with its ``options``; the model ends with the best weights.

        It saves after every epoch, at least every five minutes, and on Ctrl-C or SIGTERM, which end it between two
        batches with KeyboardInterrupt. The metrics are then those up to this place.
        """
        checks = None if valid is None else Watched(valid, self.pause)
        with self.signals, threads.using(self.threads), Console(True) as console:

            def report(progress: Progress) -> None:
                self.position = progress.position
                console.batch(progress)
                self.pause()

            def after_epoch(row: dict[str, Any]) -> None:
                row |= self.measure()
                console.epoch(row)
                self.position = Position(epoch=row["epoch"], state=self.position.state)
                self.plot()
                self.save()
                self.pause()

            return fit(self.model, batches, self.optimizer, schedule=self.schedule, valid=checks, report=report,
                       after_epoch=after_epoch, start=self.position, history=self.history, best=self,
                       **options)  # fmt: skip

    def pause(self) -> None:
        """Save if the last checkpoint is old; if a signal has come, save and raise KeyboardInterrupt."""
        if self.signals.received or time.monotonic() - self.saved_at > SECONDS:
            self.save()
        if self.signals.received:
            self.signals.handled = True
            raise KeyboardInterrupt

    # -- on disk ---------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the metrics, then the file from which the run is resumed."""
        self._save_metrics()
        arrays, numbers = saved.split(self.optimizer.state_dict())
        states, _ = saved.flat(self.position.state)
        held = {**self.model.state_dict(), **{f"{saved.OPTIMIZER}{name}": array for name, array in arrays.items()},
                **{f"{saved.STATE}{k}": array for k, array in enumerate(states)}}  # fmt: skip
        place = {name: value for name, value in vars(self.position).items() if name != "state"}
        save_model(self.folder / LAST, held, {
            **self._about(LAST), "position": place, "rows": len(self.history.rows),
            "threads": self.threads,
            "metrics": saved.checksum(self.history.rows), "optimizer": numbers,
            "schedule": self.schedule.state_dict() if self.schedule is not None else None,
            "rngs": saved.listed(generator_states(self.model)),
        })  # fmt: skip
        self.saved_at = time.monotonic()

    def keep(self, model: Any, row: Mapping[str, Any]) -> None:
        """Write the best weights; ``row`` is that of the history."""
        best = {name: row[name] for name in ("epoch", "loss", "valid") if name in row}
        save_model(self.folder / BEST, model.state_dict(), {**self._about(BEST), **best})

    def restore(self, model: Any) -> None:
        """Load the best weights."""
        arrays, about = saved.load_file(self.folder / BEST, self.about)
        saved.check_best(self.folder / BEST, about, self.history)
        saved.load_weights(model, arrays, self.folder / BEST)

    def plot(self) -> None:
        """Draw the curves; without matplotlib say so once."""
        try:
            self.history.plot(self.folder / CURVES) if self.plots else None
        except MissingDependency as error:
            self.plots = False
            print(f"no {CURVES}: {error}", flush=True)

    def _about(self, name: str) -> dict[str, Any]:
        return {"version": saved.VERSION, "file": name, **self.about}

    def begin(self, files: Mapping[str, str]) -> None:
        """Write the text ``files``, and save the run before its first batch.

        Raises FileExistsError if there is a run. One that ended before its first batch is replaced.
        """
        if saved.has_trained(self.folder / LAST):
            what = f"{self.folder} holds a run, should be a folder without a run"
            raise FileExistsError(f"--out: {what}; tinygrad-rnn resume {self.folder} continues it")
        for name, text in files.items():
            write_whole(self.folder / name, text)
        self.save()

    def resume(self, batches: Any) -> None:
        """Continue the saved run on ``batches``.

        Raises, before it changes a file, for a damaged file, and for one of another run, model or newer version.
        """
        path = self.folder / LAST
        arrays, about = saved.load_file(path, self.about)
        position, count = saved.position(about, path), len(batches)
        self.threads = saved.thread_count(about, path, self.threads)
        if position.batch > count:
            raise InvalidValue(f"{path}: batch is {position.batch}, should be from 0 to {count}")
        history = History(saved.known_rows(self.folder / METRICS, about, path))
        if history.best is not None:
            best = saved.load_file(self.folder / BEST, self.about)[1]
            saved.check_best(self.folder / BEST, best, history, more=1)
        position.state = self._state(arrays, position, next(iter(batches)), path)
        self._load(arrays, about, path)
        self.position, self.history = position, history
        self._save_metrics()

    def _save_metrics(self) -> None:
        write_whole(self.folder / METRICS, "".join(f"{saved.line(row)}\n" for row in self.history.rows))

    def _load(self, arrays: dict[str, np.ndarray], about: Mapping[str, Any], path: Path) -> None:
        """Set the optimiser, the weights, the generators and the schedule."""
        optimizer = {name.removeprefix(saved.OPTIMIZER): arrays.pop(name) for name in list(arrays)
                     if name.startswith(saved.OPTIMIZER)}  # fmt: skip
        saved.load_weights(self.model, arrays, path)
        with saved.naming(path):
            self.optimizer.load_state_dict({**optimizer, **about["optimizer"]})
            restore_generators(self.model, about["rngs"])
            if self.schedule is not None:
                self.schedule.load_state_dict(about["schedule"])

    def _state(self, arrays: dict[str, np.ndarray], position: Position, batch: Any, path: Path) -> Any:
        """The carried state, removed from ``arrays``; it must be such as ``batch`` gives."""
        held = {name: arrays.pop(name) for name in list(arrays) if name.startswith(saved.STATE)}
        loss = Loss(self.model.loss)
        with evaluating(self.model):
            begun = loss.carries and (position.epoch or position.batch)
            likes, build = saved.flat(loss(batch, None)[1] if begun else None)
        wanted = {f"{saved.STATE}{k}": f"{like.dtype} {like.shape}" for k, like in enumerate(likes)}
        actual = {name: f"{held[name].dtype} {held[name].shape}" for name in sorted(held, key=lambda n: (len(n), n))}
        if actual != wanted:
            what = f"the state is {actual or 'not there'}, should be {wanted or 'not there'}"
            raise InvalidValue(f"{path}: {what}")
        return build([held[name] for name in wanted])
