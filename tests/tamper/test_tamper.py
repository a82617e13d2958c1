"""Every forgery of the table is refused by its check; without that check it is believed."""

import shutil
from pathlib import Path

import pytest

from benchproof.errors import BadInput
from benchproof.verify import CHECKS, Verification, verify, verify_all
from fakes.honest import honest_run
from tamper import forge
from tamper.table import GSM, TABLE, Row

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {
        "golden": GOLDEN,
        "newest": max(path for path in GOLDEN.parent.iterdir() if path.is_dir()),
        "honest": honest_run(folder / "honest")[1],
        "unprotected": honest_run(folder / "unprotected", sandbox="none")[1],
    }


@pytest.fixture(params=TABLE, ids=str)
def row(request: pytest.FixtureRequest) -> Row:
    found: Row = request.param
    return found


@pytest.fixture
def forged(row: Row, bases: dict[str, Path], tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    shutil.copytree(bases[row.base], folder)
    row.forge(folder)
    return folder


def told(found: Verification) -> dict[str, str]:
    return {check.name: check.detail for check in found.checks if check.result == "failed"}


def test_what_is_forged_is_whole_before(bases: dict[str, Path]) -> None:
    for folder in bases.values():
        found = verify(folder)
        assert told(found) == {} and found.named("not checked") == [] and found.exit_code == 0


def test_a_forgery_is_refused_by_its_check_and_by_no_other(row: Row, forged: Path) -> None:
    found = verify(forged)
    assert set(told(found)) == {row.check} | row.besides
    assert found.exit_code == row.code
    assert [check.name for check in found.checks] == [name for name, _ in CHECKS]


def test_without_its_check_it_is_believed(row: Row, forged: Path) -> None:
    mutant = [(name, check) for name, check in CHECKS if name not in {row.check} | row.besides]
    assert verify(forged, checks=mutant).exit_code == 0


def test_every_check_has_a_forgery() -> None:
    # The first never fails: it names what is not checked. The others have their forgeries in tests/proof.
    names = {name for name, _ in CHECKS} - {"other-aggregates", "signatures", "required-signers"}
    assert {row.check for row in TABLE} == names


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(GOLDEN, folder)
    (folder / "requests" / f"{GSM}.jsonl.zst").unlink()
    assert f"requests/{GSM}.jsonl.zst" in told(verify(folder))["present"]


@pytest.mark.parametrize("change", [{"schema": "benchproof/record/v2"}, {"schema_minor": 1_000_000}])
def test_row_29_a_newer_record_is_told_as_newer(change: dict[str, object], tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "run")
    forge.in_record(lambda value: value.update(change))(tmp_path / "run")
    with pytest.raises(BadInput, match="newer") as caught:
        verify(tmp_path / "run")
    assert caught.value.exit_code == 2


def test_row_30_a_circle_over_the_records_given_is_found(tmp_path: Path) -> None:
    """Ids that name each other cannot be made with sha256: so ids are given, and only this check is asked."""
    names = {"a": "ab" * 32, "b": "cd" * 32}
    for name, other in (("a", "b"), ("b", "a")):
        shutil.copytree(GOLDEN, tmp_path / name)
        value = forge.read_record(tmp_path / name)
        value["supersedes"] = [names[other]]
        forge.write_record(tmp_path / name, value, record_id=names[name])
    only = [(name, check) for name, check in CHECKS if name == "supersedes"]
    assert [found.exit_code for found in verify_all([tmp_path / "a", tmp_path / "b"], only)] == [1, 1]
    assert verify(tmp_path / "a", only).exit_code == 0


def test_rows_11_and_18_what_a_level_0_check_cannot_see(tmp_path: Path) -> None:
    """A mark that the harness would not give, with all that follows redone: for `rescore` and `audit`."""
    shutil.copytree(GOLDEN, tmp_path / "run")
    flip = {"exact_match": "1.0"}
    forge.in_rows(
        "samples", GSM, lambda rows: [row["metrics"]["strict-match"].update(flip) for row in rows], forge.redo_scores
    )(tmp_path / "run")
    assert forge.read_record(tmp_path / "run")["results"][1]["value"] == "1.0"
    assert verify(tmp_path / "run").exit_code == 0
