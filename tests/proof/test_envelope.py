"""Envelopes: other people's verifiers accept ours, and every way to forge one is refused before anything is parsed."""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as TheirEnvelope
from securesystemslib.signer._crypto_signer import CryptoSigner  # the package does not export them to type checkers
from securesystemslib.signer._key import SSlibKey

from benchproof.errors import VerificationFailed
from benchproof.proof.envelope import MAX_SIGNATURES, PAYLOAD_TYPE, open_envelope, pae, seal
from benchproof.proof.keys import ORDER, PrivateKey, PublicKey

BODY = b'{"a":1}'
SEED = bytes(range(32))
KEY = PrivateKey(Ed25519PrivateKey.from_private_bytes(SEED))
OTHER = PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))
TRUSTED = {"alice": KEY.public}


def sealed() -> dict[str, Any]:
    return dict(json.loads(seal(BODY, KEY)))


def signers(value: Any) -> list[str]:
    return open_envelope(value if isinstance(value, bytes) else json.dumps(value).encode(), "e").signers(TRUSTED)


def test_the_specifications_vectors_of_what_is_signed() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pae("é", b"") == b"DSSEv1 2 \xc3\xa9 0 "


def test_the_key_id_is_the_sha256_of_the_public_key_in_der() -> None:
    assert KEY.public.keyid == "a050837d85070582ccf7394b0988847cc312cb88259b894899f6f239cf1791a5"


def test_ours_is_accepted_by_plain_cryptography_over_bytes_put_together_by_hand() -> None:
    value = sealed()
    body = base64.b64decode(value["payload"])
    assert body == BODY
    message = b"DSSEv1 28 application/vnd.in-toto+json %d " % len(body) + body
    key = Ed25519PublicKey.from_public_bytes(KEY.public.raw)
    key.verify(base64.b64decode(value["signatures"][0]["sig"]), message)


def test_ours_is_accepted_by_securesystemslib_and_theirs_by_us() -> None:
    crypto = Ed25519PublicKey.from_public_bytes(KEY.public.raw)
    key = SSlibKey.from_crypto(crypto, keyid=KEY.public.keyid)
    assert set(TheirEnvelope.from_dict(sealed()).verify([key], 1)) == {KEY.public.keyid}
    theirs = TheirEnvelope(BODY, PAYLOAD_TYPE, {})
    theirs.sign(CryptoSigner(Ed25519PrivateKey.from_private_bytes(SEED), public_key=key))
    assert signers(theirs.to_dict()) == ["alice"]


def test_a_body_comes_back_byte_for_byte() -> None:
    assert open_envelope(seal(b"\x00\xff not json", KEY), "e").body == b"\x00\xff not json"


# ------------------------------------------------------------------ forged

SMALL = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]


def first(value: dict[str, Any]) -> dict[str, Any]:
    return dict(value["signatures"][0])


def loose_bits(value: dict[str, Any]) -> dict[str, Any]:
    """The last letter before the padding says bits that nobody reads: `YR==` for `YQ==`."""
    sig = first(value)["sig"]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = letters[letters.index(sig[-3]) ^ 1]
    return value | {"signatures": [first(value) | {"sig": f"{sig[:-3]}{last}=="}]}


def malleated(value: dict[str, Any]) -> dict[str, Any]:
    """S + L: the same to a verifier that reduces it."""
    raw = base64.b64decode(first(value)["sig"])
    s = int.from_bytes(raw[32:], "little") + ORDER
    sig = base64.b64encode(raw[:32] + s.to_bytes(32, "little")).decode()
    return value | {"signatures": [first(value) | {"sig": sig}]}


