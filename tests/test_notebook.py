"""The notebook runs from its first cell to its last, and shows its pictures inline."""

import os
import shutil
from pathlib import Path

import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.draw import RenderError

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

NOTEBOOK = Path(__file__).parent.parent / "examples" / "draw.ipynb"
LIMIT = 30  # seconds a cell may take


def outputs(folder: Path) -> list:
    """What the cells of a copy of the notebook show, in order."""
    path = Path(shutil.copy(NOTEBOOK, folder))
    book = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(book, timeout=LIMIT, resources={"metadata": {"path": str(folder)}}).execute()
    return [shown for cell in book.cells if cell.cell_type == "code" for shown in cell.outputs]


def renders() -> bool:
    try:
        return bool(tg.draw(tg.rnn).pipe("svg"))
    except RenderError:
        return False


@pytest.mark.filterwarnings("default")  # of the kernel's own libraries
def test_the_notebook_shows_its_pictures_and_its_table(tmp_path, monkeypatch):
    source = str(Path(tg.__file__).parent.parent)  # the kernel runs what is tested, installed or not
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [source, os.getenv("PYTHONPATH")])))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    found = outputs(tmp_path)
    pictures = [one.data for one in found if one.output_type == "execute_result"]
    assert len(pictures) == 2
    for data in pictures:
        if renders():
            assert "<svg" in data["image/svg+xml"] and "mgu" in data["image/svg+xml"]
        else:
            assert "pip install 'tinygrad-rnn[draw]'" in data["text/plain"]
    table = "".join(one.text for one in found if one.output_type == "stream" and one.name == "stdout")
    assert "mgu: vanishing" in table
    assert [one for one in found if one.output_type == "stream" and one.name == "stderr"] == []


def test_the_notebook_is_kept_without_outputs():
    book = nbformat.read(NOTEBOOK, as_version=4)
    assert [cell.outputs or cell.execution_count for cell in book.cells if cell.cell_type == "code"] == [None] * 4
    nbformat.validate(book)
