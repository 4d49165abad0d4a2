"""The sample of a grid: every value of every axis is in it, every n-th diagonal, and nothing else."""

import itertools
from types import SimpleNamespace

import pytest

from helpers.sampling import left_out


def grid(sizes, **options):
    """The items of a test that is parametrised by axes of these sizes, named a, b, ..., as pytest collects them."""
    names = "abcd"[: len(sizes)]
    marks = [SimpleNamespace(args=[name]) for name in names]
    sampled = SimpleNamespace(kwargs=options)
    for at in itertools.product(*map(range, sizes)):
        places = dict(zip(names, at, strict=True))
        yield SimpleNamespace(
            callspec=SimpleNamespace(params=places),
            iter_markers=lambda name: marks,
            get_closest_marker=lambda name: sampled,
        )


def sample(name, sizes, **options):
    items = list(grid(sizes, **options))
    dropped = list(map(id, left_out(name, items)))
    return [tuple(item.callspec.params.values()) for item in items if id(item) not in dropped]


@pytest.mark.parametrize("sizes", [(1,), (7,), (3, 5), (5, 3), (2, 9, 4)], ids=str)
@pytest.mark.parametrize("every", [1, 2, 4, 1000])
def test_every_value_of_every_axis_is_in_it(sizes, every):
    taken = sample("test", sizes, every=every)
    for axis, size in enumerate(sizes):
        assert sorted({places[axis] for places in taken}) == list(range(size))


def test_it_is_smaller_than_the_grid_and_the_same_each_time():
    taken = sample("test", (20, 30), every=5)
    assert len(taken) == 120 and taken == sample("test", (20, 30), every=5)
    assert taken != sample("another test", (20, 30), every=5)


def test_every_n_th_diagonal_from_the_first():
    assert sample("test", (2, 4), every=2, first=0) == [(0, 0), (0, 2), (1, 1), (1, 3)]


def test_what_is_asked_for_by_another_name_is_in_it():
    """Each tenth of an axis of 100 with each value of the other one."""
    taken = sample("test", (100, 3), every=1000, by=lambda a, b: [(a // 10, b)])
    assert sorted({(a // 10, b) for a, b in taken}) == list(itertools.product(range(10), range(3)))
    assert len(taken) <= 31


def test_a_grid_without_an_item_on_the_diagonals_keeps_its_first():
    assert sample("test", (2,), every=5, first=4, by=lambda **_: []) == [(0,)]
    assert sample("test", (2,), every=5, first=1, by=lambda **_: []) == [(1,)]
