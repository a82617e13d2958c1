"""What `benchproof verify` found, for people and for programs."""

from typing import Any

from benchproof.report.text import out, table
from benchproof.verify import Verification

UNSIGNED = "unsigned: nobody vouches for this record"
UNKNOWN = "signed, by nobody that you trust: nobody that you know vouches for this record"


def show_verification(found: Verification) -> None:
    """Every check with its result, and a sentence at the end."""
    out(f"{found.record}", bold=True)
    table([(check.name, check.result, check.detail) for check in found.checks], head=("check", "result", "detail"))
    out(vouched(found))
    out(sentence(found), bold=True)


def vouched(found: Verification) -> str:
    """Who vouches for the record, as far as its reader can tell. A signature says who, never that it is true."""
    names = [name for signature in found.signatures for name in signature.names]
    if names:
        return f"signed by {', '.join(dict.fromkeys(names))}"
    return UNKNOWN if any(signature.state == "unknown key" for signature in found.signatures) else UNSIGNED


def sentence(found: Verification) -> str:
    """What the checks come to, in one line."""
    failed, unchecked = found.named("failed"), found.named("not checked")
    if failed:
        return f"NOT VERIFIED: {len(failed)} {'check' if len(failed) == 1 else 'checks'} failed: {', '.join(failed)}"
    if unchecked:
        return f"verified as far as it goes: NOT CHECKED: {', '.join(unchecked)}"
    return f"verified: {len(found.checks)} checks; the scores follow from the answers that are recorded"


def verification_json(found: Verification) -> dict[str, Any]:
    """The same for a program."""
    return {
        "record": str(found.record),
        "record_id": found.record_id or None,
        "exit_code": found.exit_code,
        "vouched": vouched(found),
        "signatures": [
            {
                "file": s.path.name,
                "state": s.state,
                "names": list(s.names),
                "keyids": list(s.keyids),
                "detail": s.detail,
            }
            for s in found.signatures
        ],
        "verdict": sentence(found),
        "checks": [{"name": check.name, "result": check.result, "detail": check.detail} for check in found.checks],
    }
