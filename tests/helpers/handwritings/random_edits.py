"""Random single edits of the syntax tree of a backward: an operand, an operator, a constant, a transpose, a variable."""

import ast
import copy
import random

OTHERS = {"np", "range", "len", "reversed", "enumerate", "zip", "self", "sigmoid", "step_back"}
OPERATORS = [ast.Add, ast.Sub, ast.Mult, ast.Div]


def random_edit(text, rng):
    """The text with one random edit of an expression in a function with "back" or "loss" in its name, and its line."""
    tree = ast.parse(text)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
                 and any(word in node.name.lower() for word in ("back", "loss"))]  # fmt: skip
    function = rng.choice(functions)
    nodes = [node for node in ast.walk(function)
             if isinstance(node, (ast.BinOp, ast.Name, ast.Constant, ast.Attribute))
             and isinstance(getattr(node, "ctx", ast.Load()), ast.Load)]  # fmt: skip
    node = rng.choice(nodes)
    old = ast.unparse(node)
    new = copy.deepcopy(node)
    if isinstance(node, ast.BinOp):
        choice = rng.randrange(3)
        if choice == 0:
            new.op = rng.choice(OPERATORS)()
        else:
            new = new.left if choice == 1 else new.right
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        new.value += rng.choice([-1, 1])
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        new = new.value
    elif isinstance(node, ast.Name):
        names = sorted({other.id for other in nodes if isinstance(other, ast.Name)} - OTHERS)
        new.id = rng.choice(names)
    else:
        return None
    written = ast.unparse(new)
    if written == old:
        return None
    lines = text.split("\n")
    if node.lineno != node.end_lineno:
        return None
    row = lines[node.lineno - 1]
    lines[node.lineno - 1] = f"{row[: node.col_offset]}{written}{row[node.end_col_offset :]}"
    return "\n".join(lines), node.lineno


def random_cases(handwriting, count, seed=0):
    """Distinct edits of a handwriting: ("random", the text, the line)."""
    rng, texts, number = random.Random(seed), {}, 0
    while len(texts) < count and number < 20 * count:
        number += 1
        edit = random_edit(handwriting.text, rng)
        if edit is not None and edit[0] not in texts:
            texts[edit[0]] = edit[1]
    return [("random", text, line) for text, line in texts.items()]
