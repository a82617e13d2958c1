"""The signatures beside a record or a verdict: made, found, and checked against the files at hand.

RUN_DIR/signatures/<keyid>.dsse.json        over the record, one envelope for each signer
<verdict>.<keyid>.dsse.json                 beside a verdict's file
"""

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchproof.errors import BadInput, MissingInput, VerificationFailed
from benchproof.proof.envelope import MAX_BYTES, open_envelope, seal
from benchproof.proof.keys import PrivateKey, PublicKey
from benchproof.proof.statement import Kind, Statement, read_statement
from benchproof.schema.canonical import sha256
from benchproof.store.files import disk_errors, file_sha256, write_once
from benchproof.store.folder import unsafe_path

SIGNATURES = "signatures"
SUFFIX = ".dsse.json"
State = Literal["trusted", "unknown key", "invalid"]


@dataclass(frozen=True, slots=True)
class Signature:
    """One envelope. state: signed by a trusted key; by a key that the reader does not know; or wrong, with its reason.

    names: trusted names of its signers. keyids: as hinted; a hint of an unknown key is only a hint.
    """

    path: Path
    state: State
    detail: str
    names: tuple[str, ...]
    keyids: tuple[str, ...]


def write_signature(statement: Statement, file: Path, key: PrivateKey) -> Path:
    """Signs a statement about a file; returns the envelope's path. Raises BadInput (2) if this key has signed it."""
    target = envelope_path(file, statement.kind, key.public.keyid)
    with disk_errors(target):
        target.parent.mkdir(exist_ok=True)
    if target.exists():
        raise BadInput(
            "this key has signed it: its envelope exists and is never overwritten",
            where=str(target),
            do="nothing is to be done; `benchproof verify` tells whether it is valid",
        )
    write_once(target, seal(statement.to_bytes(), key))
    return target


def attach(verdict: Path, to: Path, signatures: Sequence[Signature]) -> None:
    """Copies a verdict's file, and the envelopes beside it, to another place. What is there already stays.

    signatures: `signatures_of` the verdict. Raises VerificationFailed (1), before anything is copied, if one is
    invalid; BadInput (2) if something else is there.
    """
    for item in signatures:
        if item.state == "invalid":
            raise VerificationFailed(
                f"a signature of the verdict is not valid: {item.detail}",
                where=str(item.path),
                do="take both files from whoever signed it again",
            )
    with disk_errors(to):
        to.parent.mkdir(exist_ok=True)
    envelopes = [(item.path, to.with_name(to.stem + item.path.name.removeprefix(verdict.stem))) for item in signatures]
    for source, target in [(verdict, to), *envelopes]:
        data = source.read_bytes()
        if not target.exists() or target.read_bytes() != data:
            write_once(target, data)


def envelope_path(file: Path, kind: Kind, keyid: str) -> Path:
    """Where the envelope of one signer lies. Records and verdicts are signed in different places under other names."""
    if kind == "record":
        return file.parent / SIGNATURES / f"{keyid}{SUFFIX}"
    return file.with_name(f"{file.stem}.{keyid}{SUFFIX}")


def signatures_of(file: Path, kind: Kind, trusted: Mapping[str, PublicKey]) -> list[Signature]:
    """Every envelope that lies where those of this file lie, each checked; in order of their names."""
    pattern = f"*{SUFFIX}" if kind == "record" else f"{glob.escape(file.stem)}.*{SUFFIX}"
    folder = file.parent / SIGNATURES if kind == "record" else file.parent
    return [check(path, file, kind, trusted) for path in sorted(folder.glob(pattern))]


def check(path: Path, file: Path, kind: Kind, trusted: Mapping[str, PublicKey]) -> Signature:
    """One envelope against the file that it should be about, and every other subject that is at hand."""
    hints: tuple[str, ...] = ()
    try:
        if path.is_symlink():
            raise VerificationFailed("it is a symbolic link", where=str(path), do="copy the file itself")
        if not path.is_file():  # a pipe, say, at which a reader would wait for ever
            raise VerificationFailed("it is no file", where=str(path), do="look at what it is")
        if path.stat().st_size > MAX_BYTES:
            raise VerificationFailed("it is too large for an envelope", where=str(path), do="look at what it is")
        envelope = open_envelope(path.read_bytes(), str(path))
        hints = tuple(keyid for keyid, _ in envelope.signatures)
        names = tuple(envelope.signers(trusted))
        signed = {trusted[name].keyid for name in names}
        for name, key in trusted.items():
            if key.keyid in set(hints) - signed:
                raise VerificationFailed(
                    f"a signature that bears the id of {name}'s key is not that key's",
                    where=str(path),
                    do="do not trust it",
                )
        statement = read_statement(envelope.body, str(path))
        absent = _compare(statement, file, kind, str(path))
    except (VerificationFailed, MissingInput, OSError) as error:
        what = error.what if isinstance(error, VerificationFailed | MissingInput) else str(error)
        return Signature(path, "invalid", what, (), hints)
    left = f"; {absent} of its files are not at hand" if absent else ""
    if not names:
        keys = ", ".join(keyid[:12] or "no keyid" for keyid in hints)
        return Signature(path, "unknown key", f"by a key that you do not trust ({keys}): says nothing{left}", (), hints)
    return Signature(path, "trusted", f"by {', '.join(names)}{left}", names, hints)


def _compare(statement: Statement, file: Path, kind: Kind, where: str) -> int:
    """The statement's files against those at hand; returns how many are absent. Raises VerificationFailed."""
    if statement.kind != kind:
        raise VerificationFailed(f"it is about a {statement.kind}, not a {kind}", where=where, do="do not trust it")
    if statement.main.sha256 != sha256(file.read_bytes()):
        raise VerificationFailed(f"it is about another {kind} than {file.name}", where=where, do="do not trust it")
    absent = 0
    for subject in statement.subjects[1:]:
        if reason := unsafe_path(file.parent, subject.name):
            raise VerificationFailed(reason, where=where, do="do not trust it")
        path = file.parent / subject.name
        if not path.is_file():
            absent += 1
        elif file_sha256(path) != subject.sha256:
            raise VerificationFailed(f"{subject.name} is not what was signed", where=where, do="do not trust it")
    return absent
