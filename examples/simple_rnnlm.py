"""The book's SimpleRnnlm on a small text: embedding, simple RNN, affine, softmax with loss, truncated BPTT.

    python examples/simple_rnnlm.py [TEXT]

Without a TEXT it learns the first 1000 words of the generated stories by heart, as chapter 5 does with PTB.
"""

import sys

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import data, nn, optim
from tinygrad_rnn.train import generate

N, T, D, H, EPOCHS, LR = 10, 5, 48, 48, 40, 1.0


class SimpleRnnlm(nn.Module):
    """ids (N, T) -> scores (N, T, V).  The forward pass is all that is written."""

    def __init__(self, V, D, H, *, rng):
        self.embed = nn.Embedding(V, D, rng=rng)
        self.rnn = nn.Recurrent(tg.rnn, D=D, H=H, rng=rng)
        self.affine = nn.Linear(H, V, rng=rng)

    def __call__(self, ids, state=None):
        hs, state = self.rnn(self.embed(ids), state)
        return self.affine(hs), state


def train(model, ids):
    """Every epoch begins at the start of the text. The state is carried from window to window, its graph is not."""
    optimizer = optim.SGD(model, lr=LR)
    for epoch in range(1, EPOCHS + 1):
        state, losses = None, []
        for xs, ts in data.windows(ids, N, T):
            optimizer.zero_grad()
            scores, state = model(xs, tg.detach(state))
            loss = tg.softmax_cross_entropy(scores, ts)
            loss.backward()
            optim.clip_grad_norm(model, 1.0)
            optimizer.step()
            losses.append(loss.item())
        if epoch == 1 or epoch % 5 == 0:
            print(f"epoch {epoch:3d}: perplexity {np.exp(np.mean(losses)):7.2f}")


if __name__ == "__main__":
    corpus = data.read_text(sys.argv[1]) if len(sys.argv) > 1 else data.grammar(1000)
    rng = np.random.default_rng(0)
    model = SimpleRnnlm(len(corpus.vocab), D, H, rng=rng)
    print(f"{corpus}; {model}")
    train(model, corpus.ids[:1000])
    start = corpus.ids[:1]
    print("it writes:", " ".join(corpus.decode([*start, *generate(model, start, 30, rng, temperature=0.5)])))
