"""The documentation runs: every Python block of every page, and what it says it prints."""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PRINTS = re.compile(r"^\s*print\(.*#\s*prints (.*)$")


def blocks(page: Path) -> list[str]:
    """The Python blocks of a page, in order."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_python_block_runs_and_prints_what_it_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": page.stem}
    for number, block in enumerate(blocks(page), 1):
        promised = [found[1].strip() for line in block.splitlines() if (found := PRINTS.match(line))]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block, f"{page.name}, block {number}", "exec"), names)
        lines = [line.strip() for line in printed.getvalue().splitlines()]
        for line in promised:
            assert line in lines, f"{page.name}, block {number}: {line!r} is promised; printed was {lines}"


def test_a_false_promise_is_noticed(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1 + 1)  # prints 3\n```\n")
    with pytest.raises(AssertionError, match="'3' is promised"):
        test_every_python_block_runs_and_prints_what_it_says(page, tmp_path, monkeypatch)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"
