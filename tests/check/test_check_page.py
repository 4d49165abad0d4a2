"""The commands of docs/check.md say what the page shows."""

import contextlib
import io
import re

from helpers.command_line import CHECKOUT
from helpers.pages import plain
from tinygrad_rnn.cli import main

PAGE = CHECKOUT / "docs" / "check.md"
CONSOLE = re.compile(r"^```console\n\$ tinygrad-rnn (.*?)\n(.*?)^```\n", re.S | re.M)


def test_the_commands_say_what_the_page_shows(monkeypatch):
    monkeypatch.chdir(CHECKOUT)
    found = dict(CONSOLE.findall(PAGE.read_text(encoding="utf-8")))
    codes: list[int] = []
    for command in (f"check examples/lstm_{kind}.py:lstm_bptt" for kind in ("wrong", "right")):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            codes.append(main.main(command.split()))
        assert plain(out.getvalue()) == plain(found.pop(command)), out.getvalue()
    assert codes == [1, 0] and not found
