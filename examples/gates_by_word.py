"""What the gates of an LSTM do, word by word: trained on generated sentences, as a table and as a picture.

    python examples/gates_by_word.py [--quick] [PICTURE.svg]

The model has to remember who came in until the sentence names him again. The table has the mean of each gate over its
units. Between sentences nothing is left to remember, so the forget gate is less open there than inside a sentence.
"""

import sys

import numpy as np

import tinygrad_rnn as tg


def train(corpus, steps, rng):
    """A language model on windows of 20 words."""
    model = tg.models.LanguageModel(tg.lstm, len(corpus.vocab), 16, 32, rng=rng, embedding="normal")
    optimizer, ids = tg.optim.Adam(model.params, lr=0.01), np.array(corpus.ids)
    for _ in range(steps):
        starts = rng.integers(0, len(ids) - 21, 24)
        windows = ids[starts[:, None] + np.arange(21)]
        loss, _ = model.loss(windows[:, :-1], windows[:, 1:])
        loss.backward()
        tg.optim.clip_grad_norm(model.params, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return model, float(loss.numpy())


if __name__ == "__main__":
    quick = "--quick" in sys.argv
    paths = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    rng = np.random.default_rng(0)
    corpus = tg.data.grammar(20_000)
    model, loss = train(corpus, 150 if quick else 1500, rng)
    print(f"loss after training: {loss:.2f} nats a word")

    ids = np.array(corpus.ids[:400])[None]
    words = corpus.decode(ids[0])
    seen = tg.gate_values(model.recurrent, model.embed(ids))
    short = tg.gate_values(model.recurrent, model.embed(ids[:, :20]))
    print(short.table(words[:20]))
    means = seen.by_word(words)
    inside = np.mean([seen.gates["f"][0, t].mean() for t, word in enumerate(words) if word != "."])
    print(f"mean f at the end of a sentence {means['.']['f']:.2f}, inside {inside:.2f}")
    if paths:
        short.plot(words[:20], paths[0])
        print(f"wrote {paths[0]}")
