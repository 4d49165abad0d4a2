"""A folder of three texts, and the Penn Treebank: found, checked, fetched."""

import contextlib
import functools
import hashlib
import http.server
import os
import re
import socket
import threading

import pytest

from tinygrad_rnn.data import load, ptb
from tinygrad_rnn.data.load import KNOWN

TEXTS = {
    "ptb.train.txt": " the cat sat \n a <unk> sat \n",
    "ptb.valid.txt": " a cat sat \n",
    "ptb.test.txt": " the dog sat \n",
}
SUMS = {name: hashlib.md5(text.encode()).hexdigest() for name, text in TEXTS.items()}


def fill(folder, texts=TEXTS):
    folder.mkdir(exist_ok=True, parents=True)
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode())
    return folder


def exactly(text):
    return f"^{re.escape(text)}$"


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.delenv("TINYGRAD_RNN_DATA", raising=False)


@pytest.fixture
def server(tmp_path):
    """The three files behind an address on this machine: (address, folder, the paths that were asked for)."""
    folder, asked = fill(tmp_path / "server"), []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            asked.append(self.path)

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/", folder, asked
        running.shutdown()
        thread.join()


# ---- any folder of three texts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["{}.txt", "mine.{}.txt", "my.own.{}.txt"])
def test_any_folder_of_three_texts_is_loaded(tmp_path, name):
    texts = {"train": "a b <unk>\n", "valid": "b\n", "test": "zebra\n"}
    splits = load(fill(tmp_path, {name.format(split): text for split, text in texts.items()}))
    assert [" ".join(corpus.decode(corpus.ids)) for corpus in splits] == ["a b <unk> <eos>", "b <eos>", "<unk> <eos>"]
    assert splits.train.vocab == splits.valid.vocab == splits.test.vocab


def test_a_folder_of_characters_or_of_the_most_frequent_words(tmp_path):
    texts = {"train.txt": "나는 나\n", "valid.txt": "는 나\n", "test.txt": "나 너\n"}
    fill(tmp_path, {})
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text.encode("cp949"))
    splits = load(tmp_path, tokens="byte", encoding="cp949")
    assert [corpus.text() for corpus in splits] == list(texts.values())
    with pytest.raises(ValueError, match=r"test.txt, line 1: '너' is not in the vocabulary of 4 characters, "):
        load(tmp_path, tokens="char", encoding="cp949")
    splits = load(tmp_path, tokens="char", encoding="cp949", max_vocab=5)
    assert splits.train.vocab == ("나", "는", " ", "\n", "<unk>")
    assert splits.test.text() == "나 <unk>\n"
    assert load(tmp_path, encoding="cp949", max_vocab=3).train.vocab == ("나는", "<unk>", "<eos>")


def test_hidden_and_other_files_are_not_seen(tmp_path):
    fill(tmp_path, {"train.txt": "a b\n", "valid.txt": "a\n", "test.txt": "a\n"})
    fill(tmp_path, {"._train.txt": "\0", ".old.train.txt": "\0", "train.md": "#", "latest.txt": "a"})
    assert len(load(tmp_path).train) == 3


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["train.txt", "valid.txt"], "has no test text, should have one file test.txt or NAME.test.txt"),
        (["b.train.txt", "a.train.txt"],
         "has a.train.txt and b.train.txt, should have one file train.txt or NAME.train.txt"),
    ],
)  # fmt: skip
def test_a_split_has_one_file(tmp_path, names, text):
    fill(tmp_path, dict.fromkeys(names, "a\n"))
    with pytest.raises(FileNotFoundError, match=exactly(f"load: {tmp_path} {text}")):
        load(tmp_path)


def test_a_folder_that_is_none_is_named(tmp_path):
    text = f"load: {tmp_path / 'no'} is not a folder, should be one with a train, a valid and a test text"
    with pytest.raises(NotADirectoryError, match=exactly(text)):
        load(tmp_path / "no")


def test_a_file_named_like_the_treebank_must_be_it(tmp_path):
    fill(tmp_path)
    path = tmp_path / "ptb.train.txt"
    text = f"{path}: the MD5 is {SUMS[path.name]}, should be {KNOWN[path.name]}"
    for read in (load, ptb):
        with pytest.raises(ValueError, match=exactly(text)):
            read(tmp_path)


# ---- the Penn Treebank --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inside", [".", "ptb"])
@pytest.mark.parametrize("how", ["argument", "variable"])
def test_the_folder_is_an_argument_or_a_variable(tmp_path, monkeypatch, inside, how):
    fill(tmp_path / inside)
    if how == "variable":
        monkeypatch.setenv("TINYGRAD_RNN_DATA", str(tmp_path))
    splits = ptb(tmp_path if how == "argument" else None, known=SUMS)
    assert splits.train.vocab == ("the", "cat", "sat", "<eos>", "a", "<unk>")
    assert splits.test.ids.tolist() == [0, 5, 2, 3]


