"""Data file, expected answers, controls, samples files, and `score-code`, on a data file of our own."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchproof.cli.app import app, main
from benchproof.cli.score_code import register
from benchproof.errors import BadInput, MachineError, MissingInput, VerificationFailed
from benchproof.sandbox.supervisor import Sandbox
from benchproof.schema.execution import Execution, Judge, Outcome
from benchproof.suites import humaneval_data, humaneval_marking
from benchproof.suites.humaneval_data import official_problems, parse_problems, read_problems
from benchproof.suites.humaneval_expected import Reference, expected_answers
from benchproof.suites.humaneval_marking import AS_IS, CORRECTED, Marked, Marker, Program, Verdict
from benchproof.suites.humaneval_samples import pass_at_k, read_samples


def a_row(task_id: str, name: str, body: str, inputs: list[list[Any]], **more: Any) -> dict[str, Any]:
    head = f"def {name}({', '.join('xyz'[: len(inputs[0])])}):\n"
    row = {"task_id": task_id, "prompt": head, "entry_point": name, "canonical_solution": f"    {body}\n", "atol": 0}
    return row | {"base_input": inputs[:1], "plus_input": inputs[1:], "contract": ""} | more


ROWS = [
    a_row("Own/0", "add", "return x + y", [[1, 2], [3, 4], [0.5, 0.25]]),
    a_row("Own/1", "many", "return list(range(x))", [[3], [10_000], [20_000]]),
    a_row("Own/2", "find_zero", "return -x[0] / x[1]", [[[1, 2]], [[3, 4]]], atol=1e-4),
]
RIGHT = {row["task_id"]: row["prompt"] + row["canonical_solution"] for row in ROWS}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCHPROOF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    return path


def mark(data: Path, sandbox: Sandbox, sources: list[tuple[str, str]], **more: Any) -> list[Marked]:
    marker = Marker(read_problems(data), sandbox, **more)
    return list(marker.mark([Program(task_id, n, source) for n, (task_id, source) in enumerate(sources)]))


def test_right_programs_pass_and_find_zero_fails_as_is(data: Path, sandbox: Sandbox) -> None:
    found = mark(data, sandbox, list(RIGHT.items()))
    assert [m.passed("plus", CORRECTED) for m in found] == [True, True, True]
    assert [m.passed("plus", AS_IS) for m in found] == [True, True, False]
    assert found[2].status("base", AS_IS) == "fail"


# Mutant: plus counted without base.
def test_plus_asks_for_the_base_inputs_too(data: Path, sandbox: Sandbox) -> None:
    (found,) = mark(data, sandbox, [("Own/0", "def add(x, y):\n    return x + y if x != 1 else 0\n")])
    assert (found.status("base", AS_IS), found.status("plus", AS_IS)) == ("fail", "pass")
    assert not found.passed("plus", AS_IS)
    assert (found.base.failed, found.base.reason) == ((0,), "input 0: wrong answer")


@pytest.mark.parametrize(
    ("source", "status", "reason"),
    [
        ("def add(x, y)", "fail", "import_failed SyntaxError"),
        ("import os\nos._exit(0)", "timeout", "input 0: died exit 0 before the end"),
        ("def add(x, y):\n    raise KeyError", "fail", "input 0: raised KeyError"),
        ("def add(x, y):\n    while True: pass", "fail", "input 0: timeout"),
    ],
)
def test_how_a_program_fails_is_said(data: Path, sandbox: Sandbox, source: str, status: str, reason: str) -> None:
    (found,) = mark(data, sandbox, [("Own/0", source)])
    assert (found.base.status, found.base.reason) == (status, reason)


# Mutant: a digest that differs taken for a wrong answer.
def test_a_large_answer_in_another_form_is_seen_whole(data: Path, sandbox: Sandbox) -> None:
    right = "def many(x):\n    return [float(i) for i in range(x)]\n"
    wrong = "def many(x):\n    return [float(i) for i in range(x)][:-1] + [0.5]\n"
    first, second = mark(data, sandbox, [("Own/1", right), ("Own/1", wrong)])
    assert first.plus.status == "pass"
    assert (second.base.status, second.plus.status, second.plus.failed) == ("fail", "fail", (0,))


def test_every_failing_input_is_named_where_that_is_asked(data: Path, sandbox: Sandbox) -> None:
    source = "def many(x):\n    return [x]\n"
    (found,) = mark(data, sandbox, [("Own/1", source)], every=True)
    assert (found.base.failed, found.plus.failed) == ((0,), (0, 1))


# Mutant: each sample run for itself.
def test_equal_programs_run_once(data: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    real = Sandbox.run

    def run(self: Sandbox, executions: list[Execution], judge: Any) -> Iterator[tuple[int, Outcome]]:
        ran.extend(execution.source for execution in executions)
        yield from real(self, executions, judge)

    monkeypatch.setattr(Sandbox, "run", run)
    wrong = "def add(x, y):\n    return 0\n"
    counted: list[int] = []
    marker = Marker(read_problems(data), sandbox)
    programs = [Program("Own/0", n, source) for n, source in enumerate([wrong, RIGHT["Own/0"], wrong, wrong])]
    found = list(marker.mark(programs, counted.append))
    assert ran.count(wrong) == 2  # base and plus
    assert [m.passed("base", AS_IS) for m in found] == [False, True, False, False]
    assert sum(counted) == 4


def test_a_batch_whose_controls_fail_has_no_verdicts(
    data: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    lying = [("right", "pass", "def add(x, y):\n    return 0\n")]
    monkeypatch.setattr(humaneval_marking, "CONTROLS", lying)
    with pytest.raises(MachineError, match="`right` must be pass"):
        mark(data, sandbox, list(RIGHT.items()))


# ----------------------------------------------------------------- expected answers


def test_expected_answers_are_computed_once_and_a_damaged_cache_is_mended(
    sandbox: Sandbox, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = parse_problems(json.dumps(ROWS[1]).encode(), "here").by_id["Own/1"]
    wanted = {"one": Reference(problem.canonical, problem.entry_point, problem.plus)}
    first = expected_answers(wanted, sandbox)
    assert [answer.encoded for answer in first["one"].answers] == [None, None]

    def refuse(self: Sandbox, executions: list[Execution], judge: Any) -> Iterator[tuple[int, Outcome]]:
        assert not executions, "computed again"
        yield from ()

    with monkeypatch.context() as patch:
        patch.setattr(Sandbox, "run", refuse)
        assert expected_answers(wanted, sandbox) == first
    (kept,) = [path for path in cache.rglob("*.json") if "expected" in path.parts]
    kept.write_bytes(kept.read_bytes().replace(b"false", b"true ", 1))
    again = expected_answers(wanted, sandbox)
    assert [a.marshal_sha256 for a in again["one"].answers] == [a.marshal_sha256 for a in first["one"].answers]
    assert not again["one"].answers[0].floats


def test_a_canonical_solution_that_does_not_run_is_an_error(tmp_path: Path, sandbox: Sandbox) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps(a_row("Own/9", "f", "return 1 / 0", [[1], [2]])), "utf-8")
    with pytest.raises(MachineError, match="canonical"):
        mark(path, sandbox, [("Own/9", "def f(x): return 1")])


def test_expected_values_never_enter_the_sandbox(data: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent for a candidate: its source, its name, its inputs and limits. 7 is an answer and no input."""
    problems = read_problems(data)
    Marker(problems, sandbox).prepare(["Own/0"])
    sent: list[Execution] = []
    real = Sandbox._attempt

    def attempt(self: Sandbox, lane: int, execution: Execution, judge: Judge) -> Outcome:
        sent.append(execution)
        return real(self, lane, execution, judge)

    monkeypatch.setattr(Sandbox, "_attempt", attempt)
    mark(data, sandbox, [("Own/0", "def add(x, y): return None")])
    assert sent
    assert all("7" not in execution.inputs.text and "x + y" not in execution.source for execution in sent)


