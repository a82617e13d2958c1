"""Ed25519 keys: one's own, and those of others that one trusts. Nothing here prints or returns a private key as text.

    <config>/keys/NAME.pem    private, PKCS8, mode 0600, encrypted if a password was given
    <config>/keys/NAME.pub    its public half, SubjectPublicKeyInfo
    <config>/trust/NAME.pub   somebody's public key, under the name that the reader gave it

The folder is $BENCHPROOF_CONFIG, else the user's config folder. $BENCHPROOF_KEY may hold a private key's PEM text.
A key is trusted because it lies in `trust`, never because a file that it signed says so.
"""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from benchproof.errors import BadInput, MissingInput
from benchproof.schema.canonical import sha256
from benchproof.store.files import disk_errors, write_once

KEY_VARIABLE = "BENCHPROOF_KEY"
NAME = re.compile(r"[A-Za-z0-9][\w.\-]*")
# What stands for something else where a key is named: a path after --key, a key id after --require.
NO_NAME = re.compile(r".*\.pem|[0-9a-f]{64}")
MAX_PASSWORD = 1023  # bytes: OpenSSL's limit
FIELD = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the base point: a signature's S lies below
# The y of the eight points of small order, sign bit cleared: under them, anything verifies without a private key.
SMALL_ORDER = {
    0,
    1,
    FIELD - 1,
    int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"),
    int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"),
}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that may be used: no point of small order, no second spelling of one. raw: 32 bytes."""

    raw: bytes

    @property
    def keyid(self) -> str:
        """Hex sha256 of the DER SubjectPublicKeyInfo."""
        key = Ed25519PublicKey.from_public_bytes(self.raw)
        return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether it signed the message. Also False for a signature of small order, or written in a second way."""
        if len(signature) != 64 or weak_point(signature[:32]) or int.from_bytes(signature[32:], "little") >= ORDER:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def pem(self) -> bytes:
        """As a file."""
        key = Ed25519PublicKey.from_public_bytes(self.raw)
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class PrivateKey:
    """A key to sign with. It has no text form: repr tells its public half."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """64 bytes, the same for the same message."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"PrivateKey(keyid={self.public.keyid})"


def weak_point(raw: bytes) -> bool:
    """Whether 32 bytes are a point of small order, or not the one way to write a point."""
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    return y >= FIELD or y in SMALL_ORDER


def config_folder() -> Path:
    """Where keys are kept."""
    given = os.environ.get("BENCHPROOF_CONFIG")
    return Path(given) if given else Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "benchproof"


def new_key(name: str, password: bytes | None) -> PublicKey:
    """Makes a key pair. Raises BadInput (2) for a name that is taken or cannot be one, or too long a password."""
    if password and len(password) > MAX_PASSWORD:
        raise BadInput(f"a password of over {MAX_PASSWORD} bytes", where=name, do="give a shorter one")
    folder = _folder("keys")
    _free(_folder("trust") / f"{_named(name)}.pub")  # one name is one key, whoever's
    private, half = _free(folder / f"{_named(name)}.pem"), _free(folder / f"{name}.pub")
    key = Ed25519PrivateKey.generate()
    protection = BestAvailableEncryption(password) if password else NoEncryption()
    write_once(private, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection), mode=0o600)
    public = PublicKey(key.public_key().public_bytes_raw())
    write_once(half, public.pem())
    return public


def own_keys() -> dict[str, PublicKey]:
    """Name -> public half of the user's keys, by name."""
    return _listed("keys")


def trusted_keys() -> dict[str, PublicKey]:
    """Name -> key of whom the user trusts, by name: those taken into the trust store, and the user's own."""
    trusted = _listed("trust")
    return trusted | {
        name: key for name, key in own_keys().items() if name not in trusted and key not in trusted.values()
    }


def trust_key(name: str, path: Path) -> PublicKey:
    """Takes somebody's public key into the trust store. Raises MissingInput (3), BadInput (2) for one of no use."""
    public = read_public(path)
    for known, other in _listed("trust").items():
        if other == public:
            raise BadInput(f"that key is trusted already, as {known!r}", where=str(path), do="nothing is to be done")
    _free(_folder("keys") / f"{_named(name)}.pem")  # one name is one key, whoever's
    write_once(_free(_folder("trust") / f"{name}.pub"), public.pem())
    return public


