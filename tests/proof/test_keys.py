"""Keys: made once, readable by their owner only, refused where they are weak, and never shown."""

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from benchproof.errors import BadInput, BenchproofError, MissingInput
from benchproof.proof import keys
from proof.test_envelope import SMALL


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCHPROOF_CONFIG", str(tmp_path / "config"))
    monkeypatch.delenv(keys.KEY_VARIABLE, raising=False)
    return tmp_path / "config"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_private_key_is_its_owners_whatever_the_umask(config: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        keys.new_key("me", None)
    finally:
        os.umask(before)
    assert (mode(config / "keys"), mode(config / "keys" / "me.pem")) == (0o700, 0o600)


def test_a_key_signs_and_its_public_half_says_so(config: Path) -> None:
    public = keys.new_key("me", None)
    private = keys.signing_key("me", None)
    assert private.public == public == keys.own_keys()["me"]
    assert public.verifies(private.sign(b"x"), b"x")
    assert not public.verifies(private.sign(b"x"), b"y")
    assert keys.signing_key(str(config / "keys" / "me.pem"), None).public == public


def test_a_key_is_never_overwritten(config: Path) -> None:
    first = keys.new_key("me", None)
    with pytest.raises(BadInput, match="never overwritten"):
        keys.new_key("me", None)
    assert keys.own_keys() == {"me": first}


def test_half_a_pair_is_left_alone(config: Path) -> None:
    """A new private half beside an old public one would sign under an id that `keys list` does not know."""
    first = keys.new_key("me", None)
    (config / "keys" / "me.pem").unlink()
    with pytest.raises(BadInput, match="never overwritten"):
        keys.new_key("me", None)
    assert not (config / "keys" / "me.pem").exists()
    assert keys.own_keys() == {"me": first}


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "me.pem", "0123456789abcdef" * 4])
def test_a_name_is_neither_a_path_nor_a_key_id(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no name"):
        keys.new_key(name, None)
    path = written(tmp_path, keys.new_key("me", None).pem())
    with pytest.raises(BadInput, match="no name"):
        keys.trust_key(name, path)


def test_a_name_is_never_taken_for_a_path_nor_a_path_for_a_name(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the folder where one happens to stand does not sign in the place of one's own key."""
    monkeypatch.chdir(tmp_path)
    keys.new_key("theirs", None)
    (config / "keys" / "theirs.pem").rename(tmp_path / "me")
    with pytest.raises(MissingInput, match=str(config / "keys" / "me.pem")):
        keys.signing_key("me", None)
    assert keys.signing_key("./me", None).public == keys.own_keys()["theirs"]
    keys.new_key("me", None)
    with pytest.raises(MissingInput):
        keys.signing_key("me.pem", None)


def test_a_password_that_the_library_cannot_take_is_refused() -> None:
    keys.new_key("me", b"x" * keys.MAX_PASSWORD)
    assert keys.signing_key("me", b"x" * keys.MAX_PASSWORD).public == keys.own_keys()["me"]
    with pytest.raises(BadInput, match="over 1023 bytes"):
        keys.new_key("you", b"x" * (keys.MAX_PASSWORD + 1))
    assert list(keys.own_keys()) == ["me"]


def test_a_password_protects_and_a_wrong_one_opens_nothing() -> None:
    keys.new_key("me", b"secret words")
    assert keys.signing_key("me", b"secret words").public == keys.own_keys()["me"]
    with pytest.raises(BadInput, match="wrong password"):
        keys.signing_key("me", b"other words")
    with pytest.raises(BadInput, match="protected by a password"):
        keys.signing_key("me", None)
    keys.new_key("open", None)
    with pytest.raises(BadInput, match="no password"):
        keys.signing_key("open", b"secret words")


def test_a_folder_that_others_may_enter_is_closed(config: Path) -> None:
    (config / "keys").mkdir(parents=True)
    (config / "keys").chmod(0o755)
    keys.new_key("me", None)
    assert mode(config / "keys") == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_key_that_others_may_read_or_write_does_not_sign(config: Path, mode: int) -> None:
    keys.new_key("me", None)
    (config / "keys" / "me.pem").chmod(mode)
    with pytest.raises(BadInput, match="permissions"):
        keys.signing_key("me", None)


def test_a_key_comes_from_the_environment_and_a_broken_one_is_not_shown(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = keys.new_key("me", None)
    text = (config / "keys" / "me.pem").read_text()
    monkeypatch.setenv(keys.KEY_VARIABLE, text)
    assert keys.signing_key(None, None).public == public
    secret = text.splitlines()[1]
    monkeypatch.setenv(keys.KEY_VARIABLE, f"broken {secret}")
    with pytest.raises(BadInput) as caught:
        keys.signing_key(None, None)
    assert secret not in str(caught.value)
    assert caught.value.__cause__ is None
    assert secret not in repr(keys.signing_key("me", None))


def test_a_key_on_the_command_line_is_told_as_what_it_is(config: Path) -> None:
    keys.new_key("me", None)
    with pytest.raises(BadInput, match="private key on the command line") as caught:
        keys.signing_key((config / "keys" / "me.pem").read_text(), None)
    assert "-----" not in str(caught.value)


def test_without_a_key_it_says_how_to_give_one() -> None:
    with pytest.raises(MissingInput, match="BENCHPROOF_KEY"):
        keys.signing_key(None, None)
    with pytest.raises(MissingInput, match="nobody"):
        keys.signing_key("nobody", None)


def written(folder: Path, data: bytes) -> Path:
    path = folder / "their.pub"
    path.write_bytes(data)
    return path


def test_a_key_is_trusted_by_the_name_that_its_reader_gives_it(config: Path, tmp_path: Path) -> None:
    public = keys.new_key("me", None)
    path = written(tmp_path, public.pem())
    assert keys.trust_key("alice", path) == public
    assert keys.trusted_keys() == {"alice": public}
    with pytest.raises(BadInput, match="trusted already, as 'alice'"):
        keys.trust_key("bob", path)
    with pytest.raises(BadInput, match="never overwritten"):
        keys.trust_key("alice", written(tmp_path, keys.new_key("you", None).pem()))
    assert keys.trusted_keys()["alice"] == public


@pytest.mark.parametrize("raw", SMALL)
def test_a_weak_key_is_not_trusted(tmp_path: Path, raw: str) -> None:
    key = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(raw))
    path = written(tmp_path, key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(BadInput, match="weak"):
        keys.trust_key("mallory", path)
    assert keys.trusted_keys() == {}


def test_what_is_no_public_key_is_told_for_what_it_is(config: Path, tmp_path: Path) -> None:
    keys.new_key("me", None)
    curve = ec.generate_private_key(ec.SECP256R1())
    wrong: dict[str, tuple[Path, type[BenchproofError], str]] = {
        "private": (config / "keys" / "me.pem", BadInput, "private key"),
        "text": (written(tmp_path, b"hello"), BadInput, "PEM"),
        "folder": (tmp_path, BadInput, "folder"),
        "absent": (tmp_path / "nothing.pub", MissingInput, "nothing.pub"),
    }
    for path, kind, word in wrong.values():
        with pytest.raises(kind, match=word):
            keys.trust_key("x", path)
    other = curve.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(BadInput, match="Ed25519"):
        keys.trust_key("x", written(tmp_path, other))
    own = tmp_path / "curve.pem"
    own.write_bytes(curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    own.chmod(0o600)
    with pytest.raises(BadInput, match="Ed25519"):
        keys.signing_key(str(own), None)


def test_ones_own_key_is_known_and_one_name_is_one_key(config: Path, tmp_path: Path) -> None:
    mine = keys.new_key("me", None)
    assert keys.trusted_keys() == {"me": mine}
    theirs = written(
        tmp_path, keys.PublicKey(ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()).pem()
    )
    with pytest.raises(BadInput, match="exists"):
        keys.trust_key("me", theirs)
    alice = keys.trust_key("alice", theirs)
    assert keys.trusted_keys() == {"alice": alice, "me": mine}
    with pytest.raises(BadInput, match="exists"):
        keys.new_key("alice", None)
    assert keys.own_keys() == {"me": mine}
