"""Random cells over time: `scan`, the loop that it equals, `nn.Recurrent` and the wrappers."""

from helpers.random import cells as cells_at_random
from helpers.random import graphs
from helpers.random.sweeps import assert_all_right, in_parts, seeds


@in_parts
def test_random_cells(part, trials):
    assert_all_right(lambda seed: graphs.failure(cells_at_random.build(seed)), seeds(part, trials(60, 6_000)))


def test_cells_are_of_every_kind():
    """Wrapped in each way, run in each way, with short rows and in reverse."""
    text = "\n".join(cells_at_random.build(seed).source() for seed in range(40))
    for part in ("residual", "zoneout", "variational", "lengths=[", "reverse=True", " loop(", " layer(", "np.float32"):
        assert part in text
