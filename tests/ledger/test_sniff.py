"""What is not read is refused by the name of the tool that wrote it."""

import pytest

from benchproof.errors import BadInput
from benchproof.ledger.foreign import read_published
from fakes.hub import need_shared

FORMATS = {
    "lm_eval_0.3": "lm-eval 0.3",
    "eee": "Every Eval Ever",
    "lighteval": "lighteval",
    "helm": "HELM|of no format",  # a scenario's description says nothing of HELM
    "inspect": "Inspect",
    "dclm": "DCLM",
    "bigcode": "BigCode",
    "leaderboard_csv": "CSV",
    "model_cards": "model card",
}


@pytest.mark.parametrize("folder", FORMATS)
def test_every_published_file_of_another_format_is_refused_by_its_name(folder: str) -> None:
    place = need_shared() / "published" / folder
    if not place.is_dir():
        pytest.skip("the shared folder has no published files")
    for path in place.rglob("*"):
        if path.is_file():
            with pytest.raises(BadInput, match=FORMATS[folder]) as caught:
                read_published(path)
            assert len(caught.value.lines()) <= 5
