"""Which code is the user's."""

import textwrap
from pathlib import Path

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.check.debugger.source import units_of
from tinygrad_rnn.draw.model.user_numpy import is_users
from tinygrad_rnn.tracing.users import is_users_file

PACKAGE = Path(tg.__file__).parent


def test_libraries_and_the_package_are_not_the_users():
    for module in (np, textwrap):
        assert not is_users_file(module.__file__)
    assert not is_users_file(str(PACKAGE / "cells" / "cell.py")) and not is_users_file("<frozen runpy>")


def test_a_folder_beside_the_package_whose_name_begins_like_it_is_the_users():
    assert is_users_file(f"{PACKAGE}_cells/mine.py") and is_users_file("/home/me/mine.py")
    assert is_users_file("/home/me/site-packages-notes/mine.py")


def test_the_checker_and_the_pictures_answer_alike():
    def mine(x):
        return x

    assert is_users(mine) and [unit.function for unit in units_of([mine])] == [mine]
    assert not is_users(textwrap.dedent) and not units_of([textwrap.dedent])
