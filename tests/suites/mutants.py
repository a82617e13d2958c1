"""Wrong versions of a program, made by rule: one change of its syntax tree each, drawn by a seed.

They are made from whatever canonical solutions the data file holds, so no benchmark text is in this repository.
"""

import ast
import copy
import random
from collections.abc import Callable, Iterator

SWAPS: dict[type, list[type]] = {
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Add],
    ast.Div: [ast.FloorDiv, ast.Mult],
    ast.FloorDiv: [ast.Div],
    ast.Mod: [ast.FloorDiv],
    ast.And: [ast.Or],
    ast.Or: [ast.And],
}


def mutants(source: str, entry_point: str, count: int, seed: str) -> list[tuple[str, str]]:
    """Up to `count` (kind of change, program), all different from the source and from each other."""
    tree = ast.parse(source)
    changes = list(_changes(tree, entry_point))
    random.Random(seed).shuffle(changes)
    plain = ast.unparse(tree)
    found: dict[str, str] = {}
    for kind, change in changes:
        changed = copy.deepcopy(tree)
        change(list(ast.walk(changed)))
        try:
            text = ast.unparse(ast.fix_missing_locations(changed))
            compile(text, "mutant", "exec")
        except (SyntaxError, ValueError, TypeError):
            continue
        if text != plain:
            found.setdefault(text, kind)
        if len(found) == count:
            break
    return [(kind, text) for text, kind in found.items()]


Change = Callable[[list[ast.AST]], None]


def _changes(tree: ast.Module, entry_point: str) -> Iterator[tuple[str, Change]]:
    """Every change there is; each finds its node again by its place in `ast.walk`."""
    for place, node in enumerate(ast.walk(tree)):
        if isinstance(node, ast.Compare):
            for new in SWAPS.get(type(node.ops[0]), []):
                yield "compare", _operator(place, "ops", new)
        elif isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign):
            for new in SWAPS.get(type(node.op), []):
                yield "operator", _operator(place, "op", new)
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
            for step in (1, -1):
                yield "constant", _constant(place, node.value + step)  # type: ignore[operator]  # a number, as tested
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 20:
            yield "text", _constant(place, node.value + "x")
        elif isinstance(node, ast.If | ast.While):
            yield "branch never", _test(place, "False")
            if isinstance(node, ast.If):
                yield "branch always", _test(place, "True")
        elif isinstance(node, ast.Return) and node.value is not None:
            yield "returns nothing", _return(place, "None")
            yield "returns a float", _return(place, "float({})")
            yield "returns a list", _return(place, "[{}]")
            yield "returns it again", _return(place, "{0} or {0}")
        if isinstance(node, ast.FunctionDef) and node.name == entry_point:
            yield "raises", _body(place, "raise ValueError('mutant')")
            yield "exits", _body(place, "raise SystemExit(0)")
            yield "loops", _body(place, "while True: pass")
            yield (
                "recurses",
                _body(place, f"return {entry_point}(*{[a.arg for a in node.args.args]!r})".replace("'", "")),
            )
            yield "prints", _body(place, "print('mutant')")


def _operator(place: int, field: str, new: type) -> Change:
    def change(nodes: list[ast.AST]) -> None:
        setattr(nodes[place], field, [new()] if field == "ops" else new())

    return change


def _constant(place: int, value: object) -> Change:
    def change(nodes: list[ast.AST]) -> None:
        nodes[place].value = value  # type: ignore[attr-defined]

    return change


def _test(place: int, text: str) -> Change:
    def change(nodes: list[ast.AST]) -> None:
        nodes[place].test = ast.parse(text, mode="eval").body  # type: ignore[attr-defined]

    return change


def _return(place: int, form: str) -> Change:
    def change(nodes: list[ast.AST]) -> None:
        node = nodes[place]
        assert isinstance(node, ast.Return) and node.value is not None
        node.value = ast.parse(form.format(f"({ast.unparse(node.value)})"), mode="eval").body

    return change


def _body(place: int, text: str) -> Change:
    def change(nodes: list[ast.AST]) -> None:
        node = nodes[place]
        assert isinstance(node, ast.FunctionDef)
        node.body = [*ast.parse(text).body, *node.body]

    return change
