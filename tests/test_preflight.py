"""What cannot end well is refused before the model is loaded, in numbers and with the setting to change."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from benchproof import preflight
from benchproof.errors import DiskError, MachineError
from benchproof.ports import Op
from benchproof.schema.request import Generation
from fakes.counting import CountingEngine
from fakes.outcome import journals
from fakes.plans import a_built, a_choice, a_generation
from fakes.world import table_run

GB = 10**9


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@dataclass
class Sized(CountingEngine):
    """An engine that knows its sizes: a gigabyte of weights, and a thousandth for each token of the largest op."""

    free: int | None = None

    def memory_bytes(self, ops: Sequence[Op]) -> int | None:
        return GB + max(op.cost for op in ops) * 10**6

    def free_bytes(self) -> int | None:
        return self.free


@pytest.mark.parametrize(("needed", "free"), [(None, 1), (1, None), (None, None), (5, 5), (5, 6)])
def test_what_fits_or_is_not_known_passes(needed: int | None, free: int | None) -> None:
    preflight.check_memory(needed, free)


def test_memory_that_is_too_small_is_refused_in_numbers() -> None:
    with pytest.raises(MachineError) as caught:
        preflight.check_memory(int(14.6 * GB), int(11.9 * GB))
    assert caught.value.exit_code == 5
    assert "needs about 14.6 GB" in caught.value.what and "11.9 GB are free" in caught.value.what
    for setting in ("engine.token_budget", "engine.generation_batch", "dtype", "--device"):
        assert setting in caught.value.do
    assert max(map(len, caught.value.lines())) < 300, "nothing of it is cut off"


def test_a_plan_that_cannot_fit_is_refused_before_loading_and_goes_on_where_it_fits(tmp_path: Path) -> None:
    small = Sized(free=GB)
    with pytest.raises(MachineError, match="GB are free"):
        table_run(tmp_path / "run", small)
    assert (small.loads, small.asked) == (0, [])
    assert journals(tmp_path / "run") == [], "no attempt was begun"
    record, _ = table_run(tmp_path / "run", Sized(free=2 * GB))
    assert not record.observed.resumed


def test_only_what_is_missing_must_fit(tmp_path: Path) -> None:
    """The largest op comes first: the rest may run where the whole could not."""
    first = Sized()

    def stop(op: Op) -> None:
        if first.asked:
            raise MachineError("enough")

    first.before = stop
    with pytest.raises(MachineError, match="enough"):
        table_run(tmp_path / "run", first)
    enough_for_the_rest = GB + (first.asked[0].cost - 1) * 10**6
    with pytest.raises(MachineError, match="are free"):
        table_run(tmp_path / "whole", Sized(free=enough_for_the_rest))
    record, _ = table_run(tmp_path / "run", Sized(free=enough_for_the_rest))
    assert record.observed.resumed


def test_a_disk_that_is_too_small_is_refused_in_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10 * GB, 10 * GB - 1000, 1000))
    engine = CountingEngine()
    with pytest.raises(DiskError) as caught:
        table_run(tmp_path / "run", engine)
    assert caught.value.exit_code == 6
    assert "16 MB" in caught.value.what and "0 MB are free" in caught.value.what
    assert "--out" in caught.value.do and caught.value.where == str(tmp_path / "run")
    assert (engine.loads, engine.asked, journals(tmp_path / "run")) == (0, [], [])


def test_generations_count_by_their_limit() -> None:
    short, long = (
        preflight.disk_bytes(a_built(a_generation(settings=Generation(until=("\n",), max_gen_toks=tokens))))
        for tokens in (10, 1010)
    )
    assert long - short == 1000 * preflight.TOKEN_BYTES
    assert preflight.disk_bytes(a_built(a_choice(), a_choice(choice=1))) == 2 * preflight.ANSWER_BYTES
