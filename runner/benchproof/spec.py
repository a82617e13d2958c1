"""A spec file -> RunSpec: strict YAML, and errors that name the line and the nearest known word."""

import difflib
import importlib.resources
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from benchproof.errors import BadInput, MissingInput
from benchproof.schema.spec import RunSpec, SuiteAsk, TaskAsk

MAX_SPEC_BYTES = 1_000_000
MAX_DEPTH = 50
Asked = TypeVar("Asked", bound=BaseModel)
Lines = dict[tuple[str | int, ...], int]  # path in the document -> line, counted from 1


def read_spec(path: Path) -> tuple[RunSpec, bytes]:
    """The spec in a file, and the file's bytes. Raises BadInput (2) or MissingInput (3)."""
    data = _read(path, "spec")
    return parse(RunSpec, data, where=str(path)), data


def resolve_suite(suite: str | SuiteAsk) -> tuple[TaskAsk, ...]:
    """The tasks of a suite, its includes first, in their order.

    A name is one of configs/suites; a path ends in .yaml or holds a slash.
    Raises BadInput for an unknown name, an include cycle, or a task named twice.
    """
    tasks = _expand(suite, ())
    seen: set[str] = set()
    for ask in tasks:
        if ask.task in seen:
            raise BadInput(
                f"task {ask.task!r} is named twice",
                where="suite",
                do="name it once: two settings of one task need two runs",
            )
        seen.add(ask.task)
    return tasks


def suite_names() -> list[str]:
    """Names of the suites that ship with benchproof, sorted."""
    return sorted(Path(entry.name).stem for entry in configs("suites").iterdir() if entry.name.endswith(".yaml"))


def configs(kind: str) -> Any:
    """The folder configs/<kind>: in the wheel it lies in the package, in a checkout beside runner/."""
    packaged = importlib.resources.files("benchproof") / "configs" / kind
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "configs" / kind


def parse(kind: type[Asked], data: bytes, *, where: str) -> Asked:
    """Strict YAML bytes as a frozen model. Raises BadInput naming the line and what to do."""
    value, lines = _load_yaml(data, where)
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise _bad_field(kind, error, value, lines, where) from error


def nearest(word: str, known: Sequence[str]) -> str:
    """', did you mean X?' or nothing."""
    match = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f", did you mean {match[0]!r}?" if match else ""


def _expand(suite: str | SuiteAsk, above: tuple[str, ...]) -> tuple[TaskAsk, ...]:
    if isinstance(suite, str):
        if suite in above:
            raise BadInput(f"suite {suite!r} includes itself", where=" -> ".join(above), do="break the circle")
        above = (*above, suite)
        suite = _read_suite(suite)
    included = [task for name in suite.include for task in _expand(name, above)]
    return (*included, *suite.tasks)


def _read_suite(name: str) -> SuiteAsk:
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return parse(SuiteAsk, _read(Path(name), "suite"), where=name)
    source = configs("suites") / f"{name}.yaml"
    if not source.is_file():
        known = suite_names()
        raise BadInput(
            f"unknown suite {name!r}{nearest(name, known)}",
            where="suite",
            do=f"choose one of {', '.join(known)}, or give a path to a suite file",
        )
    return parse(SuiteAsk, source.read_bytes(), where=f"suite {name}")


def _read(path: Path, noun: str) -> bytes:
    try:
        if path.is_dir():
            raise BadInput(f"the {noun} is a directory", where=str(path), do="give the YAML file inside it")
        if path.stat().st_size > MAX_SPEC_BYTES:
            raise BadInput(f"the {noun} is larger than {MAX_SPEC_BYTES} bytes", where=str(path), do="give a YAML file")
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingInput(
            f"{noun} file not found", where=str(path), do="check the path, or write one with `benchproof init`"
        ) from error
    except PermissionError as error:
        raise MissingInput(f"the {noun} may not be read", where=str(path), do="make it readable for you") from error
    except OSError as error:
        raise MissingInput(
            f"the {noun} cannot be read: {error.strerror}", where=str(path), do="check the path"
        ) from error
    except ValueError as error:  # a null byte in the path
        raise BadInput(f"not a usable path: {error}", where=repr(path), do="check the path") from error
    return data


