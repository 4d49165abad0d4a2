"""Models on disk: all of it comes back, and a file is whole or not there."""

import json
import os
import re
import sys

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.models import LanguageModel
from tinygrad_rnn.train import load_model, save_model

pytest.importorskip("safetensors")

ARRAYS = {
    "W": np.arange(6, dtype="f").reshape(2, 3), "T": np.arange(6.0).reshape(2, 3).T, "scalar": np.array(2.5),
    "half": np.ones((1, 2), "e"), "none": np.zeros((0, 3), "f"), "ids": np.array([1, -2]), "every": np.arange(8.0)[::2],
}  # fmt: skip


def test_arrays_and_about_come_back(tmp_path):
    about = {"epoch": 3, "best": 1.5, "names": ["a", "b"], "greek": "φ"}
    save_model(tmp_path / "model.safetensors", ARRAYS, about)
    arrays, told = load_model(tmp_path / "model.safetensors")
    assert told == about and sorted(arrays) == sorted(ARRAYS)
    for name, one in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], one)
        assert arrays[name].dtype == one.dtype and arrays[name].shape == one.shape


def test_a_model_comes_back_bit_for_bit(tmp_path):
    def made(seed):
        return LanguageModel(tg.lstm, 9, 3, 4, rng=np.random.default_rng(seed))

    model, other = made(0), made(1)
    save_model(str(tmp_path / "m"), model.state_dict(), {})
    other.load_state_dict(load_model(str(tmp_path / "m"))[0])
    for name, one in model.params.items():
        np.testing.assert_array_equal(one.numpy(), other.params[name].numpy())


def test_the_same_model_is_the_same_file(tmp_path):
    for name in ("a", "b"):
        save_model(tmp_path / name, ARRAYS, {"epoch": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_save_that_fails_leaves_the_file_before_and_nothing_else(broken, tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    save_model(path, ARRAYS, {"epoch": 1})
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, broken, full)
    with pytest.raises(OSError, match=f"^{re.escape(f'[Errno 28] No space left on device: {str(path)!r}')}$"):
        save_model(path, {"W": np.zeros(3)}, {"epoch": 2})
    assert [one.name for one in tmp_path.iterdir()] == [path.name] and path.read_bytes() == before


def test_what_json_does_not_hold_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        save_model(tmp_path / "m", ARRAYS, {"best": np.float32(1)})
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_cut_or_foreign_is_refused_in_words(tmp_path):
    path = tmp_path / "m"
    save_model(path, ARRAYS, {})
    for data in (path.read_bytes()[:-1], b"not a model", b""):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=f"^{re.escape(f'load_model: {path} is not a whole safetensors file (')}"):
            load_model(path)
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "elsewhere")


DAMAGED = "is damaged: its checksum is wrong"


def test_no_bit_can_change_in_a_file_unnoticed(tmp_path, trials):
    """Nor can a file end early or late, wherever it is cut."""
    path = tmp_path / "m"
    save_model(path, {"W": np.arange(6, dtype="f").reshape(2, 3), "h": np.ones(2)}, {"epoch": 3, "note": "0" * 64})
    whole, said = path.read_bytes(), {}
    load_model(path)
    for place in range(len(whole)):
        for bit in range(8)[:: trials(5, 1)]:
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            path.write_bytes(flipped)
            with pytest.raises(ValueError, match=f"^load_model: {re.escape(str(path))} is ") as error:
                load_model(path)
            said[str(error.value).split(" is ", 1)[1].split(" (")[0]] = None
        for cut in (whole[:place], whole + bytes(place + 1))[:: trials(1 + place % 2, 1)]:
            path.write_bytes(cut)
            with pytest.raises(ValueError, match=f"^load_model: {re.escape(str(path))} is "):
                load_model(path)
    assert sorted(said) == [DAMAGED.removeprefix("is "), "not a whole safetensors file"]


@pytest.mark.parametrize("metadata", [None, {"about": '{"epoch": 3}'}, {"format": "pt"}])
def test_a_file_written_before_there_were_checksums_or_by_another_tool_loads(metadata, tmp_path):
    from safetensors.numpy import save_file

    save_file({"W": np.arange(6.0)}, tmp_path / "m", metadata)
    arrays, about = load_model(tmp_path / "m")
    assert arrays["W"].tolist() == list(range(6))
    assert about == ({"epoch": 3} if metadata and "about" in metadata else {})
    arrays["W"][0] = 1  # the memory is the caller's


@pytest.mark.parametrize(("about", "text"), [
    ("{", "about cannot be read (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)), should "
          "be JSON"),
    ("[3]", "about is a list, should be a JSON object"), ("[" * 100_000, "about cannot be read (maximum recursion"),
])  # fmt: skip
def test_an_about_that_cannot_be_read_is_refused_in_words(about, text, tmp_path):
    from safetensors.numpy import save_file

    save_file({"W": np.arange(6.0)}, tmp_path / "m", {"about": about})
    with pytest.raises(ValueError, match=f"^{re.escape(f'load_model: {tmp_path}/m: {text}')}"):
        load_model(tmp_path / "m")


def test_without_the_extra_the_error_names_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    text = "saving and loading models needs safetensors: pip install 'tinygrad-rnn[train]'"
    with pytest.raises(ModuleNotFoundError, match=f"^{re.escape(text)}$"):
        save_model(tmp_path / "m", ARRAYS, {})


def test_other_tools_read_it(tmp_path):
    """The header of a safetensors file is JSON behind its length: nothing of ours is needed to read it."""
    save_model(tmp_path / "m", ARRAYS, {"epoch": 3})
    data = (tmp_path / "m").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert header["W"]["shape"] == [2, 3] and json.loads(header["__metadata__"]["about"]) == {"epoch": 3}
