"""Scores side by side: paired within equal benchmark ids, with their doubt; and what cannot be compared says why."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from benchproof.compare import Comparison, Difference, against_claim, compare
from benchproof.errors import BadInput
from benchproof.ports import Progress
from benchproof.schema.plan import ModelPin
from benchproof.schema.request import Request
from benchproof.schema.score import Claimed
from fakes.checks import DriftingEngine, rewrite_record, rewrite_rows, side
from fakes.counting import CountingEngine
from fakes.harness import TableHarness
from fakes.plans import a_model_pin
from fakes.world import table_run, table_spec

DOCS = 300


class Other(DriftingEngine):
    """Another model: its content is another, and its answers lean to the first choice."""

    lean = 0.05

    def __init__(self) -> None:
        super().__init__(drift=self._leaning)

    def _leaning(self, request: Request) -> float:
        return self.lean * (request.choice == 0)

    def pin_model(self, progress: Progress) -> ModelPin:
        return a_model_pin(config_sha256="2" * 64)


class Better(Other):
    """A third model, which leans far more."""

    lean = 0.4

    def pin_model(self, progress: Progress) -> ModelPin:
        return a_model_pin(config_sha256="3" * 64)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("compare")
    engines = {"a": CountingEngine(), "again": CountingEngine(), "other": Other(), "better": Better()}
    return {name: table_run(folder / name, e, TableHarness(docs=DOCS))[1] for name, e in engines.items()}


def one(found: list[Comparison], benchmark: str = "choose") -> Difference:
    (item,) = [d for d in found[0].differences if d.benchmark == benchmark]
    return item


def test_two_models_are_compared_doc_by_doc(runs: dict[str, Path]) -> None:
    found = one(compare([side(runs["a"]), side(runs["better"])], unpaired=False))
    assert (found.comparable, found.paired, found.n) == (True, True, DOCS)
    assert found.only_there is not None
    assert found.only_here is not None
    assert found.difference == pytest.approx((found.only_here - found.only_there) / DOCS)
    assert found.difference > 0
    assert found.interval is not None
    assert found.interval.lower < found.difference < found.interval.upper
    assert found.interval.level == 0.95
    assert found.p is not None
    assert found.p < 0.001
    assert found.mde is not None
    assert len(found.flips) == found.only_there + found.only_here
    flip = found.flips[0]
    row = next(row for row in side(runs["a"]).rows("choose") if row.doc_id == flip.doc_id)
    assert row.metrics["none"]["acc"] == flip.there != flip.here


def test_every_difference_of_every_record_is_one_family(runs: dict[str, Path]) -> None:
    found = compare([side(runs["a"]), side(runs["other"]), side(runs["better"])], unpaired=False)
    family = [d for item in found for d in item.differences]
    assert len(family) == 4
    smallest = min(family, key=lambda d: d.p or 0.0)
    assert smallest.holm == pytest.approx(4 * (smallest.p or 0.0))
    assert all(d.holm >= (d.bh or 0.0) >= (d.p or 0.0) for d in family if d.holm is not None)


def test_two_runs_of_one_thing_say_in_which_layer_they_part(runs: dict[str, Path], tmp_path: Path) -> None:
    (same,) = compare([side(runs["a"]), side(runs["again"])], unpaired=False)
    assert same.same
    assert all(item.first is None for item in same.tasks.values())
    drifting = DriftingEngine(token_budget=48, drift=lambda r: 1e-9 * r.choice)
    _, folder = table_run(tmp_path / "drifted", drifting, TableHarness(docs=DOCS))
    (moved,) = compare([side(runs["a"]), side(folder)], unpaired=False)
    assert moved.same
    assert [field.path for field in moved.other_computation] == ["engine.token_budget"]
    assert moved.tasks["choose"].first == "answers"
    assert "1e-09" in "\n".join(moved.tasks["choose"].told)
    (models,) = compare([side(runs["a"]), side(runs["other"])], unpaired=False)
    assert not models.same


def test_other_questions_are_not_comparable_and_the_field_is_named(runs: dict[str, Path], tmp_path: Path) -> None:
    spec = table_spec({"task": "choose", "limit": 200}, {"task": "write"})
    _, folder = table_run(tmp_path / "fewer", CountingEngine(), TableHarness(docs=DOCS), spec=spec)
    found = compare([side(runs["a"]), side(folder)], unpaired=False)
    item = one(found)
    assert not item.comparable
    assert [field.path for field in item.fields] == ["ask.limit", "ask.n_docs"]
    assert (item.interval, item.p) == (None, None)
    assert one(found, "write").comparable
    asked = one(compare([side(runs["a"]), side(folder)], unpaired=True))
    assert (asked.comparable, asked.paired) == (True, False)
    assert asked.reason.startswith("UNPAIRED")
    assert asked.p is not None


def test_benchmarks_of_one_side_only_are_named(runs: dict[str, Path], tmp_path: Path) -> None:
    spec = table_spec({"task": "choose"})
    _, folder = table_run(tmp_path / "less", CountingEngine(), TableHarness(docs=DOCS), spec=spec)
    (found,) = compare([side(runs["a"]), side(folder)], unpaired=False)
    assert (found.only_there, found.only_here) == (("write",), ())


def test_records_that_came_alone_are_compared_unpaired_and_it_is_said(runs: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(runs["better"], tmp_path / "alone")
    shutil.rmtree(tmp_path / "alone" / "samples")
    found = one(compare([side(runs["a"]), side(tmp_path / "alone")], unpaired=False))
    assert (found.comparable, found.paired) == (True, False)
    assert "not at hand" in found.reason


def categorised(folder: Path, count: int) -> None:
    def change(rows: list[Any]) -> list[Any]:
        return [row | {"category": f"c{row['doc_id'] % count}"} for row in rows]

    rewrite_rows(folder, "samples", "choose", change)


@pytest.mark.parametrize(("clusters", "over"), [(9, "over docs"), (10, "over 10 clusters"), (30, "over 30 clusters")])
def test_the_interval_respects_clusters_where_there_are_enough(
    runs: dict[str, Path], tmp_path: Path, clusters: int, over: str
) -> None:
    for name in ("a", "better"):
        shutil.copytree(runs[name], tmp_path / name)
        categorised(tmp_path / name, clusters)
    found = one(compare([side(tmp_path / "a"), side(tmp_path / "better")], unpaired=False))
    assert over in found.reason


def test_one_record_is_no_comparison(runs: dict[str, Path]) -> None:
    with pytest.raises(BadInput, match="two"):
        compare([side(runs["a"])], unpaired=False)


def test_a_printed_number_is_compatible_or_not(runs: dict[str, Path]) -> None:
    record = side(runs["a"]).record
    value = next(float(r.value) for r in record.results if r.task == "choose")
    near = against_claim(record, Claimed(value + 0.01, None, 14042), "choose")
    far = against_claim(record, Claimed(value + 0.2, None, 14042), "choose")
    assert near.p is not None
    assert far.p is not None
    assert near.p > 0.5
    assert far.p < 0.001
    assert far.difference == pytest.approx(-0.2)
    assert far.interval is not None
    assert far.interval.lower < -0.2 < far.interval.upper < 0
    assert not far.paired


def test_a_printed_number_needs_to_say_of_what(runs: dict[str, Path]) -> None:
    record = side(runs["a"]).record
    with pytest.raises(BadInput, match="several scores"):
        against_claim(record, Claimed(0.5, None, 100), None)
    with pytest.raises(BadInput, match="no score of 'mmlu'"):
        against_claim(record, Claimed(0.5, None, 100), "mmlu")


def test_a_score_that_the_rows_do_not_give_is_not_paired(runs: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(runs["better"], tmp_path / "boast")
    rewrite_record(tmp_path / "boast", lambda value: value["results"][0].update(value="0.99"))
    found = one(compare([side(runs["a"]), side(tmp_path / "boast")], unpaired=False))
    assert not found.paired
