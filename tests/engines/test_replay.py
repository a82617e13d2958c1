"""Replay: the answers of a journal, whole and unchanged, or an error."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from benchproof.engines.replay import ReplayEngine
from benchproof.errors import MissingInput, VerificationFailed
from benchproof.ports import ModelFiles, Op
from benchproof.report.progress import Silent
from benchproof.schema.response import Response
from benchproof.schema.spec import EngineAsk, ModelAsk
from benchproof.schema.unknown import Unknown
from benchproof.store.journal import JournalWriter
from fakes.models import make_model
from fakes.plans import a_choice, a_generation, a_likelihood, a_text

REQUESTS = [a_choice(choice=0), a_choice(choice=1), a_generation(task="choose", doc_id=7)]
ANSWERS: list[Response] = [a_likelihood(REQUESTS[0]), a_likelihood(REQUESTS[1], -5e-324), a_text(REQUESTS[2])]
Replay = Callable[[Path], ReplayEngine]


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Replay:
    model = make_model(tmp_path_factory.mktemp("replay") / "m", "llama")

    def make(folder: Path) -> ReplayEngine:
        asked = EngineAsk(name="replay", journal=str(folder), dtype="float32")
        return ReplayEngine(ModelFiles(model, "tiny", None, None), ModelAsk(path="x"), asked, "cpu")

    return make


def write(folder: Path, *frames: list[Response], attempt: int = 0) -> Path:
    (folder / "journal").mkdir(parents=True, exist_ok=True)
    with JournalWriter(folder / "journal" / f"{attempt}.journal", {}) as journal:
        for op, answers in enumerate(frames):
            journal.append(op, answers)
    return folder


def test_every_answer_is_the_journals(replay: Replay, tmp_path: Path) -> None:
    engine = replay(write(tmp_path, ANSWERS))
    engine.load(Silent())
    op = Op(0, "loglikelihood", "choose", (2, 0), 3)
    assert engine.answer(op, REQUESTS, []) == [ANSWERS[2], ANSWERS[0]]


def test_attempts_are_merged(replay: Replay, tmp_path: Path) -> None:
    write(tmp_path, ANSWERS[:1])
    engine = replay(write(tmp_path, ANSWERS, attempt=1))
    assert engine.answer(Op(0, "loglikelihood", "choose", (0, 1, 2), 3), REQUESTS, []) == ANSWERS


def test_a_missing_answer_is_an_error_and_never_a_guess(replay: Replay, tmp_path: Path) -> None:
    engine = replay(write(tmp_path, ANSWERS[:1]))
    with pytest.raises(MissingInput, match="doc 0") as caught:
        engine.answer(Op(0, "loglikelihood", "choose", (0, 1, 2), 3), REQUESTS, [])
    assert caught.value.exit_code == 3
    assert "(and 1 more)" in caught.value.what


def test_no_journal_is_said_at_once(replay: Replay, tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="journal"):
        replay(tmp_path / "nowhere")


def test_a_corrupt_journal_is_not_replayed(replay: Replay, tmp_path: Path) -> None:
    folder = write(tmp_path, *([answer] for answer in ANSWERS))
    path = folder / "journal" / "0.journal"
    data = bytearray(path.read_bytes())
    data[-150] ^= 1
    path.write_bytes(data + data[-100:])
    with pytest.raises(VerificationFailed):
        replay(folder)


def test_which_answers_are_replayed_is_in_the_pin(replay: Replay, tmp_path: Path) -> None:
    one = replay(write(tmp_path / "one", ANSWERS)).pin()
    same = replay(write(tmp_path / "same", *([answer] for answer in reversed(ANSWERS)))).pin()
    other = replay(write(tmp_path / "other", [*ANSWERS[:2], a_text(REQUESTS[2], "else")])).pin()
    assert one.name == "replay"
    assert one == same, "the answers count, not the frames that they stand in"
    assert one != other


def test_no_model_is_claimed_to_have_been_there(replay: Replay, tmp_path: Path) -> None:
    observed = replay(write(tmp_path, ANSWERS)).observed()
    for value in (observed.model_class, observed.dtype_loaded, observed.device, observed.peak_bytes):
        assert isinstance(value, Unknown)


def test_a_replayed_run_has_the_scores_of_the_run(tmp_path: Path) -> None:
    from fakes.smoke import MMLU, run_small, small

    spec = small()
    spec["suite"]["tasks"] = [task for task in spec["suite"]["tasks"] if task["task"] == MMLU]
    first = run_small(tmp_path / "run", spec)
    spec["engine"] |= {"name": "replay", "journal": str(tmp_path / "run")}
    again = run_small(tmp_path / "again", spec)
    assert again.results == first.results
    assert again.observed.answers_digest == first.observed.answers_digest
    assert again.plan_id != first.plan_id
    assert [ids.measurement_id for ids in again.ids] == [ids.measurement_id for ids in first.ids]
    assert again.asked.spec["engine"]["journal"]["unknown"] == "redacted"
    assert yaml.safe_load((tmp_path / "again" / "spec.yaml").read_bytes())["engine"]["name"] == "replay"
