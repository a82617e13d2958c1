"""The journal: what is acknowledged stays, what is torn is told, what is corrupt stops."""

import errno
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchproof.errors import BadInput, DiskError, VerificationFailed
from benchproof.schema.canonical import canonical
from benchproof.schema.response import Generated, Loglikelihood, Response
from benchproof.store.journal import (
    LENGTH,
    MAGIC,
    JournalWriter,
    answers_digest,
    attempt_name,
    merge,
    read_journal,
)
from fakes.disk import FailingDisk, LoggedDisk
from fakes.plans import a_choice, a_generation, a_likelihood, a_text, answers_of

HEADER = {"plan_id": "p", "ask_id": "a"}
CHOICES = [a_choice(choice=i, answer=f" {i}") for i in range(4)]
FRAMES: list[list[Response]] = [
    [a_likelihood(CHOICES[0], -0.5), a_likelihood(CHOICES[1], -1e-5)],
    [a_text(a_generation(), 'a "quoted" text with {"op":1} and \n and é')],
    [a_likelihood(CHOICES[2], -7.25)],
    [a_likelihood(CHOICES[3], -3.0, greedy=True)],
]


def write(path: Path, frames: list[list[Response]] = FRAMES, *, end: bool = True) -> list[int]:
    """A journal; returns where each frame begins, the header first, and where the last one ends."""
    with JournalWriter(path, HEADER) as journal:
        ends = [len(MAGIC), path.stat().st_size]
        for op, responses in enumerate(frames):
            journal.append(op, responses)
            ends.append(path.stat().st_size)
        if end:
            journal.end({"ended": "now"})
            ends.append(path.stat().st_size)
    return ends


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / attempt_name(0, 1, 0)


def test_what_was_written_is_read(path: Path) -> None:
    write(path)
    found = read_journal(path)
    assert found.ops == dict(enumerate(FRAMES))
    assert (found.torn, found.frames, found.responses) == (0, 6, 5)
    assert found.end == {"ended": "now"}
    assert found.header["plan_id"] == "p"
    assert path.name == "shard-000-of-001.attempt-0.journal"


def test_the_format_is_the_documented_one(path: Path) -> None:
    """Read by hand, as somebody without our code would: magic, frames, a chain that starts at sha256(magic)."""
    write(path)
    data = path.read_bytes()
    assert data.startswith(b"BPJOURNAL1\n")
    position, head, bodies = 11, hashlib.sha256(b"BPJOURNAL1\n").digest(), []
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        body = data[position + 4 : position + 4 + length]
        head = hashlib.sha256(head + body).digest()
        assert data[position + 4 + length : position + 36 + length] == head
        bodies.append(json.loads(body))
        position += 36 + length
    assert bodies[0] == {"format": "benchproof/journal/v1", **HEADER}
    assert [body["op"] for body in bodies[1:-1]] == [0, 1, 2, 3]
    assert list(bodies[-1]) == ["end"]
    assert read_journal(path).head == head.hex()


def test_a_new_journal_never_takes_an_old_ones_place(path: Path) -> None:
    write(path)
    before = path.read_bytes()
    with pytest.raises(BadInput):
        JournalWriter(path, HEADER)
    assert path.read_bytes() == before


@given(st.floats(allow_nan=False, allow_infinity=False, max_value=0.0))
@example(-0.0)
@example(-5e-324)
@example(-2.2250738585072014e-308)
@example(-1.7976931348623157e308)
@example(-0.1)
def test_a_log_likelihood_keeps_every_bit(value: float) -> None:
    response = Loglikelihood("00", value, False, 1)
    text = json.loads(canonical(response.json_value()))
    assert isinstance(text["ll"], str)
    from benchproof.schema.response import response_from

    back = response_from(text)
    assert isinstance(back, Loglikelihood)
    assert back.loglikelihood.hex() == value.hex()
    assert math.copysign(1, back.loglikelihood) == math.copysign(1, value)


def test_a_log_likelihood_keeps_every_bit_on_disk(path: Path) -> None:
    values = [-0.0, -5e-324, -0.1, -123456.78901234567, -1e300]
    frames: list[list[Response]] = [[a_likelihood(a_choice(choice=i), value)] for i, value in enumerate(values)]
    write(path, frames)
    back = [a for answers in read_journal(path).ops.values() for a in answers]
    assert [a.loglikelihood.hex() for a in back if isinstance(a, Loglikelihood)] == [v.hex() for v in values]


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_what_is_not_finite_is_never_acknowledged(path: Path, value: float) -> None:
    with JournalWriter(path, HEADER) as journal, pytest.raises(ValueError, match="only finite"):
        journal.append(0, [a_likelihood(CHOICES[0], value)])
    assert read_journal(path).ops == {}


# ----------------------------------------------------------------- torn tails


