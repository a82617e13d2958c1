"""Forged answers are found at the rate that theory gives; honest ones are not accused; nobody chooses the sample."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchproof.asked import spec_of
from benchproof.audit import agrees, audit, challenge, draw, price
from benchproof.build import build
from benchproof.errors import BadInput, MissingInput, VerificationFailed
from benchproof.ports import Op
from benchproof.schema.request import Encoded, Request
from benchproof.schema.response import Generated, Loglikelihood, Response
from benchproof.schema.verdict import Verdict
from benchproof.spec import resolve_suite
from benchproof.stats.equivalence import detection_rate
from benchproof.store.files import file_sha256
from benchproof.store.journal import answers_digest, journal_paths, merge, read_journal
from fakes.checks import DriftingEngine, rewrite_record, side
from fakes.counting import CountingEngine
from fakes.harness import TableHarness
from fakes.plans import a_choice, a_likelihood
from fakes.world import a_world, table_run, table_spec

DOCS = 500  # 1,000 requests
NONCE = "00112233445566778899aabbccddeeff"


def nonce(number: int) -> str:
    return f"{number:032x}"


class ForgingEngine(CountingEngine):
    """The author's: an honest engine but for some docs, whose first choice it likes far better."""

    def __init__(self, docs: Sequence[int]) -> None:
        super().__init__()
        self.docs = set(docs)

    def answer(self, op: Op, requests: Sequence[Request], encoded: Sequence[Encoded]) -> list[Response]:
        found: list[Response] = []
        for i, answer in zip(op.requests, super().answer(op, requests, encoded), strict=True):
            forged = requests[i].doc_id in self.docs and requests[i].choice == 0
            if forged and isinstance(answer, Loglikelihood):
                answer = Loglikelihood(answer.request, -0.01, answer.is_greedy, answer.n_tokens)
            found.append(answer)
        return found


def made(folder: Path, engine: CountingEngine | None = None, docs: int = DOCS) -> Path:
    spec = table_spec({"task": "choose"})
    return table_run(folder, engine or CountingEngine(), TableHarness(docs=docs), spec=spec)[1]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("audit") / "honest")


def audited(
    folder: Path, out: Path, *, samples: int | None = 50, ops: int | None = None, hexes: str = NONCE,
    engine: CountingEngine | None = None, docs: int = DOCS,
) -> Verdict:  # fmt: skip
    there = side(folder)
    spec = spec_of(there.record, folder)
    world = a_world(engine or CountingEngine(), TableHarness(docs=docs))
    sha256, tasks = file_sha256(folder / "record.json"), resolve_suite(spec.suite)
    return audit(there, sha256, spec, tasks, world, challenge(samples, ops, hexes), out=out)


# ------------------------------------------------------------------ the sample


@given(st.integers(1, 400), st.binary(min_size=16, max_size=40), st.data())
def test_what_is_drawn_is_different_and_inside_and_a_function_of_digest_and_nonce(
    population: int, value: bytes, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, population))
    digest = "ab" * 32
    places = draw(digest, value, count, population)
    assert len(set(places)) == count
    assert all(0 <= place < population for place in places)
    assert places == draw(digest, value, count, population)


def test_a_known_draw_stays_what_it_is() -> None:
    """Anybody can compute it; a change of the rule would change who is asked."""
    assert draw("00" * 32, bytes(16), 5, 1000) == KNOWN


KNOWN = [55, 730, 659, 26, 825]


def test_another_nonce_or_digest_draws_others_and_every_place_is_as_likely() -> None:
    first = draw("00" * 32, bytes(16), 50, 1000)
    assert first != draw("00" * 32, bytes(15) + b"\1", 50, 1000)
    assert first != draw("01" + "00" * 31, bytes(16), 50, 1000)
    seen = [0] * 20
    for number in range(2000):
        for place in draw("00" * 32, number.to_bytes(16, "big"), 5, 20):
            seen[place] += 1
    assert all(abs(count - 500) < 5 * (2000 * 0.25 * 0.75) ** 0.5 for count in seen)


