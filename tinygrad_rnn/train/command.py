"""``tinygrad-rnn train``: the notes' language model on three texts, with progress on the screen and weights on disk."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..cells import BUILT_IN
from ..data import Splits, load, ptb, windows
from ..optim import SGD
from .evaluate import generate, perplexity
from .fit import Progress, fit
from .language_model import LanguageModel
from .store import load_model, save_model


def bar(total: int, what: str) -> Any:
    """A progress bar on the error stream."""
    try:
        from tqdm import tqdm
    except ModuleNotFoundError as error:
        need = "the progress bar needs tqdm: pip install 'tinygrad-rnn[train]'"
        raise ModuleNotFoundError(need, name="tqdm") from error
    return tqdm(total=total, desc=what, unit=" windows", mininterval=0.5, dynamic_ncols=True)


def writable(folder: str | os.PathLike[str]) -> Path:
    """The folder, made if need be; an error now if nothing can be written there."""
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise OSError(f"--out: nothing can be written to {path} ({error.strerror or error})") from error


def corpora(data: str | None, download: bool) -> Splits:
    """The three texts that the options name: of any folder that has them, else the Penn Treebank."""
    if data is None or download:
        return ptb(data, download=download)
    folder = Path(data)
    return load(folder) if any(folder.glob("*train.txt")) else ptb(folder)


def run(options: Any) -> int:
    """Train, validate after every epoch, test the best weights, write some text."""
    out = writable(options.out or Path("runs") / options.model)
    splits = corpora(options.data, options.download)
    windows(splits.train.ids, options.rows, options.window)  # a corpus that is too short is told now
    rng = np.random.default_rng(options.seed)
    model = LanguageModel(BUILT_IN[options.model], len(splits.train.vocab), options.embed, options.hidden, rng=rng)
    session = Session(model, splits, out, _about(options, splits))
    done = session.resume() if options.resume else 0
    count = sum(one.size for one in model.params.values())
    print(f"{options.model}: {count:,} parameters; {len(splits.train):,} words, {len(splits.train.vocab):,} different")
    try:
        for epoch in range(done + 1, options.epochs + 1):
            session.epoch(epoch, options)
    except KeyboardInterrupt:
        print(f"\nstopped; the weights of {session.done} whole epochs are in {out}, --resume goes on from there")
        return 130
    session.finish(options, rng)
    return 0


def _about(options: Any, splits: Splits) -> dict[str, Any]:
    """What has to be the same for a run to go on."""
    names = ("model", "embed", "hidden", "rows", "window", "lr", "clip", "seed")
    return {**{name: getattr(options, name) for name in names}, "V": len(splits.train.vocab)}


class Session:
    """A model in training, and what is on disk of it: ``last.safetensors``, ``best.safetensors``, ``log.jsonl``."""

    def __init__(self, model: LanguageModel, splits: Splits, out: Path, about: dict[str, Any]):
        self.model, self.splits, self.out, self.about = model, splits, out, about
        self.best, self.done = float("inf"), 0

    def resume(self) -> int:
        """Take up the weights saved last; returns how many epochs they have seen."""
        path = self.out / "last.safetensors"
        if not path.exists():
            raise FileNotFoundError(f"--resume: there is no {path}")
        arrays, about = load_model(path)
        for name, value in self.about.items():
            if about.get(name) != value:
                raise ValueError(f"--resume: {path} has {name} = {about.get(name)}, the options say {value}")
        self.model.load_state_dict(arrays)
        self.best, self.done = about["best"], about["epoch"]
        return self.done

    def epoch(self, epoch: int, options: Any) -> None:
        """One pass, validation, and the weights on disk."""
        optimizer = SGD(self.model, lr=options.lr)
        N, T = options.rows, options.window
        with bar(len(windows(self.splits.train.ids, N, T)), f"epoch {epoch}/{options.epochs}") as shown:
            speeds = []

            def report(progress: Progress) -> None:
                shown.set_postfix_str(
                    f"perplexity {progress.perplexity:.1f}, {progress.tokens_per_second:,.0f} tokens/s", refresh=False
                )
                shown.update()
                speeds.append(progress.tokens_per_second)

            fit(self.model, self.splits.train.ids, optimizer, N=N, T=T, max_norm=options.clip, report=report)
        valid = perplexity(self.model, self.splits.valid.ids)
        print(f"epoch {epoch}: validation perplexity {valid:.1f}, {np.median(speeds):,.0f} tokens/s", flush=True)
        self.done, better = epoch, valid < self.best
        self.best = min(self.best, valid)
        about = {**self.about, "epoch": epoch, "valid": valid, "best": self.best}
        for name in ["last", "best"] if better else ["last"]:
            save_model(self.out / f"{name}.safetensors", self.model.state_dict(), about)
        line = {"epoch": epoch, "valid": valid, "tokens_per_second": float(np.median(speeds))}
        with open(self.out / "log.jsonl", "a" if epoch > 1 else "w", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def finish(self, options: Any, rng: np.random.Generator) -> None:
        """Test the best weights, and let them write."""
        arrays, about = load_model(self.out / "best.safetensors")
        self.model.load_state_dict(arrays)
        test = perplexity(self.model, self.splits.test.ids)
        print(f"test perplexity {test:.1f} (weights of epoch {about['epoch']}), saved in {self.out}")
        if options.sample > 0:
            corpus = self.splits.train
            start = corpus.ids[:1]
            words = [*start.tolist(), *generate(self.model, start, options.sample, rng)]
            print("\n" + " ".join(corpus.decode(words)).replace("<eos>", "\n"))
