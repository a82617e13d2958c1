"""Samples files: found beside a results file of any name, read by doc and filter, refused by line."""

import gzip
import json
from pathlib import Path

import pytest

from benchproof.errors import BadInput
from benchproof.ledger.foreign import read_published
from benchproof.ledger.lmeval_samples import read_samples
from ledger.files import STAMP, results, written

LINE = {"doc_id": 0, "filter": "none", "acc": 1, "filtered_resps": ["x"]}


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        (f"results_{STAMP}.json", f"samples_gsm8k_{STAMP}.jsonl"),
        (f"run__results_{STAMP}.json", f"run__samples_gsm8k_{STAMP}.jsonl"),
        (f"renamed_{STAMP}.json", f"samples_gsm8k_{STAMP}.jsonl"),
        (f"results_{STAMP}.json", f"samples_gsm8k_{STAMP}.jsonl.gz"),
    ],
)
def test_the_samples_of_the_same_moment_are_found(tmp_path: Path, name: str, beside: str) -> None:
    data = json.dumps(LINE).encode()
    (tmp_path / beside).write_bytes(gzip.compress(data) if beside.endswith(".gz") else data)
    (tmp_path / "samples_mmlu_anatomy_2020-01-01T00-00-00.jsonl").write_bytes(data)
    rows = read_published(written(tmp_path, results(), name)).rows
    assert set(rows) == {"gsm8k"}
    assert rows["gsm8k"][0].taken == {"none": ["x"]}


def test_log_likelihoods_of_minus_infinity_are_picked_over_as_any(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text(json.dumps({**LINE, "filtered_resps": [["-inf", "False"], ["-0.5", "True"]]}))
    assert read_samples(path)[0].taken == {"none": [1]}


@pytest.mark.parametrize(
    "line",
    [
        "[1]",
        '{"doc_id": 1}',
        '{"doc_id": Infinity, "filtered_resps": []}',
        '{"doc_id": 1, "filtered_resps": "x"}',
        "[" * 100_000,
        json.dumps(LINE),  # a second time
    ],
)
def test_a_line_that_is_none_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text(json.dumps(LINE) + "\n\n" + line + "\n")
    with pytest.raises(BadInput) as caught:
        read_samples(path)
    assert caught.value.where.endswith("line 3")
