"""`benchproof keys`, `sign` and `countersign`: who vouches for a record."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchproof.cli.options import AsJson, print_json

if TYPE_CHECKING:
    from benchproof.proof.keys import PrivateKey

Name = Annotated[str, typer.Argument(metavar="NAME", help="What the key is called here.")]
PasswordFile = Annotated[
    Path | None, typer.Option("--password-file", metavar="FILE", help="Its first line is the key's password.")
]
Key = Annotated[
    str | None, typer.Option("--key", metavar="NAME|PATH", help="Your key. [default: the one in $BENCHPROOF_KEY]")
]

keys = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Make and list your keys, and trust those of others.",
    epilog="\b\nExample:\n  benchproof keys new me\n  benchproof keys export me > me.pub\n"
    "  benchproof keys trust alice alice.pub",
)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    keys.command("new", epilog="\b\nExample:\n  benchproof keys new me --password-file secret.txt")(new)
    keys.command("list", epilog="\b\nExample:\n  benchproof keys list --json")(list_keys)
    keys.command("trust", epilog="\b\nExample:\n  benchproof keys trust alice alice.pub")(trust)
    keys.command("export", epilog="\b\nExample:\n  benchproof keys export me > me.pub")(export)
    app.add_typer(keys, name="keys")
    app.command(
        epilog="\b\nExample:\n  benchproof sign results/mine --key me\n  benchproof sign verdict.json --key me"
    )(sign)
    app.command(
        epilog="\b\nExample:\n  benchproof countersign results/theirs --verdict results/again/verdict.json --key me",
    )(countersign)


def new(name: Name, password_file: PasswordFile = None) -> None:
    """Make a key pair. The private half never leaves its file."""
    from benchproof.proof.keys import config_folder, new_key

    public = new_key(name, _password(password_file))
    typer.echo(
        f"{name}  {public.keyid}\nprivate: {config_folder() / 'keys' / name}.pem (keep it; nobody else may read it)"
    )
    typer.echo(f"public:  benchproof keys export {name} > {name}.pub")


def list_keys(as_json: AsJson = False) -> None:
    """List your keys, and the keys that you trust."""
    from benchproof.proof.keys import own_keys, trusted_keys
    from benchproof.report.text import out, table

    own = own_keys()
    rows = [("own", name, key.keyid) for name, key in own.items()]
    rows += [("trusted", name, key.keyid) for name, key in trusted_keys().items() if own.get(name) != key]
    if as_json:
        print_json([{"kind": kind, "name": name, "keyid": keyid} for kind, name, keyid in rows])
    elif rows:
        table(rows, head=("kind", "name", "key id"))
    else:
        out("no keys: make one with `benchproof keys new NAME`")


def trust(
    name: Name, file: Annotated[Path, typer.Argument(metavar="FILE", help="Their public key, as they exported it.")]
) -> None:
    """Trust somebody's public key. Take it from them, never from the record that it signed."""
    from benchproof.proof.keys import trust_key

    typer.echo(f"{name}  {trust_key(name, file).keyid}")


def export(name: Name) -> None:
    """Print the public half of one of your keys."""
    from benchproof.errors import MissingInput
    from benchproof.proof.keys import own_keys

    known = own_keys()
    if name not in known:
        raise MissingInput(f"no key {name!r} of yours", where="keys", do="see `benchproof keys list`")
    typer.echo(known[name].pem().decode("ascii"), nl=False)


def sign(
    path: Annotated[Path, typer.Argument(metavar="RUN_DIR|RECORD|VERDICT", help="What you vouch for.")],
    key: Key = None,
    password_file: PasswordFile = None,
) -> None:
    """Vouch for a record or a verdict, by its exact bytes.

    One envelope for each signer, beside it; several people may sign. Anything that is changed afterwards fails.
    """
    _sign(path, _key(key, password_file))


def countersign(
    record: Annotated[Path, typer.Argument(metavar="RECORD|RUN_DIR", help="The record that was checked.")],
    verdict: Annotated[
        Path, typer.Option("--verdict", metavar="FILE", help="The verdict.json of a check, with its signatures if any.")
    ],
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="NAME|PATH", help="Your key. [default: $BENCHPROOF_KEY, if nobody has signed]"),
    ] = None,
    password_file: PasswordFile = None,
) -> None:
    """Attach a signed verdict to somebody's record.

    It goes into the run folder's verdicts/, beside the author's signature and never instead of it.
    """
    from benchproof.errors import BadInput
    from benchproof.floor import VERDICTS
    from benchproof.proof.keys import trusted_keys
    from benchproof.proof.signatures import attach, envelope_path, signatures_of
    from benchproof.report.text import out
    from benchproof.report.vouching import is_about
    from benchproof.store.runs import load_record
    from benchproof.verdict import read_verdict

    found, file = load_record(record)
    judged = read_verdict(verdict)
    if not is_about(judged, found, file):
        raise BadInput("that verdict is about another record", where=str(verdict), do="give the verdict of this record")
    signatures = signatures_of(verdict, "verdict", trusted_keys())
    owner = _key(key, password_file) if key or not signatures else None
    target = file.parent / VERDICTS / f"{judged.kind}-{judged.verdict_id[:12]}.json"
    attach(verdict, target, signatures)
    for signature in signatures:
        out(f"attached {target}, signed {signature.detail}")
    if owner and not envelope_path(verdict, "verdict", owner.public.keyid).exists():
        _sign(target, owner)


def _sign(path: Path, key: "PrivateKey") -> None:
    from benchproof.cli.checking import verified_record
    from benchproof.proof.signatures import write_signature
    from benchproof.proof.statement import about_record, about_verdict
    from benchproof.run import timestamp
    from benchproof.store.runs import is_verdict
    from benchproof.verdict import read_verdict

    now = timestamp(datetime.now(UTC))
    if is_verdict(path):
        verdict = read_verdict(path)
        statement = about_verdict(verdict, path.read_bytes(), path.name, now)
        what, file = f"verdict {verdict.verdict_id[:12]}, {verdict.outcome}", path
    else:
        record, file = verified_record(path)  # nobody should vouch for what does not hold
        statement = about_record(record, file.read_bytes(), file.name, now)
        what = f"record {record.record_id[:12]}"
    envelope = write_signature(statement, file, key)
    typer.echo(f"signed {what} with key {key.public.keyid[:12]}\nenvelope: {envelope}")


def _key(word: str | None, password_file: Path | None) -> "PrivateKey":
    from benchproof.proof.keys import signing_key

    return signing_key(word, _password(password_file))


def _password(file: Path | None) -> bytes | None:
    from benchproof.errors import BadInput, MissingInput

    if file is None:
        return None
    try:
        lines = file.read_bytes().splitlines()
    except (OSError, ValueError):  # a password where its file's name belongs would stand in the message
        raise MissingInput(
            "no password file there, or it cannot be read",
            where="--password-file",
            do="give the path of a file whose first line is the password",
        ) from None
    if not lines or not lines[0]:
        raise BadInput("the password is empty", where=str(file), do="write it on the first line")
    return lines[0]
