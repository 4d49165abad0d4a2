"""Which code is the user's."""

import runpy
import shutil
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


def test_a_folder_beside_the_package_whose_name_begins_like_it_is_the_users(tmp_path):
    users = tmp_path / "tinygrad_rnn" / "tracing" / "users.py"  # the package in a folder that holds no library
    users.parent.mkdir(parents=True)
    shutil.copy(PACKAGE / "tracing" / "users.py", users)
    copied = runpy.run_path(str(users))["is_users_file"]
    assert not copied(str(users)) and copied(str(tmp_path / "tinygrad_rnn_cells" / "mine.py"))
    assert copied("/home/me/mine.py") and copied("/home/me/site-packages-notes/mine.py")


def test_the_checker_and_the_pictures_answer_alike():
    def mine(x):
        return x

    assert is_users(mine) and [unit.function for unit in units_of([mine])] == [mine]
    assert not is_users(textwrap.dedent) and not units_of([textwrap.dedent])
