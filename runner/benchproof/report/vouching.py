"""Who stands behind a record, as facts that are never one: who trained, who ran, who signed, who checked."""

from collections.abc import Mapping
from pathlib import Path

from benchproof.floor import VERDICTS
from benchproof.proof.keys import PublicKey
from benchproof.proof.signatures import Signature, signatures_of
from benchproof.report.text import out
from benchproof.schema.record import Record
from benchproof.schema.unknown import Unknown
from benchproof.schema.verdict import Verdict
from benchproof.store.files import file_sha256
from benchproof.verdict import read_verdict


def show_vouching(record: Record, file: Path, trusted: Mapping[str, PublicKey]) -> None:
    """The publisher as the record names it, the signatures beside it, and the verdicts in verdicts/ with theirs."""
    out("\nwho stands behind it", bold=True)
    publisher, model = record.publisher, record.effective.ask.model
    place = f"{model.repo}, which is where it lies" if model.repo else "a local folder"
    out(f"  trained     not recorded; the model is {place}")
    if isinstance(publisher, Unknown):
        out(f"  ran         unknown: {publisher.detail}")
    else:
        what = publisher.relationship.replace("_", " ")
        out(f"  ran         by {publisher.organization}, {what} to the model's developer, as the record says")
    signatures = signatures_of(file, "record", trusted)
    for signature in signatures:
        out(f"  signed      {_told(signature)}")
    if not signatures:
        out("  signed      by nobody: nobody vouches for this record")
    for path in sorted((file.parent / VERDICTS).glob("*.json")):
        if path.name.endswith(".dsse.json"):
            continue
        verdict = read_verdict(path)
        if verdict.kind != "noise" and not is_about(verdict, record, file):  # noise is of a plan, and judges no record
            out(f"  checked     INVALID: {path.name} is about another record")
            continue
        by = [_told(signature) for signature in signatures_of(path, "verdict", trusted)]
        out(
            f"  checked     {verdict.kind}: {verdict.outcome}, {verdict.created}; signed {', '.join(by) or 'by nobody'}"
        )
    out("`show` checks ids and signatures; `benchproof verify` checks everything that can be without the model")


def is_about(verdict: Verdict, record: Record, file: Path) -> bool:
    """Whether a verdict is about this record, by its id and by its file's bytes."""
    return (verdict.about.record_id, verdict.about.sha256) == (record.record_id, file_sha256(file))


def _told(signature: Signature) -> str:
    return signature.detail if signature.state != "invalid" else f"INVALID: {signature.detail}"
