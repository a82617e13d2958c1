"""The table of faults: each is injected into a run of the bundled model, and what must happen is looked at.

Crash images of the disk: tests/store/test_crash_images.py. SIGKILL: test_kill.py. Signals: test_signals.py.
"""

import errno
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from benchproof.engines.hf import HfEngine
from benchproof.errors import DiskError
from benchproof.observe import host
from benchproof.ports import Op
from benchproof.schema.canonical import sha256
from benchproof.store.files import Disk, locked
from benchproof.wire import run_spec
from cli.call import in_process
from fakes.counting import CountingEngine
from fakes.outcome import Outcome, acknowledged, journals, outcome, record_of
from fakes.smoke import copy_rows, write_spec
from fakes.world import a_world, table_run
from path.stops import DEVICE, interrupted, many_ops, never_load

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_spec(tmp_path_factory.mktemp("spec"), many_ops())


@pytest.fixture(scope="module")
def whole(spec: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The unbroken run."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run_spec(spec, out=folder, device="cpu")
    return outcome(folder)


def go_on(capsys: pytest.CaptureFixture[str], out: Path) -> None:
    called = in_process(capsys, "resume", str(out), *DEVICE)
    assert called.code == 0, called


# ------------------------------------------------------------------- memory


@pytest.mark.parametrize(
    "error",
    [torch.cuda.OutOfMemoryError("CUDA out of memory"), MemoryError()],
    ids=["CUDA", "host"],
)
def test_out_of_memory_in_an_op_names_the_setting_and_costs_no_answer(
    error: Exception, spec: Path, whole: Outcome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, asked = tmp_path / "run", count()
    logits = HfEngine._logits

    def full(self: HfEngine, batch: object, positions: object) -> object:
        if next(asked) == 1:
            raise error
        return logits(self, batch, positions)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HfEngine, "_logits", full)
        in_process(capsys, "run", str(spec), "--out", str(out), *DEVICE).refused(5, "memory", "engine.token_budget")
    assert next(asked) == 2, "a batch that did not fit was tried again"
    kept = acknowledged(out)
    assert kept and not (out / "record.json").exists()
    go_on(capsys, out)
    assert outcome(out) == whole and acknowledged(out)[: len(kept)] == kept


def test_out_of_memory_while_generating_names_its_own_setting(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: HfEngine, asked: object, ids: object) -> object:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(HfEngine, "_generations", full)
    called = in_process(capsys, "run", str(spec), "--out", str(tmp_path / "run"), *DEVICE)
    called.refused(5, "memory", "engine.generation_batch")


def test_after_lowering_the_budget_the_answers_are_adopted(
    spec: Path, whole: Outcome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(capsys, spec, tmp_path / "first", ops=9)
    lower = many_ops()
    lower["engine"]["token_budget"] = 500
    path, out = write_spec(tmp_path, lower, "lower"), tmp_path / "second"
    adopting = ("run", str(path), "--out", str(out), "--adopt", str(tmp_path / "first"), "--device", "cpu")
    called = in_process(capsys, *adopting)
    assert called.code == 0 and "adopted " in called.err, called
    record = record_of(out)
    assert record.plan_id != whole.plan_id
    assert [attempt.adopted_from is not None for attempt in record.observed.attempts] == [True, False]
    assert [result.model_dump(mode="json") for result in record.results] == whole.results
    assert "adopted" in {warning.code for warning in record.warnings}


def test_a_plan_that_cannot_fit_is_refused_before_the_model_is_loaded(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    never_load(monkeypatch)
    monkeypatch.setattr(HfEngine, "free_bytes", lambda self: 1_000_000)
    called = in_process(capsys, "run", str(spec), "--out", str(tmp_path / "run"), *DEVICE)
    called.refused(5, "needs about", "1 MB are free", "engine.token_budget", "engine.generation_batch")


# --------------------------------------------------------------------- disk


@pytest.mark.parametrize(("verb", "code"), [("write", errno.ENOSPC), ("fsync", errno.EIO)])
@pytest.mark.parametrize("file", ["journal", "record"])
def test_a_disk_that_fails_ends_the_run_and_nothing_is_tried_again(
    file: str, verb: str, code: int, spec: Path, whole: Outcome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, calls = tmp_path / "run", count()
    real = getattr(Disk, verb)

    first = 4 if file == "journal" else 0  # its header and three ops are written

    def failing(self: Disk, fd: int, *data: bytes) -> None:
        name = Path(f"/proc/self/fd/{fd}").readlink().name
        if (name.endswith(".journal") if file == "journal" else ".record.json." in name) and next(calls) >= first:
            raise OSError(code, os.strerror(code))
        real(self, fd, *data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Disk, verb, failing)
        called = in_process(capsys, "run", str(spec), "--out", str(out), *DEVICE)
    called.refused(6, "full" if code == errno.ENOSPC else "disk failed", str(out))
    assert next(calls) == first + 1, "tried again"
    assert not (out / "record.json").exists() and not list(out.rglob(".*.tmp"))
    kept = acknowledged(out)
    go_on(capsys, out)
    assert outcome(out) == whole and acknowledged(out)[: len(kept)] == kept


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 20 MB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_really_full(tiny: Path, tmp_path: Path) -> None:
    def fill(op: Op) -> None:
        if op.index == 3:
            fd = os.open(tiny / "ballast", os.O_CREAT | os.O_WRONLY)
            with pytest.raises(OSError, match="No space left"):
                while os.write(fd, bytes(4096)):
                    pass
            os.close(fd)

    with pytest.raises(DiskError, match="full") as caught:
        table_run(tiny / "run", CountingEngine(before=fill))
    assert caught.value.exit_code == 6
    kept = acknowledged(tiny / "run")
    (tiny / "ballast").unlink()
    rest = CountingEngine()
    record, _ = table_run(tiny / "run", rest)
    whole, _ = table_run(tmp_path / "whole")
    assert kept and set(kept).isdisjoint(op.index for op in rest.asked)
    assert record.observed.answers_digest == whole.observed.answers_digest and record.results == whole.results


def test_a_disk_that_is_too_small_for_the_plan(tiny: Path) -> None:
    (tiny / "ballast").write_bytes(bytes(12_000_000))
    with pytest.raises(DiskError, match="are free on the disk"):
        table_run(tiny / "run")


# ------------------------------------------------------------------- folder


def test_two_runs_in_one_folder(spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    interrupted(capsys, spec, out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != "log.txt"}
    with locked(out):
        for command in (("run", str(spec), "--out", str(out)), ("resume", str(out))):
            in_process(capsys, *command, *DEVICE).refused(2, "in use", str(os.getpid()))
    assert all(path.read_bytes() == data for path, data in before.items())


def test_a_lock_file_that_nobody_holds_is_no_obstacle(
    spec: Path, whole: Outcome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    interrupted(capsys, spec, out)
    (out / ".lock").write_text("4194304", "ascii")  # a process that is long gone
    go_on(capsys, out)
    assert outcome(out) == whole


def test_a_file_system_that_cannot_lock(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock

    def refused(fd: int, operation: int) -> None:
        if Path(f"/proc/self/fd/{fd}").readlink() == tmp_path / "run" / ".lock":  # others lock their caches
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", refused)
    in_process(capsys, "run", str(spec), "--out", str(tmp_path / "run"), *DEVICE).refused(6, "lock", "--out")


# ------------------------------------------------------------ what it goes on with


def test_data_that_changed_meanwhile_is_another_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = copy_rows(tmp_path / "rows", "mmlu/kitchen_science")
    asked = many_ops()
    asked["suite"]["tasks"][0]["data"] = str(rows)
    spec, out = write_spec(tmp_path, asked), tmp_path / "run"
    interrupted(capsys, spec, out)
    there = record_plan(out)
    (path,) = [path for path in rows.iterdir() if path.name.startswith("test")]
    path.write_text(path.read_text("utf-8").replace("?", " ?", 1), "utf-8")
    for command in (("run", str(spec), "--out", str(out)), ("resume", str(out))):
        called = in_process(capsys, *command, *DEVICE)
        called.refused(2, "another plan", f"{there} there", "--new")
    assert record_plan(out) == there and len(journals(out)) == 1


def record_plan(out: Path) -> str:
    return sha256((out / "plan.json").read_bytes())[:12]


def test_a_journal_that_is_corrupt_inside(spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    interrupted(capsys, spec, out)
    (path,) = journals(out)
    data = bytearray(path.read_bytes())
    at = data.index(b'"responses"')
    data[at + 20] ^= 1
    path.write_bytes(data)
    in_process(capsys, "resume", str(out), *DEVICE).refused(1, "corrupt at byte", str(path))
    assert path.read_bytes() == data and len(journals(out)) == 1


def test_a_tail_that_is_cut_off_is_told_and_asked_again(
    spec: Path, whole: Outcome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    interrupted(capsys, spec, out)
    (path,) = journals(out)
    path.write_bytes(data := path.read_bytes()[:-5])
    called = in_process(capsys, "resume", str(out), "--device", "cpu")
    assert called.code == 0 and "bytes of a torn tail ignored" in called.err
    assert path.read_bytes() == data, "an attempt was changed"
    assert outcome(out) == whole
    assert record_of(out).observed.attempts[0].torn_bytes > 0


def test_a_record_that_is_missing_needs_no_model(
    spec: Path, whole: Outcome, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    assert in_process(capsys, "run", str(spec), "--out", str(out), *DEVICE).code == 0
    (out / "record.json").unlink()
    never_load(monkeypatch)
    monkeypatch.setattr(HfEngine, "free_bytes", lambda self: 0)
    called = in_process(capsys, "resume", str(out), "--device", "cpu")
    assert called.code == 0 and ", 0 missing" in called.err
    assert outcome(out) == whole and len(journals(out)) == 1


def test_other_hardware_is_another_attempt_and_told(
    spec: Path, whole: Outcome, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    interrupted(capsys, spec, out)
    monkeypatch.setattr(host, "cpu_model", lambda: "another processor")
    go_on(capsys, out)
    record = record_of(out)
    assert record.observed.mixed_hardware and record.observed.resumed
    assert "mixed_hardware" in {warning.code for warning in record.warnings}
    assert outcome(out) == whole


@pytest.mark.parametrize("days", [-4000, 4000])
def test_a_clock_that_jumps_moves_no_duration(days: int, tmp_path: Path) -> None:
    """The wall clock is noted only; durations come from the monotonic one."""
    looks = count()
    world = a_world()

    def jumping() -> datetime:
        return datetime(2024, 6, 1, tzinfo=UTC) + timedelta(days=days * (next(looks) % 2))

    record, _ = table_run(tmp_path / "run", world=replace(world, wall=jumping))
    steady, _ = table_run(tmp_path / "steady")
    assert [phase.seconds for phase in record.observed.phases] == [phase.seconds for phase in steady.observed.phases]
    assert record.observed.answers_digest == steady.observed.answers_digest
