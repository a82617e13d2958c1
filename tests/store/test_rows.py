"""What build.py and score.py write reads back as the same nouns."""

from pathlib import Path

import pytest

from benchproof import build
from benchproof.errors import VerificationFailed
from benchproof.report.progress import Silent
from benchproof.schema.request import Generation
from benchproof.store.files import write_lines
from benchproof.store.rows import part_path, read_docs, read_rows
from fakes.counting import CountingEngine
from fakes.plans import a_built, a_generation
from fakes.world import table_run


@pytest.mark.parametrize(
    ("task", "name"),
    [("mmlu_x", "mmlu_x"), ("a/../b", "a_.._b"), ("../up", ".._up"), ("a b:c", "a_b_c"), ("é.1-2", "é.1-2")],
)
def test_a_task_names_a_file_and_never_a_folder(task: str, name: str) -> None:
    assert part_path(Path("run"), "samples", task) == Path("run/samples") / f"{name}.jsonl.zst"


def test_every_request_reads_back_with_the_hash_that_its_content_has(tmp_path: Path) -> None:
    record, folder = table_run(tmp_path / "run")
    read = {pin.task: list(read_docs(folder, pin.task)) for pin in record.effective.ask.tasks}
    assert {task: len(docs) for task, docs in read.items()} == {"choose": 5, "write": 5}
    requests = [request for docs in read.values() for doc, _ in docs for request in doc.requests]
    assert all(request.with_hash().hash == request.hash for request in requests)


def test_a_sampled_generation_reads_back_whole(tmp_path: Path) -> None:
    asked = a_generation(seed=2**55 + 1, settings=Generation(("\n", "Q:"), 7, 0.8, 0.95, 40))
    built = a_built(asked)
    build.write_requests(
        build.Built(built.docs, built.requests, CountingEngine().encode(built.requests, Silent()), []),
        tmp_path,
        Silent(),
    )
    ((doc, encoded),) = read_docs(tmp_path, "write")
    assert doc.requests == (asked,)
    assert [item.context for item in encoded] == [tuple(map(ord, asked.context))]


def test_rows_read_back_as_they_were_scored(tmp_path: Path) -> None:
    record, folder = table_run(tmp_path / "run")
    rows = list(read_rows(folder, "choose"))
    assert [row.doc_id for row in rows] == list(range(5))
    result = next(result for result in record.results if result.task == "choose")
    assert sum(row.metrics["none"]["acc"] for row in rows) / len(rows) == float(result.value)


@pytest.mark.parametrize("part", ["requests", "samples"])
def test_a_line_that_is_no_row_is_named(tmp_path: Path, part: str) -> None:
    (tmp_path / part).mkdir()
    write_lines(part_path(tmp_path, part, "choose"), [{"doc_id": 0}])  # type: ignore[arg-type]
    read = read_docs if part == "requests" else read_rows
    with pytest.raises(VerificationFailed, match="line 1 is no row"):
        list(read(tmp_path, "choose"))