# ------------------------------------------------------------------------- data file


def test_a_data_file_may_be_zipped_and_is_known_by_its_lines(data: Path, tmp_path: Path) -> None:
    zipped = tmp_path / "own.jsonl.gz"
    zipped.write_bytes(gzip.compress(data.read_bytes()))
    assert read_problems(zipped).sha256 == read_problems(data).sha256
    assert not read_problems(data).official


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no problems"),
        (b"{", "not a HumanEval"),
        (b'{"task_id": "a"}', "prompt"),
        (b"\x1f\x8bnonsense", "gzip"),
        (json.dumps(ROWS[0]).encode() + b"\n" + json.dumps(ROWS[0]).encode(), "twice"),
        (json.dumps(ROWS[0] | {"plus_input": [3]}).encode(), "list of arguments"),
        (json.dumps(ROWS[0] | {"atol": "0"}).encode(), "atol"),
    ],
)
def test_a_damaged_data_file_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(content)
    with pytest.raises(VerificationFailed, match=words):
        read_problems(path)


def test_another_file_in_place_of_the_release_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VerificationFailed, match="pinned"):
        official_problems(data)
    with pytest.raises(MissingInput):
        read_problems(data.with_name("absent"))
    monkeypatch.setattr(humaneval_data, "URL", "http://127.0.0.1:9/nothing")
    with pytest.raises(MissingInput, match="cannot be fetched"):
        official_problems()


