"""verify tells every check; what is not at hand is said, and no file, however made, ends in a traceback."""

import json
import os
import re
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from benchproof.errors import BenchproofError, Interrupted, MissingInput
from benchproof.store.journal import MAGIC
from benchproof.verify import CHECKS, Verification, verify
from fakes.counting import StopAt
from fakes.honest import HonestEngine, HonestHarness, honest_run
from fakes.world import table_run, table_spec
from tamper import forge
from tamper.forge import in_record

GOLDEN = Path(__file__).parent / "golden"
RUNS = sorted(path for path in GOLDEN.iterdir() if path.is_dir())
PAGE = Path(__file__).parents[1] / "docs" / "verify.md"
SAMPLES, REQUESTS = "samples/mini_gsm8k.jsonl.zst", "requests/mini_gsm8k.jsonl.zst"
JOURNAL = "journal/shard-000-of-001.attempt-0.journal"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / "v1", tmp_path / "run"))


def result_of(found: Verification, name: str) -> str:
    return next(check.result for check in found.checks if check.name == name)


@pytest.mark.parametrize("folder", RUNS, ids=lambda path: path.name)
def test_every_golden_run_verifies(folder: Path) -> None:
    found = verify(folder)
    assert {check.result for check in found.checks} == {"ok"}, found
    assert found.exit_code == 0
    assert verify(folder / "record.json").checks == found.checks


def test_a_smoke_run_verifies(smoke_run: Path) -> None:
    """Groups, categories, a sandbox with its probes, texts and choices: a real one of each."""
    assert {check.result for check in verify(smoke_run).checks} == {"ok"}


def test_a_run_with_adopted_answers_verifies(tmp_path: Path) -> None:
    record, folder = honest_run(tmp_path / "run", tasks=("choose_a", "write"))
    assert verify(folder).exit_code == 0
    spec = table_spec({"task": "choose_a"}, {"task": "write"}, engine={"token_budget": 32})
    adopted, other = table_run(
        tmp_path / "other", HonestEngine(token_budget=32), HonestHarness(), spec=spec, adopt_from=folder
    )
    assert adopted.plan_id != record.plan_id and adopted.observed.attempts[0].adopted_from is not None
    assert verify(other).named("failed") == []