def _load_yaml(data: bytes, where: str) -> tuple[Any, Lines]:
    """YAML as plain values, with the line of each. No aliases, no tags, no key twice."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"not UTF-8 at byte {error.start}", where=where, do="save the file as UTF-8 text") from error
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:  # far deeper takes PyYAML minutes to refuse
                raise BadInput(f"not YAML of ours: nested deeper than {MAX_DEPTH}", where=where, do="mend the brackets")
            if isinstance(event, yaml.AliasEvent):
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise BadInput(f"YAML alias *{event.anchor} is not allowed", where=f"{where}:{line}", do="write it out")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        at = f"{where}: line {mark.line + 1}, column {mark.column + 1}" if mark else where
        raise BadInput(
            f"not YAML: {getattr(error, 'problem', None) or 'nested too deeply'}", where=at, do="mend that line"
        ) from error
    if root is None:
        raise BadInput("the file is empty", where=where, do="write one with `benchproof init MODEL`")
    if not isinstance(root, yaml.MappingNode):
        raise BadInput("the top level must be a mapping", where=f"{where}:1", do="start with `model:`")
    lines: Lines = {}
    return _value(root, (), lines, where), lines


def _value(node: yaml.Node, path: tuple[str | int, ...], lines: Lines, where: str) -> Any:
    lines[path] = line = node.start_mark.line + 1
    if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.startswith("tag:yaml.org,2002:python"):
        raise BadInput(f"YAML tag {node.tag} is not allowed", where=f"{where}:{line}", do="write a plain value")
    if isinstance(node, yaml.MappingNode):
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = _value(key_node, (*path, "(key)"), lines, where)
            if not isinstance(key, str):
                raise BadInput(
                    f"key {key!r} is not text",
                    where=f"{where}:{key_node.start_mark.line + 1}",
                    do="quote it",
                )
            if key in found:
                raise BadInput(
                    f"key {key!r} stands twice", where=f"{where}:{key_node.start_mark.line + 1}", do="keep one"
                )
            found[key] = _value(value_node, (*path, key), lines, where)
            lines[(*path, key)] = key_node.start_mark.line + 1
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, i), lines, where) for i, item in enumerate(node.value)]
    try:
        return yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError) as error:
        raise BadInput(f"{node.value!r} cannot be read", where=f"{where}:{line}", do="write a plain value") from error


def _bad_field(kind: type[BaseModel], error: ValidationError, value: Any, lines: Lines, where: str) -> BadInput:
    """One error, the most telling one, as a sentence about the field."""
    # A union reports each of its branches: drop the branch names from paths and prefer the deepest error.
    found = max(error.errors(), key=lambda e: _telling(e, value))
    path = _real_path(found, value)
    field = ".".join(str(part) for part in path) or "the spec"
    line = next((lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in lines), 1)
    at = f"{where}:{line}"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    match found["type"]:
        case "extra_forbidden":
            key = str(path[-1])
            known = _keys_at(kind, path[:-1])
            home = _home_of(key, RunSpec)
            hint = nearest(key, known) or (
                f": it belongs under `{home}`" if home else nearest(key, sorted(_all_keys(RunSpec)))
            )
            return BadInput(
                f"unknown key {key!r} in {'.'.join(map(str, path[:-1])) or 'the spec'}{hint}",
                where=at,
                do=f"known here: {', '.join(known)}",
            )
        case "missing":
            return BadInput(f"`{field}` is missing", where=at, do=f"add `{path[-1]}:`")
        case "int_type":
            wanted = "an integer"
        case "value_error":
            return BadInput(found["msg"].removeprefix("Value error, "), where=f"{at} ({field})", do=f"mend `{field}`")
        case _:
            wanted = found["msg"].removeprefix("Input should be ").removeprefix("a valid ")
            wanted = wanted.replace("String should have", "text of")
            wanted = "a mapping" if found["type"] == "model_type" else wanted
    got = "" if isinstance(found["input"], dict | list) else f", not {found['input']!r}"
    return BadInput(f"`{field}` should be {wanted}{got}{more}", where=at, do=f"mend `{field}`")


def _telling(error: Any, value: Any) -> tuple[int, bool, bool]:
    """Sort key: the deepest error says most, then an unknown key, then anything but a union's text branch."""
    return len(_real_path(error, value)), error["type"] == "extra_forbidden", error["type"] != "string_type"


def _real_path(error: Any, value: Any) -> tuple[str | int, ...]:
    """Where pydantic found the error, without its names of union branches."""
    loc: tuple[str | int, ...] = error["loc"]
    path: list[str | int] = []
    for index, part in enumerate(loc):
        last = index == len(loc) - 1
        inside = (isinstance(value, dict) and part in value) or (isinstance(value, list) and isinstance(part, int))
        if inside:
            path.append(part)
            value = value[part]
        elif last and error["type"] == "missing":
            path.append(part)
    return tuple(path)


def _keys_at(kind: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """Names of the fields that a model has at a path; [] where the path leads to no model."""
    for part in path:
        if isinstance(part, int):
            continue
        annotation = kind.model_fields[part].annotation if part in kind.model_fields else None
        nested = list(_models_in(annotation))
        if not nested:
            return []
        kind = nested[0]
    return sorted(kind.model_fields)


def _home_of(key: str, kind: type[BaseModel], path: str = "") -> str | None:
    """The dotted place of a field that is known elsewhere in a spec, or None."""
    for name, field in kind.model_fields.items():
        for nested in _models_in(field.annotation):
            here = f"{path}.{name}" if path else name
            if key in nested.model_fields:
                return here
            if found := _home_of(key, nested, here):
                return found
    return None


def _all_keys(kind: type[BaseModel]) -> set[str]:
    nested = [model for field in kind.model_fields.values() for model in _models_in(field.annotation)]
    return set(kind.model_fields).union(*(_all_keys(model) for model in nested))


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for item in getattr(annotation, "__args__", ()) for model in _models_in(item)]