# ------------------------------------------------------------------------- samples


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "not JSON"),
        ("[]", "task_id"),
        ('{"task_id": "Own/7", "solution": ""}', "Own/7"),
        ('{"task_id": "Own/0"}', "neither"),
        ('{"task_id": "Own/0", "solution": 3}', "neither"),
        ("", "no samples"),
    ],
)
def test_a_samples_file_that_cannot_be_used_is_refused(line: str, words: str, data: Path, tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text(line, "utf-8")
    with pytest.raises(BadInput, match=words):
        read_samples(path, read_problems(data))


def test_a_completion_goes_on_after_the_prompt(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text('{"task_id": "Own/0", "completion": "    return 1"}\n\n', "utf-8")
    assert read_samples(path, read_problems(data)) == [Program("Own/0", 0, "def add(x, y):\n    return 1")]


def test_pass_at_k_is_given_for_the_k_that_every_problem_has_samples_for() -> None:
    def one(task_id: str, number: int, right: bool) -> Marked:
        verdict = Verdict("pass" if right else "fail")
        return Marked(Program(task_id, number, ""), verdict, verdict, find_zero=False)

    marked = [one("a", n, n < 1) for n in range(10)] + [one("b", n, n < 10) for n in range(12)]
    scores = pass_at_k(marked)["base"][AS_IS]
    assert scores == {"pass@1": pytest.approx((0.1 + 10 / 12) / 2), "pass@10": pytest.approx(1.0)}


def test_score_code_scores_what_is_there_and_says_what_is_not(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], sandbox: Sandbox
) -> None:
    if not any(command.name == "score-code" for command in app.registered_commands):
        register(app)
    path = tmp_path / "samples.jsonl"
    rows = [{"task_id": "Own/0", "solution": RIGHT["Own/0"]}, {"task_id": "Own/1", "completion": "    return 1"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    words = ["score-code", str(path), "--data", str(data), "--sandbox", sandbox.tier, "--workers", "1"]
    assert main([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["scores"]["plus"][AS_IS] == {"pass@1": 0.5}
    assert (document["complete"], document["missing"], document["problems_scored"]) == (False, ["Own/2"], 2)
    assert document["rows"][1]["base"]["failed_inputs"] == [[3]]
    assert document["sandbox"]["tier"] == sandbox.tier
    assert document["sandbox"]["probes"]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "PARTIAL" in text
    assert "not the official" in text
    assert main(["score-code", str(path), "--data", str(data), "--sandbox", "none"]) == 0
    assert "SANDBOX: NONE" in capsys.readouterr().out
    assert main(["score-code", str(path), "--data", str(data), "--sandbox", "docker"]) == 2
