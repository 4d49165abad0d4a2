"""The documentation runs: every Python block of every page, what it says it prints, and the output shown after it."""

import contextlib
import io
import linecache
import os
import re
from pathlib import Path

import pytest

from helpers.pages import plain
from test_imports import MAY
from tinygrad_rnn.check.debugger import chain, search
from tinygrad_rnn.engine.op import OPS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = ["tinygrad_rnn", "tests", "examples"]
PRINTS = re.compile(r"^\s*print\(.*#\s*prints (.*)$")
#: A Python block, and the output that follows it, if any does.
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.S | re.M)


@pytest.fixture(autouse=True)
def operations_of_a_page_are_forgotten():
    before = list(OPS)
    yield
    for name in [name for name in OPS if name not in before]:
        del OPS[name]


@pytest.fixture(autouse=True)
def search_is_short_but_on_its_page(request, monkeypatch, trials):
    """On other pages than ``check.md``, the search for the line of a mistake ends early in the short run."""
    if "[check.md]" not in request.node.name:
        monkeypatch.setattr(search, "WORK", search.WORK / trials(10, 1))
        monkeypatch.setattr(chain, "WORK", chain.WORK / trials(10, 1))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_python_block_runs_and_prints_what_it_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": page.stem}
    for number, (block, shown) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")), 1):
        promised = [found[1].strip() for line in block.splitlines() if (found := PRINTS.match(line))]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            file = f"{page.name}, block {number}"
            linecache.cache[file] = len(block), None, block.splitlines(keepends=True), file  # as a notebook does
            exec(compile(block, file, "exec"), names)
        lines = [line.strip() for line in printed.getvalue().splitlines()]
        for line in promised:
            assert line in lines, f"{page.name}, block {number}: {line!r} is promised; printed was {lines}"
        same = plain(printed.getvalue()) == plain(shown)
        assert not shown or same, f"{page.name}, block {number} prints\n{printed.getvalue()}"


@pytest.mark.ptb
@pytest.mark.skipif(not os.environ.get("TINYGRAD_RNN_DATA"), reason="TINYGRAD_RNN_DATA does not name a folder")
def test_what_needs_the_penn_treebank_prints_what_it_says(tmp_path, monkeypatch):
    """Blocks of ``py`` run where there is the text that they read."""
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```py\n(.*?)^```\n", text, re.S | re.M)
    assert len(blocks) == 1 and "data.ptb()" in blocks[0]
    names = "import numpy as np\nimport tinygrad_rnn as tg\nfrom tinygrad_rnn import data, optim\n"
    names += "from tinygrad_rnn.models import LanguageModel\nfrom tinygrad_rnn.train import fit\n"
    run(f"```python\n{names}{blocks[0]}```\n", tmp_path, monkeypatch)


def run(text, tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(text)
    test_every_python_block_runs_and_prints_what_it_says(page, tmp_path, monkeypatch)


def test_a_false_promise_is_noticed(tmp_path, monkeypatch):
    with pytest.raises(AssertionError, match="'3' is promised"):
        run("```python\nprint(1 + 1)  # prints 3\n```\n", tmp_path, monkeypatch)


@pytest.mark.parametrize("shown", ["3", "2\n3", "2 1e-16\n", "1e-16 2"])
def test_another_output_is_noticed(shown, tmp_path, monkeypatch):
    with pytest.raises(AssertionError, match="block 1 prints"):
        run(f"```python\nprint(2)\n```\n\n```text\n{shown}\n```\n", tmp_path, monkeypatch)
    run("```python\nprint(2)\n```\n\n```text\n2\n```\n", tmp_path, monkeypatch)


def test_only_rounding_may_differ():
    assert plain("dx 2.1e-17 right") == plain("dx  0  right") != plain("dx 2.1e-7 right")
    assert plain("N = 10, 0.5, (0, 1e-10)") == [["N", "=", "10,", "0.5,", "(~0,", "1e-10)"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def headings(page: Path) -> list[str]:
    """The headings of a page, as links name them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_a_heading_lead_somewhere(page):
    for target, heading in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        other = page.parent / target if target else page
        assert heading in headings(other), f"{page.name} links to #{heading}, which {other.name} does not have"


def missing_files(text: str) -> list[str]:
    """The files in backquotes, ``engine/op.py``, that are nowhere in the package, the tests or the examples."""
    names = [name for quoted in re.findall(r"`([^`\n]+)`", text) for name in re.findall(r"[\w/]+\.py\b", quoted)]
    files = [f"/{file.relative_to(ROOT).as_posix()}" for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
    return [name for name in names if not any(file.endswith(f"/{name}") for file in files)]


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/design.md"])
def test_the_files_that_a_page_names_are_there(page):
    assert missing_files((ROOT / page).read_text(encoding="utf-8")) == []


def test_a_file_that_is_gone_is_noticed():
    assert missing_files("`engine/op.py`, gone.py, `python tests/gone.py` and `op/engine.py`") == [
        "tests/gone.py", "op/engine.py",
    ]  # fmt: skip


def rooms(page: str) -> dict[str, str]:
    """The rows of the map: a room, and what it may import."""
    rows = re.findall(r"^\| `(\w+)` \|.*\| ?([^|]*?) ?\|$", page.split("## The map")[1].split("\n## ")[0], re.M)
    return {room: names.replace("`", "") for room, names in rows}


def test_the_map_is_the_table_that_the_imports_are_held_to():
    drawn = rooms((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert drawn == {room: names for room, names in MAY.items() if room != "__main__"}
    assert list(drawn) == [room for room in MAY if room != "__main__"]


def test_a_map_is_read():
    rows = "| room | what | may import |\n|---|---|---|\n| `a` | it | |\n| `b` | it | a `__init__` |"
    assert rooms(f"## The map\n{rows}\n## More\n| `c` | it | |") == {"a": "", "b": "a __init__"}
