"""Specs: what is wrong is said in few lines, with the line and the way out; nothing is guessed."""

from pathlib import Path

import pytest
import yaml

from benchproof.errors import BadInput, BenchproofError, MissingInput
from benchproof.schema.spec import RunSpec, SuiteAsk
from benchproof.spec import nearest, parse, read_spec, resolve_suite, suite_names

GOOD = "model: {path: smoke}\nsuite: smoke\n"
TASKS = "model: {path: smoke}\nsuite:\n  tasks:\n"
BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nmodel: *b\n"

# input, exit code, what the message contains
BAD: dict[str, tuple[str | bytes, int, tuple[str, ...]]] = {
    "empty": ("", 2, ("empty",)),
    "only a comment": ("# nothing\n", 2, ("empty",)),
    "not YAML": ("model: {path: smoke\nsuite: [", 2, ("line", "column")),
    "a tab": ("model:\n\tpath: smoke\n", 2, ("line 2", "column 1")),
    "two documents": (GOOD + "---\n" + GOOD, 2, ("not YAML",)),
    "a python tag": ("model: !!python/object/apply:os.system ['true']\nsuite: x\n", 2, ("tag",)),
    "a tag of its own": ("model: !secret x\nsuite: x\n", 2, ("tag", ":1")),
    "a key twice": ("model: {path: smoke}\nsuite: smoke\nsuite: core\n", 2, ("'suite'", "twice", ":3")),
    "a key twice inside": ("model: {path: smoke, path: other}\nsuite: smoke\n", 2, ("'path'", "twice")),
    "an alias bomb": (BOMB, 2, ("alias",)),
    "a merge key": ("x: &x {a: 1}\nmodel:\n  <<: *x\nsuite: x\n", 2, ("alias",)),
    "a list": ("- model\n- suite\n", 2, ("mapping",)),
    "a text": ("smoke\n", 2, ("mapping",)),
    "a key that is no text": ("1: 2\n", 2, ("key 1", "quote")),
    "a date": ("model: {path: smoke, name: 2024-02-30}\nsuite: smoke\n", 2, ("2024-02-30",)),
    "not UTF-8": (b"model: {path: \xff\xfe}\n", 2, ("UTF-8", "byte 14")),
    "nested deeply": ("model: " + "[" * 900_000, 2, ("nested",)),
    "unknown key": (
        TASKS + "    - {task: gsm8k, generation: {tempature: 0.5}}\n",
        2,
        ("'tempature'", "'temperature'", ":4"),
    ),
    "unknown key at the top": (GOOD + "seed: 3\n", 2, ("'seed'", "'seeds'", ":3")),
    "a key of elsewhere": (GOOD + "dtype: float32\n", 2, ("'dtype'", "known here")),
    "limit is a word": (TASKS + "    - {task: gsm8k, limit: ten}\n", 2, ("limit", "integer", "'ten'", ":4")),
    "limit 0": (TASKS + "    - {task: gsm8k, limit: 0}\n", 2, ("limit", "greater")),
    "limit -1": (TASKS + "    - {task: gsm8k, limit: -1}\n", 2, ("limit", "greater")),
    "limit true": (TASKS + "    - {task: gsm8k, limit: true}\n", 2, ("limit", "integer")),
    "limit null": (TASKS + "    - {task: gsm8k, limit: 1.0}\n", 2, ("limit", "integer")),
    "a seed with a point": (GOOD + "seeds: {fewshot: 1.5}\n", 2, ("fewshot", "integer", ":3")),
    "a negative seed": (GOOD + "seeds: {generation: -1}\n", 2, ("generation", "greater")),
    "shots below 0": (TASKS + "    - {task: gsm8k, num_fewshot: -1}\n", 2, ("num_fewshot", "greater")),
    "no tasks": ("model: {path: smoke}\nsuite: {tasks: []}\n", 2, ("tasks",)),
    "unknown engine": (GOOD + "engine: {name: vlm}\n", 2, ("engine.name", "'hf'", "'replay'")),
    "unknown dtype": (GOOD + "engine: {dtype: int4}\n", 2, ("engine.dtype", "bfloat16", "'int4'")),
    "a budget of 0": (GOOD + "engine: {token_budget: 0}\n", 2, ("token_budget",)),
    "an empty stop string": (TASKS + "    - {task: gsm8k, generation: {until: ['']}}\n", 2, ("until", "character")),
    "temperature below 0": (
        TASKS + "    - {task: gsm8k, generation: {temperature: -1}}\n",
        2,
        ("temperature", "greater"),
    ),
    "temperature infinite": (
        TASKS + "    - {task: gsm8k, generation: {temperature: .inf}}\n",
        2,
        ("temperature", "finite"),
    ),
    "temperature no number": (
        TASKS + "    - {task: gsm8k, generation: {temperature: .nan}}\n",
        2,
        ("temperature",),
    ),
    "no model": ("suite: smoke\n", 2, ("`model` is missing",)),
    "no suite": ("model: {path: smoke}\n", 2, ("`suite` is missing",)),
    "a model at two places": ("model: {path: a, repo: b/c}\nsuite: smoke\n", 2, ("exactly one", "`repo`", "`path`")),
    "a model nowhere": ("model: {}\nsuite: smoke\n", 2, ("exactly one",)),
    "the model is a text": ("model: smoke\nsuite: smoke\n", 2, ("model", "mapping")),
    "template settings without a template": (
        "model: {path: smoke, template_kwargs: {a: true}}\nsuite: smoke\n",
        2,
        ("template_kwargs", "chat_template"),
    ),
    "replay without a journal": (GOOD + "engine: {name: replay}\n", 2, ("journal",)),
    "a journal without replay": (GOOD + "engine: {journal: x}\n", 2, ("journal",)),
    "rows without a definition": (TASKS + "    - {task: t, data: 'smoke:x'}\n", 2, ("`like`", "`data`")),
    "margin 0": (GOOD + "reproduce: {margin_points: 0}\n", 2, ("margin_points",)),
    "a publisher without a name": (GOOD + "publisher: {url: x}\n", 2, ("organization",)),
}


