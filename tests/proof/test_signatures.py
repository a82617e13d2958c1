"""A signature speaks of exact bytes: whatever is changed, swapped or added afterwards fails, and says what."""

import base64
import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchproof.proof.envelope import PAYLOAD_TYPE, pae
from benchproof.proof.keys import PrivateKey
from benchproof.proof.signatures import Signature, envelope_path, signatures_of, write_signature
from benchproof.proof.statement import about_record, about_verdict
from benchproof.schema.canonical import canonical
from benchproof.verify import CHECKS, Verification, verify_all
from fakes.checks import rewrite_record, run_again, side
from fakes.world import table_run
from proof.test_envelope import KEY, OTHER

TRUSTED = {"alice": KEY.public}
WHEN = "2026-01-02T03:04:05Z"


GOLDEN = Path(__file__).parents[1] / "golden" / "v1.1"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A run that verifies, without a signature."""
    shutil.copytree(GOLDEN, tmp_path / "made")
    return tmp_path / "made"


@pytest.fixture
def signed(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "signed")
    sign(tmp_path / "signed", KEY)
    return tmp_path / "signed"


def sign(folder: Path, key: PrivateKey) -> Path:
    file = folder / "record.json"
    return write_signature(about_record(side(folder).record, file.read_bytes(), file.name, WHEN), file, key)


def found(folder: Path) -> list[Signature]:
    return signatures_of(folder / "record.json", "record", TRUSTED)


def verified(folder: Path, *required: str) -> Verification:
    return verify_all([folder], trusted=TRUSTED, required=required)[0]


def failed(folder: Path, *required: str) -> list[str]:
    return verified(folder, *required).named("failed")


def test_a_record_that_was_signed_verifies_and_says_by_whom(signed: Path) -> None:
    (signature,) = found(signed)
    assert (signature.state, signature.names, signature.detail) == ("trusted", ("alice",), "by alice")
    assert failed(signed, "alice", KEY.public.keyid) == []
    assert signature.path == envelope_path(signed / "record.json", "record", KEY.public.keyid)


def test_an_unknown_key_says_nothing_and_a_required_one_is_missed(signed: Path, made: Path) -> None:
    unknown = signatures_of(signed / "record.json", "record", {"bob": OTHER.public})
    assert [item.state for item in unknown] == ["unknown key"]
    stranger = verify_all([signed], trusted={"bob": OTHER.public})[0]
    assert stranger.exit_code == 0
    assert "signatures" in stranger.named("not checked")
    assert verify_all([signed], trusted={"bob": OTHER.public}, required=["bob"])[0].exit_code == 1
    assert failed(signed, "bob") == ["required-signers"]
    assert failed(made) == []
    (check,) = [item for item in verified(made, "alice").checks if item.name == "required-signers"]
    assert (check.result, "unsigned" in check.detail) == ("failed", True)


def test_several_people_sign_side_by_side_and_each_once(signed: Path) -> None:
    sign(signed, OTHER)
    both = verify_all([signed], trusted=TRUSTED | {"bob": OTHER.public}, required=["alice", "bob"])[0]
    assert both.exit_code == 0
    assert sorted(name for item in both.signatures for name in item.names) == ["alice", "bob"]
    with pytest.raises(Exception, match="never overwritten"):
        sign(signed, OTHER)


def resealed(folder: Path, change: Callable[[dict[str, Any]], Any], key: PrivateKey = KEY) -> None:
    """Another statement, validly signed by the same key."""
    path = envelope_path(folder / "record.json", "record", KEY.public.keyid)
    envelope = json.loads(path.read_bytes())
    value = json.loads(base64.b64decode(envelope["payload"]))
    body = change(value)
    body = canonical(value) if body is None else body
    envelope["payload"] = base64.b64encode(body).decode()
    envelope["signatures"][0]["sig"] = base64.b64encode(key.sign(pae(PAYLOAD_TYPE, body))).decode()
    path.write_text(json.dumps(envelope))


def in_envelope(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def forge(folder: Path) -> None:
        path = envelope_path(folder / "record.json", "record", KEY.public.keyid)
        value = json.loads(path.read_bytes())
        change(value)
        path.write_text(json.dumps(value))

    return forge


def flip(text: str) -> str:
    data = bytearray(base64.b64decode(text))
    data[10] ^= 1
    return base64.b64encode(data).decode()


def swap_record(folder: Path) -> None:
    """The envelope of another record of the same signer."""
    other = folder.parent / "another"
    shutil.copytree(GOLDEN, other)
    rewrite_record(other, lambda value: value.update(model_name="another"))
    path = sign(other, KEY)
    shutil.copyfile(path, envelope_path(folder / "record.json", "record", KEY.public.keyid))


def link(folder: Path) -> None:
    path = envelope_path(folder / "record.json", "record", KEY.public.keyid)
    path.rename(folder.parent / "kept.json")
    path.symlink_to(folder.parent / "kept.json")


def broken_beside_valid(folder: Path) -> None:
    """In the envelope of another whom the reader may trust too."""
    path = sign(folder, OTHER)
    value = json.loads(path.read_bytes())
    value["signatures"].append({"keyid": KEY.public.keyid, "sig": base64.b64encode(bytes(range(64))).decode()})
    path.write_text(json.dumps(value))
    envelope_path(folder / "record.json", "record", KEY.public.keyid).unlink()


def pipe(folder: Path) -> None:
    """A reader of it would wait for ever."""
    path = envelope_path(folder / "record.json", "record", KEY.public.keyid)
    path.unlink()
    os.mkfifo(path)


FORGED: dict[str, Callable[[Path], Any]] = {
    "1 a payload byte": in_envelope(lambda e: e.update(payload=flip(e["payload"]))),
    "2 a signature byte": in_envelope(lambda e: e["signatures"][0].update(sig=flip(e["signatures"][0]["sig"]))),
    "3 the payload's type": in_envelope(lambda e: e.update(payloadType="application/json")),
    "4 another key under this key's id": lambda folder: resealed(folder, lambda value: None, OTHER),
    "5 no signature": in_envelope(lambda e: e.update(signatures=[])),
    "20 the record, its id redone": lambda folder: rewrite_record(folder, lambda value: value.update(model_name="x")),
    "25 a key twice, signed": lambda folder: resealed(
        folder, lambda value: canonical(value).replace(b'"_type"', b'"_type":"x","_type"', 1)
    ),
    "26 NaN, signed": lambda folder: resealed(
        folder, lambda value: canonical(value).replace(b'"_type"', b'"a":NaN,"_type"', 1)
    ),
    "27 a BOM, signed": lambda folder: resealed(folder, lambda value: b"\xef\xbb\xbf" + canonical(value)),
    "27 UTF-16, signed": lambda folder: resealed(folder, lambda value: canonical(value).decode().encode("utf-16")),
    "the subject of another record": swap_record,
    "another kind of statement": lambda folder: resealed(
        folder, lambda value: value.update(predicateType="https://benchproof.dev/attestation/verdict/v1")
    ),
    "somebody else's predicate": lambda folder: resealed(
        folder, lambda value: value.update(predicateType="https://x.org")
    ),
    "no subject": lambda folder: resealed(folder, lambda value: value.update(subject=[])),
    "two subjects of one name": lambda folder: resealed(
        folder, lambda value: value["subject"].append(dict(value["subject"][1]))
    ),
    "a subject outside": lambda folder: resealed(folder, lambda value: value["subject"][1].update(name="../x")),
    "an absolute subject": lambda folder: resealed(
        folder, lambda value: value["subject"][1].update(name=str(folder / "plan.json"))
    ),
    "another version of statement": lambda folder: resealed(
        folder, lambda value: value.update(_type="https://in-toto.io/Statement/v2")
    ),
    "a file that was signed is another": lambda folder: resealed(
        folder, lambda value: value["subject"][1]["digest"].update(sha256="0" * 64)
    ),
    "a symbolic link": link,
    "a pipe": pipe,
    "a broken one of this key beside somebody's valid one": broken_beside_valid,
    "no JSON": lambda folder: envelope_path(folder / "record.json", "record", KEY.public.keyid).write_bytes(b"{"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_signature_fails_by_its_check_and_by_no_other(signed: Path, name: str) -> None:
    FORGED[name](signed)
    assert failed(signed) == ["signatures"]
    assert verified(signed).exit_code == 1
    assert failed(signed, "alice") == ["signatures", "required-signers"]
    without = [check for check in CHECKS if check[0] != "signatures"]
    assert verify_all([signed], without, trusted=TRUSTED)[0].exit_code == 0, "without the check it is believed"


def test_a_valid_signature_does_not_cover_for_a_broken_one_beside_it(signed: Path) -> None:
    broken_beside_valid(signed)
    both = TRUSTED | {"bob": OTHER.public}
    (signature,) = signatures_of(signed / "record.json", "record", both)
    assert (signature.state, signature.names) == ("invalid", ())
    assert "alice's key is not that key's" in signature.detail


def test_no_changed_byte_of_any_signed_file_is_vouched_for(signed: Path) -> None:
    (envelope,) = (signed / "signatures").iterdir()
    body = json.loads(base64.b64decode(json.loads(envelope.read_bytes())["payload"]))
    names = [subject["name"] for subject in body["subject"]]
    assert {name.partition("/")[0] for name in names} >= {"record.json", "journal", "samples", "requests", "plan.json"}

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.data())
    def change(data: st.DataObject) -> None:
        path = signed / data.draw(st.sampled_from(names))
        whole = path.read_bytes()
        place = data.draw(st.integers(0, len(whole) - 1))
        other = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[place]))
        try:
            path.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
            assert [item.state for item in found(signed)] == ["invalid"]
        finally:
            path.write_bytes(whole)

    change()
    assert [item.state for item in found(signed)] == ["trusted"]


def test_another_key_is_not_the_required_one(signed: Path) -> None:
    """Row 4: a valid signature of a key that nobody pinned."""
    envelope_path(signed / "record.json", "record", KEY.public.keyid).unlink()
    sign(signed, OTHER)
    assert failed(signed) == []
    assert failed(signed, "alice") == ["required-signers"]


def test_one_signature_twice_is_one_signer(signed: Path) -> None:
    """Row 6."""
    in_envelope(lambda e: e["signatures"].append(dict(e["signatures"][0])))(signed)
    (signature,) = found(signed)
    assert signature.names == ("alice",)


@pytest.mark.parametrize("name", ["plan.json", "journal"])
def test_a_signed_file_behind_a_link_is_not_followed(signed: Path, tmp_path: Path, name: str) -> None:
    (signed / name).rename(tmp_path / "elsewhere")
    (signed / name).symlink_to(tmp_path / "elsewhere")
    (signature,) = found(signed)
    assert signature.state == "invalid"
    assert "symbolic link" in signature.detail


def test_files_that_are_not_at_hand_are_counted(signed: Path) -> None:
    shutil.rmtree(signed / "journal")
    (signature,) = found(signed)
    assert signature.detail == "by alice; 1 of its files are not at hand"


def test_a_verdict_is_signed_beside_its_file_and_not_mistaken_for_a_record(signed: Path, tmp_path: Path) -> None:
    _, run = table_run(tmp_path / "run")
    verdict = run_again(run, tmp_path / "again")
    file = tmp_path / "again" / "verdict.json"
    statement = about_verdict(verdict, file.read_bytes(), file.name, WHEN)
    path = write_signature(statement, file, OTHER)
    assert path.parent == file.parent
    (signature,) = signatures_of(file, "verdict", {"bob": OTHER.public})
    assert (signature.state, signature.names) == ("trusted", ("bob",))
    assert statement.predicate["about_record_id"] == side(run).record.record_id
    shutil.copyfile(path, signed / "signatures" / "x.dsse.json")
    (wrong,) = [item for item in found(signed) if item.path.name == "x.dsse.json"]
    assert wrong.state == "invalid"
    assert "about a verdict" in wrong.detail
    file.write_bytes(file.read_bytes().replace(b"bitwise", b"bitwisE"))
    assert signatures_of(file, "verdict", {"bob": OTHER.public})[0].state == "invalid"


def test_what_is_signed_is_small_and_says_what_must_be_seen(signed: Path) -> None:
    data = envelope_path(signed / "record.json", "record", KEY.public.keyid).read_bytes()
    value = json.loads(base64.b64decode(json.loads(data)["payload"]))
    record = side(signed).record
    assert value["predicate"]["record_id"] == record.record_id
    assert value["predicate"]["answers_digest"] == record.observed.answers_digest
    names = [subject["name"] for subject in value["subject"]]
    assert names[0] == "record.json"
    assert {"plan.json", "spec.yaml", "samples/mini_gsm8k.jsonl.zst", record.observed.attempts[0].journal} <= set(names)
    assert len(data) < 4000
    assert datetime.fromisoformat(value["predicate"]["signed_at"]).tzinfo == UTC
