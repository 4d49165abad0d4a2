"""Sequence to sequence: reverse a string, add two numbers, or rewrite a date, with the options of chapters 7 and 8.

    python examples/seq2seq.py [--task reversal|addition|dates] [--quick] [-o PICTURE]
                               [--attention dot|general|none] [--[no-]peeky] [--[no-]reverse] [--epochs N]

An encoder reads the characters, a decoder writes the answer. Of the options, reverse reads the input from its end,
peeky shows the encoder's last state to every step of the decoder, and attention shows all of its states. An answer is
right if all its characters are. No input of the test is among those of the training. The picture (it needs matplotlib)
shows where the decoder looks at each step.
"""

import argparse
import sys
import time

import numpy as np

from tinygrad_rnn import optim, train
from tinygrad_rnn.data import tasks
from tinygrad_rnn.models import Seq2seq

#: The settings of each task, and what ``--quick`` changes in them.
SETTINGS = {
    "reversal": {"cell": "lstm", "H": 64, "attention": "dot", "peeky": False, "reverse": False, "N": 64, "epochs": 4},
    "addition": {"cell": "gru", "H": 128, "attention": None, "peeky": True, "reverse": True, "N": 128, "epochs": 12},
    "dates": {"cell": "lstm", "H": 64, "attention": "dot", "peeky": False, "reverse": False, "N": 128, "epochs": 4},
}
QUICK = {"reversal": {"H": 32, "N": 16, "epochs": 6}, "addition": {"N": 32, "epochs": 5}, "dates": {"N": 32}}


def load(name, quick):
    """The task; with ``quick`` a small one of its kind."""
    if not quick:
        return getattr(tasks, name)()
    if name == "reversal":
        return tasks.reversal("abcdef", shortest=2, longest=4, sizes=(1000, 100, 100))
    return tasks.addition(2, sizes=(4000, 500, 500)) if name == "addition" else tasks.dates(sizes=(3000, 200, 200))


def learn(model, task, N, epochs, lr):
    """Train by Adam with clipping; the learning rate rises in 100 steps, and falls by half a cosine to 0."""
    batches, valid = task.train.batches(N), task.valid.batches(500, seed=None)
    optimizer, steps = optim.Adam(model, lr=lr), epochs * len(batches)
    warm = min(100, steps // 4)
    schedule = optim.WarmUp(optimizer, warm, optim.Cosine(optimizer, steps - warm))
    began = time.process_time(), time.perf_counter()
    print(f"{'epoch':>5s} {'loss':>8s} {'right':>8s} {'CPU s':>7s} {'clock s':>7s}")

    def show(row):
        cpu, clock = time.process_time() - began[0], time.perf_counter() - began[1]
        print(f"{row['epoch']:5d} {row['loss']:8.4f} {model.accuracy(valid):8.2%} {cpu:7.1f} {clock:7.1f}", flush=True)

    train.fit(model, batches, optimizer, epochs=epochs, max_norm=1.0, schedule=schedule, report=sys.stdout.isatty(),
              after_epoch=show)  # fmt: skip


def show_answers(model, task, count):
    """Print the first inputs of the test with the answers of the model."""
    xs, ts, lengths = next(iter(task.test.batches(count, seed=None)))
    answers = model.predict(xs, lengths, length=ts.shape[1])
    for x, t, answer, length in zip(xs, ts, answers, lengths):
        written, right = task.decode_target(answer), task.decode_target(t)
        mark = "right" if written == right else f"wrong, should be {right}"
        print(f"{task.decode(x[:length]):30s} -> {written:12s} {mark}")


def show_attention(model, task, path):
    """Write the picture of the attention for the longest of the first inputs of the test."""
    row = int(np.argmax(task.test.lengths[:20]))
    ids, targets = task.test.inputs[row, : task.test.lengths[row]], task.test.targets[row]
    targets = targets[targets >= 0]
    texts = [[names[i].replace(" ", "␣") for i in row] for names, row in ((task.vocab, ids), (task.labels, targets))]
    model.plot_attention(ids, targets, *texts, path=path)
    print(f"the picture is {path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--task", choices=list(SETTINGS), default="reversal", help="the task (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a small task of its kind, in seconds")
    parser.add_argument("--attention", choices=["dot", "general", "none"], help="the score of the attention")
    for name, text in (("peeky", "show the last state to every step"), ("reverse", "read the input from its end")):
        parser.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, help=text)
    parser.add_argument("--epochs", type=int, help="passes over the training examples")
    parser.add_argument("-o", default="attention.png", metavar="PICTURE", help="its file (%(default)s)")
    arguments = parser.parse_args()
    given = {name: setting for name, setting in vars(arguments).items() if setting is not None}
    settings = {**SETTINGS[arguments.task], **(QUICK[arguments.task] if arguments.quick else {})}
    cell, H, attention, peeky, reverse, N, epochs = (given.get(name, setting) for name, setting in settings.items())
    attention = None if attention == "none" else attention

    task = load(arguments.task, arguments.quick)
    model = Seq2seq(len(task.vocab), 16, H, start=task.start, end=task.end, V_out=len(task.labels), cell=cell,
                    attention=attention, peeky=peeky, reverse=reverse, rng=0)  # fmt: skip
    size = sum(parameter.size for parameter in model.params.values())
    print(f"{task}\n{size:,} parameters: {cell} of {H} units, {attention=}, {peeky=}, {reverse=}; batches of {N}")
    learn(model, task, N, epochs, lr=0.01 if arguments.quick else 0.005)
    print(f"test: {model.accuracy(task.test.batches(500, seed=None)):.2%} right, chance {task.chance:.2g}")
    show_answers(model, task, 8)
    if attention:
        show_attention(model, task, arguments.o)