REFUSED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another type": lambda e: e | {"payloadType": "text/plain"},
    "no type": lambda e: {key: item for key, item in e.items() if key != "payloadType"},
    "no signatures": lambda e: e | {"signatures": []},
    "signatures that are none": lambda e: e | {"signatures": "x"},
    "a signature that is no mapping": lambda e: e | {"signatures": ["x"]},
    "no padding": lambda e: e | {"payload": e["payload"].rstrip("=")},
    "a stray character": lambda e: e | {"payload": e["payload"][:4] + "\n" + e["payload"][4:]},
    "loose bits": loose_bits,
    "two alphabets": lambda e: e | {"payload": "+-+-"},
    "too many signatures": lambda e: e | {"signatures": [first(e)] * (MAX_SIGNATURES + 1)},
    "a keyid that is no text": lambda e: e | {"signatures": [first(e) | {"keyid": 7}]},
    "a list": lambda e: [e],
    "a key twice": lambda e: json.dumps(e).replace('"payloadType"', '"payload": "", "payloadType"', 1).encode(),
    "a BOM": lambda e: b"\xef\xbb\xbf" + json.dumps(e).encode(),
    "UTF-16": lambda e: json.dumps(e).encode("utf-16"),
    "NaN": lambda e: json.dumps(e | {"x": float("nan")}).encode(),
    "too large": lambda e: b" " * 5_000_000 + json.dumps(e).encode(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_envelope_of_ours_is_refused(name: str) -> None:
    value = REFUSED[name](sealed())
    with pytest.raises(VerificationFailed) as caught:
        signers(value)
    assert caught.value.exit_code == 1


def other_signature(value: dict[str, Any]) -> dict[str, Any]:
    return value | {"signatures": json.loads(seal(BODY, OTHER))["signatures"]}


UNSIGNED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a byte of the body": lambda e: e | {"payload": base64.b64encode(b'{"a":2}').decode()},
    "a byte of the signature": lambda e: e | {"signatures": [first(e) | {"sig": "A" + first(e)["sig"][1:]}]},
    "another key's": other_signature,
    "another key's under this key's id": lambda e: (
        e | {"signatures": [first(other_signature(e)) | {"keyid": KEY.public.keyid}]}
    ),
    "S + L": malleated,
    "63 bytes": lambda e: (
        e | {"signatures": [first(e) | {"sig": base64.b64encode(base64.b64decode(first(e)["sig"])[:63]).decode()}]}
    ),
    "an empty one": lambda e: e | {"signatures": [first(e) | {"sig": ""}]},
}


@pytest.mark.parametrize("name", UNSIGNED)
def test_what_the_trusted_key_did_not_sign_is_not_signed(name: str) -> None:
    assert signers(UNSIGNED[name](sealed())) == []


@pytest.mark.parametrize("raw", SMALL)
def test_a_signature_whose_point_is_of_small_order_is_none(raw: str) -> None:
    sig = base64.b64encode(bytes.fromhex(raw) + bytes(32)).decode()
    assert signers(sealed() | {"signatures": [{"keyid": KEY.public.keyid, "sig": sig}]}) == []


def test_an_owner_cannot_sign_with_a_point_of_small_order_either() -> None:
    """R the point of order 1 and S = k a: correct by the equation, and it gives the private scalar a away."""
    message = pae(PAYLOAD_TYPE, BODY)
    scalar = bytearray(hashlib.sha512(SEED).digest()[:32])
    scalar[0] &= 248
    scalar[31] = scalar[31] & 127 | 64
    point = bytes.fromhex(SMALL[0])
    k = int.from_bytes(hashlib.sha512(point + KEY.public.raw + message).digest(), "little")
    signature = point + (k * int.from_bytes(scalar, "little") % ORDER).to_bytes(32, "little")
    Ed25519PublicKey.from_public_bytes(KEY.public.raw).verify(signature, message)  # the library believes it
    assert not KEY.public.verifies(signature, message)


@pytest.mark.parametrize("raw", SMALL)
def test_under_a_weak_key_nothing_is_signed(raw: str) -> None:
    """Without the refusal some of these verify: the point of order 1 as R, and S = 0."""
    weak = PublicKey(bytes.fromhex(raw))
    forged = bytes.fromhex(SMALL[0]) + bytes(32)
    assert not any(weak.verifies(forged, b"message %d" % i) for i in range(64))


def test_the_hint_decides_nothing() -> None:
    for keyid in ("", "0" * 64, OTHER.public.keyid):
        value = sealed()
        assert signers(value | {"signatures": [first(value) | {"keyid": keyid}]}) == ["alice"]
    value = sealed()
    value["signatures"] = [{"sig": first(value)["sig"]}]
    assert signers(value) == ["alice"]


def test_one_key_counts_once_however_often_it_signed_or_is_named() -> None:
    value = sealed()
    value["signatures"] *= 2
    twice = {"alice": KEY.public, "alice again": KEY.public, "bob": OTHER.public}
    assert open_envelope(json.dumps(value).encode(), "e").signers(twice) == ["alice"]
    both = value | {"signatures": [*value["signatures"], *other_signature(value)["signatures"]]}
    assert open_envelope(json.dumps(both).encode(), "e").signers(twice) == ["alice", "bob"]


def test_the_other_alphabet_is_read() -> None:
    value = json.loads(seal(b"\xff\xef\xbe?>", KEY))
    safe = value | {"payload": value["payload"].translate(str.maketrans("+/", "-_"))}
    assert safe != value
    assert signers(safe) == ["alice"]


@settings(max_examples=300)
@given(st.data())
def test_sign_mutate_verify(data: st.DataObject) -> None:
    """Any changed byte: refused, unsigned, or the very same body signed by the very same key."""
    whole = bytearray(seal(BODY, KEY))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[place]))
    try:
        envelope = open_envelope(bytes(whole), "e")
    except VerificationFailed:
        return
    assert envelope.signers(TRUSTED) == [] or envelope.body == BODY
