"""Check the backward pass of an LSTM, derived by hand; then check it again with one wrong line.

    python examples/lstm_by_hand.py
"""

from tinygrad_rnn import lstm
from tinygrad_rnn.check import check_backward
from tinygrad_rnn.cli.demo_backward import lstm_backward


def with_a_mistake(x, h, c, **given):
    """The backward pass of the LSTM, with a wrong sign in dWh."""
    gradients = lstm_backward(x, h, c, **given)
    return {**gradients, "dWh": -gradients["dWh"]}


if __name__ == "__main__":
    print(check_backward(lstm, lstm_backward))
    print()
    print(check_backward(lstm, with_a_mistake))
