"""Who signed: every envelope beside the record is a valid one, and those who must have signed did."""

from benchproof.checks.evidence import Differs, Evidence, Unread


def signatures(evidence: Evidence) -> str:
    """Every envelope in signatures/ is whole and about this record; by whom, as far as the reader knows the key."""
    found = evidence.signatures
    wrong = [item for item in found if item.state == "invalid"]
    if wrong:
        raise Differs(f"{wrong[0].path.name}: {wrong[0].detail}")
    if not found:
        return "none: the record is unsigned"
    known = [item for item in found if item.state == "trusted"]
    if not known:
        raise Unread("; ".join(item.detail for item in found))
    return "; ".join(item.detail for item in found)


def required_signers(evidence: Evidence) -> str:
    """Each required key is trusted, and has signed."""
    names = {name for item in evidence.signatures if item.state == "trusted" for name in item.names}
    signed = names | {key.keyid for name, key in evidence.trusted.items() if name in names}
    known = set(evidence.trusted) | {key.keyid for key in evidence.trusted.values()}
    for word in evidence.required:
        if word not in known:
            raise Differs(f"{word} is no key that you trust")
        if word not in signed:
            unsigned = "" if evidence.signatures else ": the record is unsigned"
            raise Differs(f"{word} has not signed{unsigned}")
    return f"all {len(evidence.required)} have signed" if evidence.required else "nobody is required"
