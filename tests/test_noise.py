"""What an honest re-run may change is measured by re-runs, and read back only where it holds."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchproof.errors import BadInput, MissingInput
from benchproof.floor import Floor, floors_beside, read_floor
from benchproof.noise import noise, variants
from benchproof.ports import Op
from benchproof.run import World
from benchproof.schema.request import Encoded, Request
from benchproof.schema.response import Response
from benchproof.schema.spec import EngineAsk, ModelAsk, RunSpec, SuiteAsk, TaskAsk
from benchproof.schema.verdict import Verdict
from benchproof.verdict import VERDICT, kinds_of
from fakes.checks import DriftingEngine, side
from fakes.counting import CountingEngine
from fakes.harness import TableHarness
from fakes.world import a_world, table_run

TASKS = (TaskAsk(task="choose"), TaskAsk(task="write", limit=4))
SPEC = RunSpec(
    model=ModelAsk(path="a/table"),
    suite=SuiteAsk(tasks=list(TASKS)),
    engine=EngineAsk(dtype="float32", token_budget=64, generation_batch=2),
)


class Batchy(DriftingEngine):
    """Answers depend on how many are asked together."""

    def answer(self, op: Op, requests: Sequence[Request], encoded: Sequence[Encoded]) -> list[Response]:
        self.drift = lambda request: 0.3 * request.choice * (len(op.requests) % 3)
        return super().answer(op, requests, encoded)


def measured(out: Path, kind: type[CountingEngine] = CountingEngine, docs: int = 60) -> Verdict:
    def make(spec: RunSpec) -> World:
        engine = kind(token_budget=spec.engine.token_budget, generation_batch=spec.engine.generation_batch)
        return a_world(engine, TableHarness(docs=200))

    return noise(SPEC, TASKS, make, docs=docs, out=out)


def test_an_engine_that_is_deterministic_has_no_noise(tmp_path: Path) -> None:
    verdict = measured(tmp_path / "noise")
    assert verdict.outcome == "measured"
    assert verdict.exit_code == 0
    assert [item["name"] for item in verdict.evidence["variants"]] == ["again", "batches", "dtype"]
    assert all(item["bits_equal"] for item in verdict.evidence["variants"])
    assert {item["flips"] for item in verdict.evidence["floor"]} == {0}


def test_an_engine_that_minds_its_batches_is_found_out(tmp_path: Path) -> None:
    verdict = measured(tmp_path / "noise", Batchy)
    again, batches, _ = verdict.evidence["variants"]
    assert again["bits_equal"]
    assert not batches["bits_equal"]
    floor = read_floor(tmp_path / "noise" / VERDICT)
    flips, n = floor.benign["choose", "acc", "none"]
    assert 0 < flips < n == 60
    assert floor.shifts["choose", "acc", "none"] > 0
    assert float(batches["largest_likelihood_difference"]) == pytest.approx(0.6, abs=0.31)


def test_the_same_docs_are_asked_in_every_variant_and_no_more_than_the_spec_asks(tmp_path: Path) -> None:
    measured(tmp_path / "noise", docs=10)
    for name in ("first", "again", "batches", "dtype"):
        record = side(tmp_path / "noise" / name).record
        assert {pin.task: pin.n_docs for pin in record.effective.ask.tasks} == {"choose": 10, "write": 4}


def test_a_measurement_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    whole = measured(tmp_path / "whole")
    measured(tmp_path / "cut")
    (tmp_path / "cut" / VERDICT).unlink()
    (tmp_path / "cut" / "dtype" / "record.json").unlink()
    assert measured(tmp_path / "cut").evidence == whole.evidence
    with pytest.raises(BadInput, match="never overwritten"):
        measured(tmp_path / "cut")


def test_it_holds_for_its_engine_and_kind_of_hardware_only(tmp_path: Path) -> None:
    measured(tmp_path / "noise")
    floor = read_floor(tmp_path / "noise" / VERDICT)
    record, _ = table_run(tmp_path / "run", CountingEngine())
    assert floor.holds_for(record)
    assert not Floor({**floor.engine, "dtype": "float16"}, floor.hardware, {}, {}).holds_for(record)
    assert not Floor(floor.engine, {**floor.hardware, "machine": "x"}, {}, {}).holds_for(record)
    assert floor.hardware == kinds_of(record)[0]


def test_what_is_varied(tmp_path: Path) -> None:
    found = {v.name: v for v in variants(SPEC, 30, cuda=True)}
    assert found["batches"].settings == {"token_budget": 30, "generation_batch": 1}
    assert found["kernels"].settings == {"deterministic": False}
    assert found["dtype"].settings == {"dtype": "bfloat16"}
    assert [name for name, v in found.items() if v.benign] == ["again", "batches", "kernels"]
    tight = {v.name: v for v in variants(SPEC, 64, cuda=False)}
    assert tight["batches"].settings["token_budget"] == 128, "a batch never gets too small for a request"
    assert "kernels" not in tight


def test_measurements_beside_a_record_are_found(tmp_path: Path) -> None:
    verdict = measured(tmp_path / "noise")
    assert floors_beside(tmp_path) == []
    (tmp_path / "verdicts").mkdir()
    (tmp_path / "verdicts" / f"noise-{verdict.verdict_id[:12]}.json").write_bytes(verdict.to_bytes())
    assert floors_beside(tmp_path) == [read_floor(tmp_path / "noise" / VERDICT)]
    assert floors_beside(None) == []


def test_what_is_no_measurement_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingInput):
        read_floor(tmp_path / "nothing")
    (tmp_path / "other.json").write_text('{"schema": "other"}')
    with pytest.raises(BadInput, match="not a verdict"):
        read_floor(tmp_path / "other.json")


def test_a_replayed_run_has_no_noise(tmp_path: Path) -> None:
    replay = SPEC.model_copy(update={"engine": EngineAsk(name="replay", journal="x")})
    with pytest.raises(BadInput, match="replayed"):
        noise(replay, TASKS, lambda spec: a_world(), docs=5, out=tmp_path / "noise")