def test_a_tail_torn_at_any_byte_is_ignored_and_told(path: Path) -> None:
    ends = write(path, end=False)
    data = path.read_bytes()
    for cut in range(ends[-2], ends[-1]):
        path.write_bytes(data[:cut])
        found = read_journal(path)
        assert found.ops == dict(enumerate(FRAMES[:-1])), cut
        assert found.torn == cut - ends[-2]
        assert path.stat().st_size == cut, "reading cuts nothing"


def test_a_file_torn_before_its_first_frame_holds_nothing(path: Path) -> None:
    ends = write(path)
    data = path.read_bytes()
    for cut in range(ends[1]):
        path.write_bytes(data[:cut])
        found = read_journal(path)
        assert (found.header, found.ops, found.end) == ({}, {}, None)


def test_a_tail_zero_filled_from_any_byte_on_is_torn(path: Path) -> None:
    """What a crash leaves when the file's new size reached the disk and its bytes did not."""
    ends = write(path, end=False)
    data = path.read_bytes()
    for cut in range(ends[-2], ends[-1] - 1):
        if not any(data[cut:]):
            continue
        path.write_bytes(data[:cut] + bytes(len(data) - cut))
        found = read_journal(path)
        assert found.ops == dict(enumerate(FRAMES[:-1])), cut
        assert found.torn == len(data) - ends[-2]


def test_a_file_zero_filled_before_its_first_frame_holds_nothing(path: Path) -> None:
    ends = write(path)
    data = path.read_bytes()
    for cut in range(ends[1] - 1):
        path.write_bytes(data[:cut] + bytes(ends[1] - cut))
        assert read_journal(path).header == {}, cut


@pytest.mark.parametrize("mask", [0x01, 0x80])
def test_a_byte_flipped_in_the_last_frame_is_a_torn_tail(path: Path, mask: int) -> None:
    ends = write(path, end=False)
    data = bytearray(path.read_bytes())
    for at in range(ends[-2], ends[-1]):
        data[at] ^= mask
        path.write_bytes(data)
        assert read_journal(path).ops == dict(enumerate(FRAMES[:-1])), at
        data[at] ^= mask


@pytest.mark.parametrize("mask", [0x01, 0x80])
def test_a_byte_flipped_in_any_earlier_frame_is_corruption(path: Path, mask: int) -> None:
    """Its length included: a length that points behind the end must not make a torn tail of what was acknowledged."""
    ends = write(path)
    data = bytearray(path.read_bytes())
    for number in range(len(ends) - 2):
        for at in range(ends[number], ends[number + 1]):
            data[at] ^= mask
            path.write_bytes(data)
            with pytest.raises(VerificationFailed, match=f"corrupt at byte {ends[number]}") as caught:
                read_journal(path)
            assert caught.value.exit_code == 1
            data[at] ^= mask


def test_a_hole_over_earlier_frames_is_corruption(path: Path) -> None:
    ends = write(path)
    data = path.read_bytes()
    for hole in (bytes(ends[3] - ends[1]), b"\xff" * (ends[3] - ends[1])):
        path.write_bytes(data[: ends[1]] + hole + data[ends[3] :])
        with pytest.raises(VerificationFailed, match=f"byte {ends[1]}"):
            read_journal(path)


def test_a_frame_taken_out_is_corruption(path: Path) -> None:
    ends = write(path)
    data = path.read_bytes()
    path.write_bytes(data[: ends[2]] + data[ends[3] :])
    with pytest.raises(VerificationFailed):
        read_journal(path)


