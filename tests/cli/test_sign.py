"""Two people: one signs a record, the other trusts the key, checks, and countersigns. No secret is ever shown."""

import json
import shutil
from pathlib import Path

import pytest

from benchproof.proof.keys import KEY_VARIABLE
from cli.call import Called, benchproof, in_process
from fakes.checks import rewrite_record, run_again
from fakes.world import table_run

Capture = pytest.CaptureFixture[str]
GOLDEN = Path(__file__).parents[1] / "golden" / "v1.1"


class Person:
    """Somebody with a config folder of their own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
        self.folder, self._patch, self._capsys = folder, monkeypatch, capsys

    def __call__(self, *words: str) -> Called:
        self._patch.setenv("BENCHPROOF_CONFIG", str(self.folder))
        return in_process(self._capsys, *words)


@pytest.fixture
def author(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Person:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    return Person(tmp_path / "author", monkeypatch, capsys)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Person:
    return Person(tmp_path / "reader", monkeypatch, capsys)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    shutil.copytree(GOLDEN, tmp_path / "run")
    return tmp_path / "run"


def test_a_record_goes_from_its_author_to_a_reader_who_trusts_the_key(
    author: Person, reader: Person, run: Path, tmp_path: Path
) -> None:
    made = author("keys", "new", "me")
    assert made.code == 0
    keyid = made.out.split()[1]
    assert author("sign", str(run), "--key", "me").code == 0
    author("sign", str(run), "--key", "me").refused(2, "never overwritten", "nothing is to be done")
    public = tmp_path / "me.pub"
    public.write_text(author("keys", "export", "me").out)

    before = reader("verify", str(run))
    assert before.code == 0
    assert "signed, by nobody that you trust" in before.out
    assert reader("verify", str(run), "--require", keyid).code == 1
    assert reader("keys", "trust", "alice", str(public)).code == 0
    after = reader("verify", str(run), "--require", "alice", "--require", keyid)
    assert after.code == 0
    assert "signed by alice" in after.out
    assert "by alice" in reader("show", str(run)).out
    told = json.loads(reader("verify", str(run), "--json").out)[0]
    assert (told["vouched"], told["signatures"][0]["state"]) == ("signed by alice", "trusted")
    listed = json.loads(reader("keys", "list", "--json").out)
    assert listed == [{"kind": "trusted", "name": "alice", "keyid": keyid}]

    rewrite_record(run, lambda value: value.update(model_name="a better model"))
    changed = reader("verify", str(run))
    assert changed.code == 1
    assert "NOT VERIFIED: 1 check failed: signatures" in changed.out


def test_an_unsigned_record_says_so_and_fails_only_where_a_signer_is_required(reader: Person, run: Path) -> None:
    called = reader("verify", str(run))
    assert called.code == 0
    assert "nobody vouches for this record" in called.out
    required = reader("verify", str(run), "--require", "alice")
    assert required.code == 1
    assert "alice is no key that you trust" in required.out


def test_nothing_is_signed_that_does_not_hold(author: Person, run: Path) -> None:
    author("keys", "new", "me")
    rewrite_record(run, lambda value: value["results"][0].update(value="0.99"))
    author("sign", str(run), "--key", "me").refused(1, "does not verify")
    assert not (run / "signatures").exists()


def test_a_verdict_is_countersigned_beside_the_authors_signature(
    author: Person, reader: Person, tmp_path: Path
) -> None:
    _, run = table_run(tmp_path / "table")
    run_again(run, tmp_path / "again")
    verdict = str(tmp_path / "again" / "verdict.json")
    reader("keys", "new", "bob")
    called = reader("countersign", str(run), "--verdict", verdict, "--key", "bob")
    assert called.code == 0, called
    public = tmp_path / "bob.pub"
    public.write_text(reader("keys", "export", "bob").out)
    author("keys", "trust", "bob", str(public))
    shown = author("show", str(run)).out
    assert "checked     reproduction: bitwise" in shown
    assert "signed by bob" in shown
    assert "trained     not recorded" in shown
    assert "ran         unknown: the spec names no publisher" in shown
    assert "signed      by nobody" in shown
    _, other = table_run(tmp_path / "other", new=True)
    rewrite_record(other, lambda value: value.update(model_name="another"))
    reader("countersign", str(other), "--verdict", verdict, "--key", "bob").refused(2, "another record")
    path = next((run / "verdicts").glob("reproduction-*.json"))
    author("sign", str(path)).refused(3, KEY_VARIABLE)


def test_somebody_elses_signed_verdict_is_attached_without_a_key(
    author: Person, reader: Person, tmp_path: Path
) -> None:
    _, run = table_run(tmp_path / "table")
    run_again(run, tmp_path / "again")
    verdict = tmp_path / "again" / "verdict.json"
    reader("keys", "new", "bob")
    assert reader("sign", str(verdict), "--key", "bob").code == 0
    (envelope,) = verdict.parent.glob("verdict.*.dsse.json")
    whole = envelope.read_bytes()

    envelope.write_bytes(whole.replace(b"vnd.in-toto", b"vnd.in-tot0"))
    author("countersign", str(run), "--verdict", str(verdict)).refused(1, "not valid")
    assert not (run / "verdicts").exists()
    envelope.write_bytes(whole)

    for _ in range(2):  # again is the same
        attached = author("countersign", str(run), "--verdict", str(verdict))
        assert (attached.code, attached.err) == (0, "")
        assert "by a key that you do not trust" in attached.out
    copies = sorted((run / "verdicts").iterdir(), key=lambda path: len(path.name))
    assert [path.read_bytes() for path in copies] == [verdict.read_bytes(), whole]
    public = tmp_path / "bob.pub"
    public.write_text(reader("keys", "export", "bob").out)
    author("keys", "trust", "bob", str(public))
    assert "checked     reproduction: bitwise" in (shown := author("show", str(run)).out)
    assert "signed by bob" in shown

    author("keys", "new", "me")
    assert author("countersign", str(run), "--verdict", str(verdict), "--key", "me").code == 0
    assert len(list((run / "verdicts").iterdir())) == 3


@pytest.mark.parametrize("field", ["record_id", "sha256"])
def test_a_verdict_is_about_a_record_by_its_id_and_by_its_bytes(author: Person, tmp_path: Path, field: str) -> None:
    _, run = table_run(tmp_path / "table")
    verdict = run_again(run, tmp_path / "again")
    other = verdict.model_copy(update={"about": verdict.about.model_copy(update={field: "0" * 64})}).with_id()
    path = tmp_path / "other.json"
    path.write_bytes(other.to_bytes())
    author("countersign", str(run), "--verdict", str(path)).refused(2, "another record")


def test_a_verdict_about_another_record_is_not_shown_as_one_of_this(author: Person, run: Path, tmp_path: Path) -> None:
    """Whoever publishes a record could lay the signed verdict on a better one beside it."""
    _, better = table_run(tmp_path / "better")
    run_again(better, tmp_path / "again")
    (run / "verdicts").mkdir()
    shutil.copyfile(tmp_path / "again" / "verdict.json", run / "verdicts" / "reproduction-0.json")
    shown = author("show", str(run)).out
    assert "INVALID: reproduction-0.json is about another record" in shown
    assert "bitwise" not in shown


def test_words_that_cannot_be_are_refused(author: Person, run: Path, tmp_path: Path) -> None:
    author("keys", "export", "nobody").refused(3, "nobody")
    author("sign", str(run), "--key", "nobody").refused(3, "nobody")
    author("keys", "new", "../up").refused(2, "no name")
    author("sign", "nothing", "--key", "nobody").refused(3)
    author("keys", "new", "me", "--password-file", "nothing").refused(3, "password file")
    empty = tmp_path / "empty"
    empty.write_text("\n")
    author("keys", "new", "me", "--password-file", str(empty)).refused(2, "empty")
    author("countersign", str(run), "--verdict", "nothing").refused(3, "nothing")
    author("countersign", str(run), "--verdict", str(run / "record.json")).refused(2, "not a verdict")


def test_no_secret_stands_in_anything_that_is_said_or_written(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key, its password, a token: in no output, file or traceback, also where things fail and with --debug."""
    config, password = tmp_path / "config", tmp_path / "password"
    password.write_text("correct horse battery staple")
    monkeypatch.setenv("BENCHPROOF_CONFIG", str(config))
    monkeypatch.setenv("HF_TOKEN", "hf_plantedplantedplanted")
    benchproof("keys", "new", "open")
    whole = (config / "keys" / "open.pem").read_text()
    secret = whole.splitlines()[1]
    calls = [
        ("keys", "new", "shut", "--password-file", str(password)),
        ("keys", "list"),
        ("keys", "export", "open"),
        ("sign", str(run), "--key", "open", "--debug"),
        ("sign", str(run), "--key", "open", "--debug"),
        ("sign", str(run), "--key", "shut", "--debug"),
        ("sign", str(run), "--key", "shut", "--password-file", str(config / "keys" / "open.pub"), "--debug"),
        ("keys", "trust", "x", str(config / "keys" / "open.pem"), "--debug"),
        # Given where something else belongs, as a job's script does that lacks a quote or a word.
        ("sign", str(run), "--key", whole, "--debug"),
        ("sign", str(run), whole, "--debug"),
        ("sign", "--key", "open", "--debug", "--", whole),
        ("keys", "trust", "x", whole, "--debug"),
        ("keys", "trust", "--debug", "--", "x", whole),
        ("keys", "new", "--debug", "--", whole),
        ("sign", str(run), "--key", "shut", "--password-file", password.read_text(), "--debug"),
        ("sign", str(run), "--debug"),
        ("verify", str(run)),
    ]
    said = ""
    for words in calls:
        broken = f"-----BEGIN PRIVATE KEY-----\n{secret}x\n-----END PRIVATE KEY-----"
        called = benchproof(*words, **({KEY_VARIABLE: broken} if words == calls[-2] else {}))  # type: ignore[arg-type]
        said += called.out + called.err
    assert "signed record" in said
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".pem" and path != password]
    said += "".join(path.read_bytes().decode("latin-1") for path in files)
    for planted in (secret, "correct horse", "hf_planted"):
        assert planted not in said
