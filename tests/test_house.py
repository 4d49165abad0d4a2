"""The house rules that a program can check: short functions, short files, docstrings, and nothing in random order."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

import tinygrad_rnn as tg

ROOT = Path(tg.__file__).parent
TEXTS = {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in sorted(ROOT.rglob("*.py"))}

#: Each text is parsed once for all tests.
parse = functools.cache(ast.parse)
LONGEST_FUNCTION, LONGEST_FILE = 25, 250
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def long_functions(text: str) -> list[str]:
    """Functions whose body has more than 25 lines of code: docstring, comments and blank lines do not count."""
    lines, found = text.splitlines(), []
    for node in ast.walk(parse(text)):
        if isinstance(node, FUNCTIONS):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            inside = lines[body[0].lineno - 1 : node.end_lineno] if body else []
            count = sum(bool(line.strip()) and not line.strip().startswith("#") for line in inside)
            if count > LONGEST_FUNCTION:
                found.append(f"{node.name} has {count} lines")
    return found


def sets(text: str) -> Iterator[str]:
    """Every iteration over a set: in a for, a comprehension, or by what makes a sequence of it."""
    for node in ast.walk(parse(text)):
        over = [node.iter] if isinstance(node, (ast.For, ast.comprehension)) else []
        if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            over = node.args if name in ("list", "tuple", "enumerate", "iter", "join", "map", "zip", "fromkeys") else []
        for one in over:
            made = isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id in ("set", "frozenset")
            if made or isinstance(one, (ast.Set, ast.SetComp)):
                yield f"line {one.lineno}: {ast.unparse(one)}"


PRONOUNS = ("one", "made", "found", "own", "told")


def pronouns(text: str) -> list[str]:
    """The variables, arguments, attributes and functions that have a pronoun or a participle for their name."""
    names = []
    for node in ast.walk(ast.parse(text)):
        name = next((getattr(node, slot) for slot in ("id", "arg", "attr", "name") if hasattr(node, slot)), None)
        names += [f"line {node.lineno}: {name}"] if name in PRONOUNS else []
    return names


def test_files_are_short():
    assert [name for name, text in TEXTS.items() if len(text.splitlines()) > LONGEST_FILE] == []


def test_functions_are_short():
    assert [(name, function) for name, text in TEXTS.items() for function in long_functions(text)] == []


def test_no_set_is_iterated():
    assert [(name, line) for name, text in TEXTS.items() for line in sets(text)] == []


def test_a_variable_names_its_kind():
    assert {name: pronouns(text) for name, text in TEXTS.items() if pronouns(text)} == {}


def test_a_module_says_what_it_is():
    assert [name for name, text in TEXTS.items() if not ast.get_docstring(parse(text))] == []


def undocumented() -> list[str]:
    """Public names at the top, and in the rooms, without a docstring of their own."""
    spaces = {"tg": tg, "nn": tg.nn, "optim": tg.optim, "train": tg.train, "data": tg.data}
    found = []
    for where, space in spaces.items():
        for name in getattr(space, "__all__", None) or [name for name in vars(space) if not name.startswith("_")]:
            one = vars(space)[name]
            own = one.__dict__.get("__doc__") if isinstance(one, type) else getattr(one, "__doc__", None)
            if not isinstance(one, (int, str, float)) and not own:
                found.append(f"{where}.{name}")
    return found


def test_every_public_name_has_a_docstring():
    assert undocumented() == []


# -- the testers -----------------------------------------------------------------------------------------------------


def test_a_long_function_is_noticed():
    long = "def f(\n    a,\n    b,\n):\n    '''One.\n\n    Two.'''\n" + "    a = 1\n" * 26
    assert long_functions(long) == ["f has 26 lines"]
    assert (
        long_functions(long.replace("    a = 1\n", "    # why\n\n    a = 1\n", 1).replace("    a = 1\n", "", 1)) == []
    )


@pytest.mark.parametrize("code", [
    "for a in {1, 2}: pass", "for a in set(x): pass", "[a for a in frozenset(x)]", "{a: 1 for a in {b for b in x}}",
    "list(set(x))", "dict.fromkeys({1, 2})", "', '.join({a for a in x})",
])  # fmt: skip
def test_a_set_that_is_iterated_is_noticed(code):
    assert len(list(sets(code))) == 1


@pytest.mark.parametrize("code", ["for a in sorted(set(x)): pass", "if a in {1, 2}: pass", "for a in {1: 2}: pass"])
def test_a_set_that_is_only_looked_into_is_not(code):
    assert list(sets(code)) == []


@pytest.mark.parametrize("code", ["one = 1", "def f(own): ...", "def found(): ...", "x.told", "[made for made in x]"])
def test_a_pronoun_is_noticed(code):
    assert pronouns(code) and pronouns("'one'  # made") == []


def test_a_missing_docstring_is_noticed(monkeypatch):
    monkeypatch.setattr(tg, "bare", lambda x: x, raising=False)
    monkeypatch.setattr(tg, "__all__", [*tg.__all__, "bare"])
    assert undocumented() == ["tg.bare"]