def test_another_file_is_not_a_journal(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(VerificationFailed, match="not a journal"):
        read_journal(path)


def frame(head: bytes, value: Any) -> bytes:
    body = canonical(value)
    return LENGTH.pack(len(body)) + body + hashlib.sha256(head + body).digest()


@pytest.mark.parametrize("inside", [False, True])
def test_a_newer_format_says_to_update(path: Path, inside: bool) -> None:
    start = hashlib.sha256(MAGIC).digest()
    newer = frame(start, {"format": "benchproof/journal/v2"})
    path.write_bytes(MAGIC + newer if inside else b"BPJOURNAL2\n" + newer)
    with pytest.raises(BadInput, match="newer") as caught:
        read_journal(path)
    assert caught.value.exit_code == 2
    assert "update" in caught.value.do


@pytest.mark.parametrize(
    "value",
    [
        {"op": 0},
        {"responses": []},
        {"op": "x", "responses": []},
        {"op": 0, "responses": [{"r": "00"}]},
        {"op": 0, "responses": [{"r": "00", "ll": "nan", "greedy": True, "n": 1}]},
        {"op": 0, "responses": [{"r": "00", "ll": "-1.50", "greedy": True, "n": 1}]},
        {"op": 0, "responses": [{"r": "00", "ids": [], "raw": "", "text": "", "stop": "tired"}]},
        {"end": 7},
        [],
    ],
)
def test_a_frame_with_a_right_hash_and_wrong_content_is_refused(path: Path, value: Any) -> None:
    first = frame(hashlib.sha256(MAGIC).digest(), {"format": "benchproof/journal/v1"})
    path.write_bytes(MAGIC + first + frame(first[-32:], value))
    with pytest.raises(VerificationFailed) as caught:
        read_journal(path)
    assert len(caught.value.lines()) <= 5


def test_an_op_that_stands_twice_in_one_attempt_is_refused(path: Path) -> None:
    with JournalWriter(path, HEADER) as journal:
        journal.append(0, FRAMES[0])
        journal.append(0, FRAMES[0])
    with pytest.raises(VerificationFailed):
        read_journal(path)


# ------------------------------------------------------------ acknowledgement


def test_everything_is_on_the_disk_before_it_counts(path: Path) -> None:
    disk = LoggedDisk()
    name = path.name
    with JournalWriter(path, HEADER, disk) as journal:
        assert disk.log[0] == ("create", name)
        assert disk.log[-2:] == [("fsync", name), ("fsync_folder", path.parent.name)]
        for op, responses in enumerate(FRAMES):
            before = len(disk.log)
            journal.append(op, responses)
            assert disk.log[before:] == [("write", name), ("fsync", name)], "no append returns before its fsync"
        before = len(disk.log)
        journal.end({})
        assert disk.log[before:] == [("write", name), ("fsync", name)]
    assert disk.log[-1] == ("close", name)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("step", range(5, 9))
def test_an_append_that_fails_is_not_acknowledged_and_what_came_before_stays(path: Path, step: int, code: int) -> None:
    disk = FailingDisk(at=step, code=code)  # 0 to 4 make the file: create, magic, header, fsync, folder
    acknowledged = 0
    with pytest.raises(DiskError) as caught, JournalWriter(path, HEADER, disk) as journal:
        for op, responses in enumerate(FRAMES):
            journal.append(op, responses)
            acknowledged += 1
    assert caught.value.exit_code == 6
    assert acknowledged == (step - 5) // 2
    found = read_journal(path)
    assert [found.ops[op] for op in range(acknowledged)] == FRAMES[:acknowledged]
    if (step - 5) % 2 == 0:  # the write failed half way
        assert len(found.ops) == acknowledged
        assert found.torn > 0
    else:
        assert disk.log[-2][0] == "write", "a failed fsync is never tried again"


@pytest.mark.parametrize("step", range(5))
def test_a_journal_that_cannot_be_begun_is_a_disk_error_and_closes_its_file(path: Path, step: int) -> None:
    disk = FailingDisk(at=step)
    with pytest.raises(DiskError):
        JournalWriter(path, HEADER, disk)
    assert [verb for verb, _ in disk.log].count("create") == [verb for verb, _ in disk.log].count("close")
    if path.exists():
        assert read_journal(path).ops == {}


# ---------------------------------------------------------------------- merge


def test_two_attempts_are_merged_and_equal_answers_may_stand_in_both(tmp_path: Path) -> None:
    write(tmp_path / "a", FRAMES[:3], end=False)
    write(tmp_path / "b", FRAMES[1:])
    files = [read_journal(tmp_path / name) for name in "ab"]
    assert merge(files) == answers_of(*(r for frame in FRAMES for r in frame))
    assert merge([]) == {}


@pytest.mark.parametrize(
    "other",
    [
        a_likelihood(CHOICES[0], math.nextafter(-0.5, 0)),
        a_likelihood(CHOICES[0], -0.5, greedy=True),
        Generated(CHOICES[0].hash, (), "", "", "eos"),
    ],
)
def test_two_answers_that_differ_in_one_bit_are_corruption(tmp_path: Path, other: Response) -> None:
    write(tmp_path / "a", [[a_likelihood(CHOICES[0], -0.5)]])
    write(tmp_path / "b", [[other]])
    with pytest.raises(VerificationFailed, match="two different answers") as caught:
        merge([read_journal(tmp_path / "a"), read_journal(tmp_path / "b")])
    assert caught.value.exit_code == 1


def test_the_digest_is_of_the_answers_and_not_of_the_order_they_came_in() -> None:
    requests = [a_choice(doc_id=i) for i in range(12)]
    answers = {r.hash: a_likelihood(r, -float(r.doc_id)) for r in requests}
    shuffled = dict(reversed(answers.items()))
    assert answers_digest(requests, dict(answers)) == answers_digest(requests[::-1], dict(shuffled))
    changed: dict[str, Response] = {**answers, requests[3].hash: a_likelihood(requests[3], math.nextafter(-3.0, 0))}
    assert answers_digest(requests, changed) != answers_digest(requests, dict(answers))


def test_a_frame_that_is_written_another_way_is_corruption(tmp_path: Path) -> None:
    body = b'{"format": "benchproof/journal/v1"}'  # a space: the same value, and not the canonical bytes
    head = hashlib.sha256(hashlib.sha256(MAGIC).digest() + body).digest()
    (tmp_path / "one.journal").write_bytes(MAGIC + len(body).to_bytes(4, "big") + body + head)
    with pytest.raises(VerificationFailed, match="not canonical"):
        read_journal(tmp_path / "one.journal")
