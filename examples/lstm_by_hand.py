"""Check an LSTM's backward that was derived by hand; then see what happens when one line of it is wrong.

    python examples/lstm_by_hand.py
"""

from tinygrad_rnn import lstm
from tinygrad_rnn.check import check_backward
from tinygrad_rnn.cli.demo_backward import lstm_backward


def with_a_mistake(x, h, c, **given):
    """As lstm_backward, but somebody lost a sign in dWh."""
    gradients = lstm_backward(x, h, c, **given)
    return {**gradients, "dWh": -gradients["dWh"]}


if __name__ == "__main__":
    print(check_backward(lstm, lstm_backward))
    print()
    print(check_backward(lstm, with_a_mistake))