def check(error: BenchproofError, exit_code: int, words: tuple[str, ...]) -> None:
    text = str(error)
    assert error.exit_code == exit_code
    assert len(text.splitlines()) <= 5
    assert error.do, "it does not say what to do"
    assert "Traceback" not in text
    assert "pydantic" not in text
    for word in words:
        assert word in text, text


@pytest.mark.parametrize("name", BAD)
def test_a_bad_spec_is_refused_in_few_lines(name: str, tmp_path: Path) -> None:
    content, exit_code, words = BAD[name]
    path = tmp_path / "spec.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BenchproofError) as caught:
        read_spec(path)
    check(caught.value, exit_code, words)
    assert "spec.yaml" in str(caught.value)


def test_a_spec_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingInput) as caught:
        read_spec(tmp_path / "absent.yaml")
    check(caught.value, 3, ("not found", "absent.yaml"))


def test_a_spec_that_is_a_directory(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        read_spec(tmp_path)
    check(caught.value, 2, ("directory",))


def test_a_spec_under_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BenchproofError) as caught:
        read_spec(tmp_path / "file" / "spec.yaml")
    check(caught.value, 3, ("spec.yaml",))


def test_a_spec_with_a_null_byte_in_its_path() -> None:
    with pytest.raises(BadInput) as caught:
        read_spec(Path("a\0b"))
    check(caught.value, 2, ("path",))


def test_a_file_that_is_no_spec_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    with path.open("wb") as file:
        file.truncate(2_000_000)
    with pytest.raises(BadInput) as caught:
        read_spec(path)
    check(caught.value, 2, ("larger",))


# ------------------------------------------------------------------ good specs


def test_a_spec_and_its_very_bytes(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbf# as asked\r\nmodel: {path: smoke}\r\nsuite: smoke\r\n"
    (tmp_path / "s.yaml").write_bytes(data)
    spec, found = read_spec(tmp_path / "s.yaml")
    assert found == data
    assert spec == RunSpec.model_validate({"model": {"path": "smoke"}, "suite": "smoke"})


def test_the_order_of_keys_moves_nothing() -> None:
    one = parse(RunSpec, b"model: {path: smoke, name: x}\nsuite: smoke\nseeds: {fewshot: 1}\n", where="")
    other = parse(RunSpec, b"seeds: {fewshot: 1}\nsuite: smoke\nmodel: {name: x, path: smoke}\n", where="")
    assert one == other


def test_whole_numbers_serve_as_reals_and_words_of_yaml_as_what_they_are() -> None:
    spec = parse(RunSpec, (GOOD + "reproduce: {margin_points: 2}\nengine: {deterministic: no}\n").encode(), where="")
    assert spec.reproduce.margin_points == 2.0
    assert spec.engine.deterministic is False


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[1] / "configs" / "runs").glob("*.yaml")), ids=str)
def test_every_run_that_ships_can_be_read(path: Path) -> None:
    spec, _ = read_spec(path)
    assert resolve_suite(spec.suite)


@pytest.mark.parametrize("name", suite_names())
def test_every_suite_that_ships_can_be_read(name: str) -> None:
    assert resolve_suite(name)


# ---------------------------------------------------------------------- suites


def suite_file(folder: Path, name: str, content: object) -> str:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def test_includes_come_first_in_their_order(tmp_path: Path) -> None:
    a = suite_file(tmp_path, "a", {"tasks": [{"task": "a1"}, {"task": "a2"}]})
    b = suite_file(tmp_path, "b", {"include": [a], "tasks": [{"task": "b1"}]})
    asked = SuiteAsk.model_validate({"include": [b], "tasks": [{"task": "own"}]})
    assert [ask.task for ask in resolve_suite(asked)] == ["a1", "a2", "b1", "own"]


def test_a_suite_that_includes_itself(tmp_path: Path) -> None:
    path = suite_file(tmp_path, "a", {"include": [str(tmp_path / "b.yaml")]})
    suite_file(tmp_path, "b", {"include": [path]})
    with pytest.raises(BadInput) as caught:
        resolve_suite(path)
    check(caught.value, 2, ("includes itself",))


def test_one_task_twice(tmp_path: Path) -> None:
    asked = SuiteAsk.model_validate({"tasks": [{"task": "gsm8k"}, {"task": "gsm8k", "limit": 3}]})
    with pytest.raises(BadInput) as caught:
        resolve_suite(asked)
    check(caught.value, 2, ("'gsm8k'", "twice"))


def test_an_unknown_suite_names_the_nearest_and_all_others() -> None:
    with pytest.raises(BadInput) as caught:
        resolve_suite("smok")
    check(caught.value, 2, ("'smok'", "did you mean 'smoke'?", "mmlu", "core"))


def test_a_suite_file_that_is_not_there() -> None:
    with pytest.raises(MissingInput) as caught:
        resolve_suite("./absent.yaml")
    check(caught.value, 3, ("suite", "not found"))


def test_a_wrong_suite_file_names_its_own_line(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("about: x\ntasks:\n  - task: gsm8k\n    limt: 3\n")
    with pytest.raises(BadInput) as caught:
        resolve_suite(str(path))
    check(caught.value, 2, ("'limt'", "'limit'", "s.yaml:4"))


def test_the_nearest_word() -> None:
    assert nearest("tempature", ["top_p", "temperature"]) == ", did you mean 'temperature'?"
    assert nearest("zzz", ["top_p", "temperature"]) == ""