def read_public(path: Path) -> PublicKey:
    """A public key file. Raises MissingInput (3), BadInput (2): none, a private one, another algorithm, a weak one."""
    data = _bytes(path)
    if b"PRIVATE KEY" in data:
        raise BadInput(
            "that is a private key", where=str(path), do="give the public half, the .pub file; keep this one safe"
        )
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadInput(
            "not a public key in PEM form", where=str(path), do="export it with `benchproof keys export`"
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadInput("not an Ed25519 key", where=str(path), do="make one with `benchproof keys new`")
    raw = key.public_bytes_raw()
    if weak_point(raw):
        raise BadInput("a weak key: anybody can sign under it", where=str(path), do="do not trust whoever gave it")
    return PublicKey(raw)


def signing_key(word: str | None, password: bytes | None) -> PrivateKey:
    """The key that a word names; without a word, the one in $BENCHPROOF_KEY.

    A word with a slash or the ending .pem is a path, any other a name of one's own keys: never the one for the other.
    Raises MissingInput (3) where there is none, BadInput (2) for a file that others may read, or a wrong password.
    """
    if word is None:
        text = os.environ.get(KEY_VARIABLE)
        if not text:
            raise MissingInput("no key to sign with", where="--key", do=f"give --key NAME, or set {KEY_VARIABLE}")
        return _private(text.encode("utf-8", "surrogateescape"), password, f"${KEY_VARIABLE}")
    if "PRIVATE KEY" in word:
        raise BadInput(
            "a private key on the command line, where others can see it",
            where="--key",
            do=f"put it into {KEY_VARIABLE} and leave --key out; think of a new key",
        )
    path = Path(word) if "/" in word or word.endswith(".pem") else config_folder() / "keys" / f"{word}.pem"
    data = _bytes(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise BadInput(
            "permissions: others may read this private key",
            where=str(path),
            do=f"run `chmod 600 {path}`, and think of a new key",
        )
    return _private(data, password, str(path))


def _private(data: bytes, password: bytes | None, where: str) -> PrivateKey:
    """The library's own words are left out of errors: they could quote what it read."""
    try:
        key = load_pem_private_key(data, password)
    except TypeError:  # a password where none is needed, or none where one is
        needed = password is None
        what = "the key is protected by a password" if needed else "the key has no password, and one was given"
        do = "give --password-file FILE" if needed else "leave --password-file out"
        raise BadInput(what, where=where, do=do) from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadInput(
            "no private key in PEM form, or a wrong password", where=where, do="make one with `benchproof keys new`"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput("not an Ed25519 key", where=where, do="make one with `benchproof keys new`")
    return PrivateKey(key)


def _listed(part: str) -> dict[str, PublicKey]:
    folder = config_folder() / part
    return {path.stem: read_public(path) for path in sorted(folder.glob("*.pub"))}


def _folder(part: str) -> Path:
    folder = config_folder() / part
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    return folder


def _named(name: str) -> str:
    if not NAME.fullmatch(name) or NO_NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} is no name for a key",
            where="keys",
            do="use letters, digits, `.`, `-` and `_`; no key id, and no ending .pem",
        )
    return name


def _free(path: Path) -> Path:
    """The path, if nothing is there: a pair of which only one half were written would sign under another key's id."""
    if path.exists():
        raise BadInput(f"{path.name} exists and is never overwritten", where=str(path), do="give another name")
    return path


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > 1_000_000:
            raise BadInput("far too large for a key", where=str(path), do="give a key file")
        return path.read_bytes()
    except IsADirectoryError as error:
        raise BadInput("a folder, not a key", where=str(path), do="give the key file") from error
    except (OSError, ValueError) as error:
        raise MissingInput(
            f"no key there: {path}", where=str(path), do="list yours with `benchproof keys list`"
        ) from error