def test_a_record_alone_is_verified_as_far_as_it_goes(run: Path, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    shutil.copy(run / "record.json", tmp_path / "alone" / "scores.json")
    found = verify(tmp_path / "alone" / "scores.json")
    assert found.exit_code == 0 and found.named("failed") == []
    assert {"record-id", "plan-id", "ids", "groups", "warnings"} <= set(found.named("ok"))
    assert {"files", "journal-chain", "answers-digest", "request-hashes", "aggregates"} <= set(
        found.named("not checked")
    )
    assert all("at hand" in check.detail for check in found.checks if check.result == "not checked")


@pytest.mark.parametrize(
    ("part", "gone", "kept"),
    [
        ("journal", {"journal-chain", "answers", "row-answers"}, {"aggregates", "request-hashes", "row-requests"}),
        ("samples", {"rows", "aggregates", "picks"}, {"answers-digest", "request-hashes", "tokens"}),
        ("requests", {"docs", "request-hashes", "answers-digest"}, {"journal-chain", "aggregates", "row-answers"}),
        ("plan.json", {"plan-file"}, {"plan-id", "spec-file"}),
        ("spec.yaml", {"spec-file"}, {"plan-file"}),
    ],
)
def test_a_part_that_is_away_is_told_and_the_rest_is_checked(
    part: str, gone: set[str], kept: set[str], run: Path
) -> None:
    shutil.rmtree(run / part) if (run / part).is_dir() else (run / part).unlink()
    found = verify(run)
    assert found.exit_code == 0
    assert gone <= set(found.named("not checked")) and kept <= set(found.named("ok"))
    assert part in next(check.detail for check in found.checks if check.name == "present")


def test_a_fault_is_told_once_and_what_hangs_on_it_is_not_checked(run: Path) -> None:
    forge.in_bytes(lambda data: data[:1500] + b"\0" + data[1501:], JOURNAL)(run)
    found = verify(run)
    assert found.named("failed") == ["journal-chain"]
    assert {"journal-heads", "answers", "row-answers"} <= set(found.named("not checked"))
    assert {"request-hashes", "aggregates"} <= set(found.named("ok"))


def test_a_score_that_only_the_harness_can_aggregate_is_named(tmp_path: Path) -> None:
    folder = honest_run(tmp_path / "run", tasks=("choose_a",))[1]
    median = [{"metric": "acc", "aggregation": "median"}]
    forge.in_plan(lambda plan: plan["mark"]["tasks"][0]["config"].update(metric_list=median))(folder)
    found = verify(folder)
    assert found.exit_code == 0 and found.named("not checked") == ["other-aggregates"]
    assert "acc of choose_a" in next(check.detail for check in found.checks if check.name == "other-aggregates")


def test_no_record_is_3_and_no_json_is_1_with_the_offset(run: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingInput) as caught:
        verify(tmp_path / "nothing")
    assert caught.value.exit_code == 3
    (run / "record.json").write_bytes(b'{"schema": oops}')
    found = verify(run)
    assert found.exit_code == 1
    assert "char 11" in found.checks[0].detail


def test_the_page_lists_the_checks_in_their_order() -> None:
    assert re.findall(r"^\| `([\w-]+)` \|", PAGE.read_text("utf-8"), re.MULTILINE) == [name for name, _ in CHECKS]


def lines(*rows: bytes) -> Callable[[bytes], bytes]:
    return lambda data: zstandard.compress(b"".join(row + b"\n" for row in rows))


def first_row(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def edit(data: bytes) -> bytes:
        plain = zstandard.ZstdDecompressor().decompressobj().decompress(data)
        assert old in plain
        return zstandard.compress(plain.replace(old, new, 1))

    return edit


HOSTILE: list[tuple[str, str, Callable[[bytes], bytes], str]] = [
    ("garbage", SAMPLES, lambda data: b"not zstd at all", "rows"),
    ("nothing", SAMPLES, lambda data: b"", "rows"),
    ("half a file", SAMPLES, lambda data: data[: len(data) // 2], "rows"),
    ("a bomb in one line", SAMPLES, lambda data: zstandard.compress(bytes(200 << 20)), "rows"),
    ("a bomb of many lines", SAMPLES, lambda data: zstandard.compress(b"[]\n" * (40 << 20)), "rows"),
    ("a huge window", SAMPLES, lambda data: b"\x28\xb5\x2f\xfd\x00\xf8\x00\x00", "rows"),
    ("a deep row", REQUESTS, lines(b"[" * 100_000), "docs"),
    ("a deep doc", REQUESTS, first_row(b'"doc":{', b'"doc":{"x":' + b"[" * 80 + b"]" * 80 + b","), "docs"),
    ("a key twice", SAMPLES, first_row(b'"doc_id":0', b'"doc_id":0,"doc_id":0'), "rows"),
    ("NaN", SAMPLES, first_row(b'"doc_id":0', b'"doc_id":NaN'), "rows"),
    ("no UTF-8", SAMPLES, first_row(b'"doc_id":0', b'"doc_id":0,"\xff":1'), "rows"),
    ("a text for a number", SAMPLES, first_row(b'"doc_id":0', b'"doc_id":"0"'), "rows"),
    ("true for a number", REQUESTS, first_row(b'"choice":0', b'"choice":false'), "docs"),
    ("a context that is not there", REQUESTS, first_row(b'"context":0', b'"context":7'), "docs"),
    ("a number beyond 2^53", REQUESTS, first_row(b'"choice":0', b'"choice":9007199254740993'), "request-hashes"),
    ("a list for a row", SAMPLES, lines(b"[]"), "rows"),
    ("a list for metrics", SAMPLES, first_row(b'"metrics":{"strict-match":{', b'"metrics":{"x":[],"y":{'), "rows"),
    ("no journal", JOURNAL, lambda data: b"garbage" * 1000, "journal-chain"),
    ("a frame of a huge length", JOURNAL, lambda data: MAGIC + b"\xff" * 4 + data[len(MAGIC) + 4 :], "journal-chain"),
]


@pytest.mark.parametrize(("name", "edit", "check"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_a_hostile_file_fails_its_check_in_little_memory(
    name: str, edit: Callable[[bytes], bytes], check: str, run: Path
) -> None:
    (run / name).write_bytes(edit((run / name).read_bytes()))
    value = forge.read_record(run)
    size = (run / name).stat().st_size
    next(file for file in value["files"] if file["path"] == name).update(size=size)
    forge.write_record(run, value)
    tracemalloc.start()
    found = verify(run)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result_of(found, check) == "failed"
    assert found.exit_code == 1
    assert peak < 300 << 20


@pytest.mark.parametrize(
    "edit",
    [
        lambda value: value["effective"]["mark"]["groups"][0]["metrics"][0].pop("keys"),
        lambda value: value["effective"]["mark"]["tasks"][0]["config"].update(metric_list=[7]),
        lambda value: value["asked"]["spec"].update(seeds=[], model="smoke"),
        lambda value: value["observed"].update(sandbox={"tier": ["x"]}),
        lambda value: value.update(left_out=[{}]),
        lambda value: value["results"][0].update(value="1e400"),
        lambda value: value["files"][0].update(path=""),
        lambda value: value["files"][0].update(path="/etc/passwd"),
        lambda value: value["files"][0].update(path="journal\0"),
        lambda value: value["observed"]["attempts"][0]["environment"][0].update(value=1e17),
        lambda value: value.update(results=[]),
    ],
)
def test_a_record_of_any_content_fails_and_never_ends_in_a_traceback(
    edit: Callable[[forge.Json], object], run: Path
) -> None:
    in_record(edit)(run)
    assert verify(run).exit_code == 1


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"null", b"{}", b"\xff", b"[" * 9000, b'{"schema":"benchproof/record/v1"}']
)
def test_what_is_no_record_fails(data: bytes, run: Path) -> None:
    (run / "record.json").write_bytes(data)
    assert verify(run).exit_code == 1


def test_what_is_no_file_is_not_opened(run: Path) -> None:
    (run / SAMPLES).unlink()
    os.mkfifo(run / SAMPLES)  # reading it would wait for ever
    assert verify(run).named("failed") == ["paths"]
    (run / SAMPLES).unlink()
    (run / SAMPLES).mkdir()
    assert verify(run).named("failed") == ["paths"]


def test_a_folder_behind_a_link_is_not_followed(run: Path, tmp_path: Path) -> None:
    (run / "samples").rename(tmp_path / "elsewhere")
    (run / "samples").symlink_to(tmp_path / "elsewhere")
    assert verify(run).named("failed") == ["paths"]


def test_a_stranger_beside_the_files_is_told(run: Path) -> None:
    shutil.copy(run / JOURNAL, run / JOURNAL.replace("attempt-0", "attempt-1"))
    assert verify(run).named("failed") == ["paths"]


def test_a_file_larger_than_it_says_is_not_read(run: Path) -> None:
    with (run / JOURNAL).open("ab") as file:
        file.truncate(1 << 40)  # sparse: a terabyte that takes no room
    assert verify(run).named("failed") == ["files"]


def test_every_byte_of_a_record_counts(run: Path) -> None:
    data = (run / "record.json").read_bytes()
    for position in range(0, len(data), 211):
        (run / "record.json").write_bytes(data[:position] + bytes([data[position] ^ 4]) + data[position + 1 :])
        try:
            assert verify(run).exit_code == 1, position
        except BenchproofError as error:  # the schema's number has become a newer one
            assert error.exit_code == 2 and b'"schema' in data[position - 40 : position + 40]


def test_a_resumed_run_verifies(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        table_run(tmp_path / "run", HonestEngine(before=StopAt(2)), HonestHarness())
    record, folder = table_run(tmp_path / "run", HonestEngine(), HonestHarness())
    assert record.observed.resumed and len(record.observed.attempts) == 2
    assert verify(folder).named("failed") == []


def test_ids_are_of_what_the_file_holds_and_not_of_todays_model_of_it(run: Path) -> None:
    """A later version may know more fields, with defaults: an old record keeps its id."""
    value = json.loads((run / "record.json").read_bytes())
    del value["supersedes"], value["unknowns"][0], value["observed"]["sandbox"], value["results"][0]["category"]
    value["observed"]["sandbox"] = {"unknown": "not_applicable", "detail": "no generated program was run"}
    forge.write_record(run, value)
    assert result_of(verify(run), "record-id") == result_of(verify(run), "plan-id") == "ok"
