"""docs/ops.md is written from the declarations.  Run this file to write it anew."""

from __future__ import annotations

import sys
from pathlib import Path

import tinygrad_rnn as tg
from tinygrad_rnn.engine.op import COMPOSITES, OPS, Op

PAGE = Path(__file__).resolve().parents[2] / "docs" / "ops.md"
HEAD = """# Operations

Written from the declarations by `python tests/ops/test_ops_docs.py`. *Shape* is the rule that errors are made from.
*Keeps* is what each gradient rule asks to be kept between forward and backward: nothing else is.

| operation | what it is | shape | drawn as | keeps |
|---|---|---|---|---|
"""
COMPOSED = """
## Written in these

They have no gradient rules of their own.

| function | what it is |
|---|---|
"""


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def first_line(doc: str | None) -> str:
    return cell((doc or "").strip().split("\n")[0])


def shape_rule(spec: Op) -> str:
    """The words of the rule, or what its docstring says."""
    if spec.shape is None:
        return ""
    return first_line(spec.shape.__doc__).rstrip(".").split(":")[0]


def keeps(spec: Op) -> str:
    rules = [f"d{argument}: {', '.join(rule.names) or 'nothing'}" for argument, rule in spec.rules.items()]
    return "; ".join(rules)


def signature(spec: Op) -> str:
    arrays = "*" * spec.variadic + ", ".join(spec.arguments)
    return f"`{spec.name}({', '.join([arrays, *(f'{name}=' for name in spec.attributes)])})`"


def ops_table() -> str:
    rows = [
        f"| {signature(spec)} | {first_line(spec.doc)} | {shape_rule(spec)} | {cell(spec.symbol)} | {keeps(spec)} |"
        for name, spec in OPS.items()
        if name in tg.ops.__all__
    ]
    composed = [f"| `{name}` | {first_line(one.function.__doc__)} |" for name, one in COMPOSITES.items()]
    return HEAD + "\n".join(rows) + "\n" + COMPOSED + "\n".join(composed) + "\n"


def test_the_page_says_what_the_declarations_say():
    assert PAGE.read_text(encoding="utf-8") == ops_table(), f"run python {Path(__file__).name}"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(ops_table(), encoding="utf-8")
    print(f"{PAGE}: {len(OPS)} operations", file=sys.stderr)