def test_the_digest_covers_every_answer(honest: Path) -> None:
    answers = merge(read_journal(path) for path in journal_paths(honest / "journal"))
    world = a_world(CountingEngine(), TableHarness(docs=DOCS))
    plan = side(honest).record.effective
    built = build(plan, harness=world.harness, engine=world.engine, progress=world.progress)
    digest = side(honest).record.observed.answers_digest
    assert answers_digest(built.requests, answers) == digest
    for request in built.requests[:: len(built.requests) // 40]:
        changed = {**answers, request.hash: a_likelihood(request, -7.5)}
        assert answers_digest(built.requests, changed) != digest


# ------------------------------------------------------------------ the outcome


def test_an_honest_record_is_held_and_the_bound_is_told(honest: Path, tmp_path: Path) -> None:
    engine = CountingEngine()
    verdict = audited(honest, tmp_path / "out", samples=300, engine=engine)
    assert verdict.outcome == "held"
    assert verdict.exit_code == 0
    assert (verdict.evidence["matches"], verdict.evidence["mismatches"]) == (300, 0)
    assert float(verdict.evidence["forged_at_most"]["share"]) < 0.01
    assert all(len(op.requests) == 1 for op in engine.asked[:300]), "asked alone"
    assert max(len(op.requests) for op in engine.asked[300:]) > 1, "and then in other batches"
    (journal,) = journal_paths(tmp_path / "out" / "journal")
    assert read_journal(journal).responses == 300


@pytest.mark.parametrize("share", [0.01, 0.03, 0.10])
def test_forging_is_caught_at_the_rate_that_theory_gives(share: float, tmp_path: Path) -> None:
    """The forged are one choice each of `share` of the requests; 200 audits of 40 requests, binomial tolerance."""
    forged = range(round(share * 2 * DOCS))
    folder = made(tmp_path / "forged", ForgingEngine(forged))
    expected = detection_rate(2 * DOCS, len(forged), 40)
    answers = merge(read_journal(path) for path in journal_paths(folder / "journal"))
    digest = side(folder).record.observed.answers_digest
    world = a_world(CountingEngine(), TableHarness(docs=DOCS))
    plan = side(folder).record.effective
    built = build(plan, harness=world.harness, engine=world.engine, progress=world.progress)
    order = sorted(built.requests, key=lambda request: request.key)
    honest_engine = CountingEngine()
    rounds = 200
    caught = 0
    for number in range(rounds):
        drawn = [order[i] for i in draw(digest, bytes.fromhex(nonce(number)), 40, len(order))]
        op = Op(0, "loglikelihood", "choose", tuple(range(len(drawn))), 1)
        again = honest_engine.answer(op, drawn, [])
        caught += any(not agrees(answers[a.request], a, (1e-3, 1e-5)) for a in again)
    assert abs(caught / rounds - expected) < 4 * (expected * (1 - expected) / rounds) ** 0.5 + 1e-9
    outcomes = {
        audited(folder, tmp_path / f"{n}", samples=40, hexes=nonce(n)).outcome for n in range(rounds, rounds + 3)
    }
    assert outcomes <= {"held", "failed"}
    if share == 0.10:
        assert "failed" in outcomes


def test_what_is_forged_is_shown_and_exits_with_1(tmp_path: Path) -> None:
    folder = made(tmp_path / "forged", ForgingEngine(range(DOCS)))
    verdict = audited(folder, tmp_path / "out", samples=20)
    assert verdict.outcome == "failed"
    assert verdict.exit_code == 1
    shown = verdict.evidence["shown"][0]
    assert shown["choice"] == 0
    assert shown["there"]["ll"] == "-0.01" != shown["here"]["ll"]


def test_benign_numerics_are_measured_on_the_spot_and_not_accused(honest: Path, tmp_path: Path) -> None:
    """An engine whose answers depend on their batch: alone they drift, and so they do in other batches."""

    class Batchy(DriftingEngine):
        def answer(self, op: Op, requests: Sequence[Request], encoded: Sequence[Encoded]) -> list[Response]:
            self.drift = lambda request: 0.1 * (request.doc_id % 10 == 0) * (1 if len(op.requests) == 1 else 0)
            return super().answer(op, requests, encoded)

    verdict = audited(honest, tmp_path / "out", samples=200, engine=Batchy())
    assert verdict.evidence["mismatches"] > 5
    assert verdict.evidence["benign"]["mismatches"] > 5
    assert verdict.outcome == "held"
    assert verdict.evidence["allowed"] >= verdict.evidence["mismatches"]


def test_whole_ops_are_compared_bit_for_bit(honest: Path, tmp_path: Path) -> None:
    assert audited(honest, tmp_path / "a", samples=None, ops=20).outcome == "held"
    drifting = DriftingEngine(drift=lambda request: 1e-12)
    verdict = audited(honest, tmp_path / "b", samples=None, ops=20, engine=drifting)
    assert verdict.outcome == "failed"
    assert verdict.evidence["mismatches"] == 20
    assert verdict.evidence["tolerance"] == "bits"


def test_bits_are_not_demanded_of_another_machine(honest: Path, tmp_path: Path) -> None:
    shutil.copytree(honest, tmp_path / "moved")

    def moved(value: dict) -> None:  # type: ignore[type-arg]
        value["observed"]["attempts"][0]["environment"][0]["value"] = "another"

    rewrite_record(tmp_path / "moved", moved)
    drifting = DriftingEngine(drift=lambda request: 1e-12)
    verdict = audited(tmp_path / "moved", tmp_path / "out", samples=None, ops=20, engine=drifting)
    assert verdict.outcome == "inconclusive"
    assert verdict.exit_code == 7


def test_another_model_or_data_is_not_comparable_and_costs_nothing(honest: Path, tmp_path: Path) -> None:
    engine = CountingEngine()
    verdict = audited(honest, tmp_path / "out", engine=engine, docs=DOCS - 1)
    assert verdict.outcome == "not comparable"
    assert engine.loads == 0


def test_a_journal_that_is_not_the_committed_one_is_refused(honest: Path, tmp_path: Path) -> None:
    shutil.copytree(honest, tmp_path / "other")
    rewrite_record(tmp_path / "other", lambda value: value["observed"].update(answers_digest="1" * 64))
    with pytest.raises(VerificationFailed, match="commits to"):
        audited(tmp_path / "other", tmp_path / "out")
    shutil.rmtree(tmp_path / "other" / "journal")
    with pytest.raises(MissingInput, match="journal"):
        audited(tmp_path / "other", tmp_path / "out")


# ------------------------------------------------------------------ words and price


@pytest.mark.parametrize(
    ("samples", "ops", "hexes", "word"),
    [
        (0, None, NONCE, "samples"),
        (-1, None, NONCE, "samples"),
        (None, 0, NONCE, "ops"),
        (None, None, NONCE, "samples"),
        (5, 5, NONCE, "exactly one"),
        (5, None, NONCE[:-2], "nonce"),
        (5, None, "", "nonce"),
        (5, None, "xyz" * 16, "nonce"),
    ],
)
def test_a_challenge_that_cannot_be_used_is_refused(
    samples: int | None, ops: int | None, hexes: str, word: str
) -> None:
    with pytest.raises(BadInput) as caught:
        challenge(samples, ops, hexes)
    assert word in str(caught.value)


def test_more_than_there_are_is_refused(honest: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="1001 asked of 1000 rows"):
        audited(honest, tmp_path / "out", samples=2 * DOCS + 1)


def test_the_price_is_told_in_tokens_and_time(honest: Path) -> None:
    world = a_world(CountingEngine(), TableHarness(docs=DOCS))
    record = side(honest).record
    built = build(record.effective, harness=world.harness, engine=world.engine, progress=world.progress)
    text = price(record, built, built.ops, both=False)
    assert text.startswith("1000 requests (100.0 %)")
    assert f"at most {sum(op.cost for op in built.ops)} tokens" in text
    assert "at the record's own speed" in text


def test_an_answer_agrees_within_tolerance_and_only_then() -> None:
    request = a_choice()
    at = a_likelihood(request, -10.0)
    assert agrees(at, a_likelihood(request, -10.0011), (1e-3, 1e-5))
    assert not agrees(at, a_likelihood(request, -10.0012), (1e-3, 1e-5))
    assert not agrees(at, a_likelihood(request, -10.0, greedy=True), (1e-3, 1e-5))
    text = Generated("r", (1,), "raw", "text", "eos")
    assert agrees(text, Generated("r", (2,), "other raw", "text", "length"), (0, 0))
    assert not agrees(text, Generated("r", (1,), "raw", "Text", "eos"), (0, 0))
    assert not agrees(at, text, (1, 1))
