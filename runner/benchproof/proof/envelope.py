"""DSSE envelopes (DSSE 1.0): exact bytes, and signatures over them. Checked before anything inside is parsed.

PAE(type, body) = "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body        (secure-systems-lab/dsse, protocol.md)
envelope = {"payload": base64(body), "payloadType": type, "signatures": [{"keyid": ..., "sig": base64}]}
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchproof.errors import VerificationFailed
from benchproof.proof.keys import PrivateKey, PublicKey
from benchproof.schema.canonical import canonical, strict_loads

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_BYTES = 4_000_000  # of an envelope: a statement is a few hundred bytes for each file of a run
MAX_SIGNATURES = 16  # of an envelope; ours has one. Each is tried under every trusted key
URL_SAFE = str.maketrans("-_", "+/")


@dataclass(frozen=True, slots=True)
class Envelope:
    """An envelope as read: the exact bytes that were signed, and each signature with its key's hint."""

    body: bytes
    signatures: tuple[tuple[str, bytes], ...]  # keyid as hinted, "" if absent; signature

    def signers(self, keys: Mapping[str, PublicKey]) -> list[str]:
        """Names of the keys that signed, each once. The hint decides nothing: every key is tried on every signature."""
        message = pae(PAYLOAD_TYPE, self.body)
        found: dict[bytes, str] = {}
        for name, key in keys.items():
            if any(key.verifies(signature, message) for _, signature in self.signatures):
                found.setdefault(key.raw, name)
        return list(found.values())


def pae(kind: str, body: bytes) -> bytes:
    """What is signed: the type and the body with their lengths in bytes, so that no two pairs have equal bytes."""
    name = kind.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(body), body)


def seal(body: bytes, key: PrivateKey) -> bytes:
    """An envelope with one signature, as the bytes of a file."""
    value = {
        "payload": base64.b64encode(body).decode("ascii"),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [
            {
                "keyid": key.public.keyid,
                "sig": base64.b64encode(key.sign(pae(PAYLOAD_TYPE, body))).decode("ascii"),
            }
        ],
    }
    return canonical(value) + b"\n"


def open_envelope(data: bytes, where: str) -> Envelope:
    """An envelope's bytes, read strictly. Nothing in the body is parsed, and no signature is checked yet.

    Raises VerificationFailed (1): too large, no strict JSON, another type, no signature or too many, base64
    in a second spelling.
    """

    def refuse(what: str) -> VerificationFailed:
        return VerificationFailed(f"no valid envelope: {what}", where=where, do="take the file from its source again")

    if len(data) > MAX_BYTES:
        raise refuse(f"larger than {MAX_BYTES} bytes")
    value = strict_loads(data, where=where)
    if not isinstance(value, dict) or not isinstance(value.get("signatures"), list):
        raise refuse("it is no mapping with signatures")
    if value.get("payloadType") != PAYLOAD_TYPE:
        raise refuse(f"its type is {value.get('payloadType')!r}, not {PAYLOAD_TYPE}")
    if not value["signatures"]:
        raise refuse("its list of signatures is empty")
    if len(value["signatures"]) > MAX_SIGNATURES:
        raise refuse(f"it has over {MAX_SIGNATURES} signatures")
    try:
        body = _decoded(value.get("payload"))
        signatures = tuple((_hint(item), _decoded(item.get("sig"))) for item in value["signatures"])
    except (AttributeError, TypeError, ValueError) as error:
        raise refuse(str(error)) from error
    return Envelope(body, signatures)


def _hint(item: Mapping[str, Any]) -> str:
    keyid = item.get("keyid", "")
    if not isinstance(keyid, str):
        raise ValueError("a keyid is no text")
    return keyid


def _decoded(text: Any) -> bytes:
    """Base64 of either alphabet, in its one spelling: padded, no stray characters, no loose bits."""
    if not isinstance(text, str):
        raise ValueError("a payload or signature is no text")
    if set(text) & set("+/") and set(text) & set("-_"):
        raise ValueError("base64 of two alphabets")
    standard = text.translate(URL_SAFE)
    try:
        data = base64.b64decode(standard, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from error
    if base64.b64encode(data).decode("ascii") != standard:
        raise ValueError("base64 in a second spelling")
    return data
