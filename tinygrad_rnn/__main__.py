"""``python -m tinygrad_rnn`` is ``tinygrad-rnn``."""

import sys

from .cli.main import program

if __name__ == "__main__":
    sys.exit(program())
