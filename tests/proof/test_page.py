"""Signatures of released versions verify for ever, and the page's lines check one without benchproof."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchproof.proof.keys import read_public
from benchproof.proof.signatures import signatures_of

PAGE = Path(__file__).parents[2] / "docs" / "signing.md"
SIGNED = sorted(path for path in (Path(__file__).parents[1] / "signed").iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", SIGNED, ids=lambda path: path.name)
def test_what_was_signed_once_verifies_for_ever(folder: Path) -> None:
    (signature,) = signatures_of(folder / "record.json", "record", {"signer": read_public(folder / "signer.pub")})
    assert (signature.state, signature.names) == ("trusted", ("signer",)), signature.detail


@pytest.mark.parametrize("folder", SIGNED, ids=lambda path: path.name)
def test_the_pages_lines_check_a_signature_and_refuse_a_changed_record(folder: Path, tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)
    (envelope,) = (folder / "signatures").iterdir()
    shutil.copyfile(envelope, tmp_path / "envelope.dsse.json")
    for name in ("signer.pub", "record.json"):
        shutil.copyfile(folder / name, tmp_path / name)

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)

    assert run().stdout == "signed\n"
    (tmp_path / "record.json").write_bytes((folder / "record.json").read_bytes() + b" ")
    assert run().returncode != 0