def test_the_treebank_comes_as_bytes_and_with_fewer_words(tmp_path):
    splits = ptb(fill(tmp_path), known=SUMS, tokens="byte")
    assert [corpus.text() for corpus in splits] == list(TEXTS.values())
    assert ptb(tmp_path, known=SUMS, max_vocab=3).train.vocab == ("<unk>", "sat", "<eos>")


def test_other_texts_beside_the_treebank_do_not_matter(tmp_path):
    fill(fill(tmp_path), {"train.txt": "a\n", "my.test.txt": "b\n"})
    assert ptb(tmp_path, known=SUMS).train.decode([0, 1]) == ["the", "cat"]


def test_the_argument_goes_before_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYGRAD_RNN_DATA", str(tmp_path / "no"))
    assert len(ptb(fill(tmp_path), known=SUMS).valid) == 4


def test_what_is_not_there_is_said_with_what_to_do(tmp_path):
    remedy = (
        "the three ptb.*.txt should be in the folder given as ptb({0}) or in the variable TINYGRAD_RNN_DATA; "
        "ptb({0}, download=True) fetches them"
    )
    with pytest.raises(FileNotFoundError, match=exactly("ptb: no folder is named, " + remedy.format("'FOLDER'"))):
        ptb(download=True)
    (fill(tmp_path) / "ptb.valid.txt").unlink()
    text = f"ptb: {tmp_path} has no ptb.valid.txt, " + remedy.format(repr(str(tmp_path)))
    with pytest.raises(FileNotFoundError, match=exactly(text)):
        ptb(tmp_path, known=SUMS)


def test_missing_files_are_fetched_once(tmp_path, server):
    address, _, asked = server
    home = tmp_path / "new" / "folder"
    first = ptb(home, download=True, address=address, known=SUMS)
    again = ptb(home, download=True, address=address, known=SUMS)
    assert first.train.ids.tolist() == again.train.ids.tolist()
    assert asked == [f"/{name}" for name in SUMS]
    assert sorted(path.name for path in home.iterdir()) == sorted(SUMS)  # nothing left beside them


def test_files_that_are_there_are_left_alone(tmp_path, server):
    address, _, asked = server
    (fill(tmp_path / "home") / "ptb.test.txt").unlink()
    ptb(tmp_path / "home", download=True, address=address.rstrip("/"), known=SUMS)
    assert asked == ["/ptb.test.txt"]


def test_a_wrong_download_is_not_kept(tmp_path, server):
    address, folder, _ = server
    (folder / "ptb.valid.txt").write_text("something else")
    found = hashlib.md5(b"something else").hexdigest()
    text = f"{address}ptb.valid.txt: the MD5 is {found}, should be {SUMS['ptb.valid.txt']}"
    with pytest.raises(ValueError, match=exactly(text)):
        ptb(tmp_path / "home", download=True, address=address, known=SUMS)
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["ptb.train.txt"]


def test_a_failed_write_leaves_nothing(tmp_path, server, monkeypatch):
    def no_space(*args):
        raise OSError("no space")

    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(OSError, match="no space"):
        ptb(tmp_path / "home", download=True, address=server[0], known=SUMS)
    assert list((tmp_path / "home").iterdir()) == []


def test_a_network_that_is_not_there_is_an_error_that_says_so(tmp_path, server):
    advice = ", the network should reach it, or the file should be put by hand where ptb(folder) looks"
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
    text = rf"^ptb: {closed}/ptb.train.txt does not answer \(.*refused.*\){re.escape(advice)}$"
    with pytest.raises(ConnectionError, match=text):
        ptb(tmp_path / "home", download=True, address=closed)
    (server[1] / "ptb.train.txt").unlink()
    with pytest.raises(ConnectionError, match=r"ptb.train.txt does not answer \(File not found\)"):
        ptb(tmp_path / "home", download=True, address=server[0])


REAL = os.environ.get("TINYGRAD_RNN_DATA")


@pytest.mark.skipif(not REAL, reason="TINYGRAD_RNN_DATA does not name the folder of the Penn Treebank")
def test_the_treebank_has_its_size():
    splits = ptb(REAL)
    assert [len(corpus) for corpus in splits] == [929589, 73760, 82430]
    assert len(splits.train.vocab) == 10000
    assert splits.train.vocab[:3] == ("aer", "banknote", "berlitz")
    assert splits.test.decode(splits.test.ids[:6]) == ["no", "it", "was", "n't", "black", "monday"]
