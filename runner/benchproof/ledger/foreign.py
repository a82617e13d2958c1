"""A path -> somebody else's results, whichever of the formats that are read it is in."""

from pathlib import Path

from benchproof.errors import BadInput
from benchproof.ledger import evalplus_results, lmeval_results
from benchproof.ledger.published import Published, look_like, read_json


def read_published(path: Path) -> Published:
    """The file as what it says. Raises MissingInput (3), BadInput (2) for a format that is not read, naming it."""
    value, digest = read_json(path)
    if isinstance(value, dict) and isinstance(value.get("results"), dict) and "results" in value["results"]:
        value = value["results"]  # one level deeper, as some files were saved
    if isinstance(value, dict) and lmeval_results.is_results(value):
        return lmeval_results.read_results(value, digest, path)
    if evalplus_results.is_results(value):
        return evalplus_results.read_results(value, digest, path)
    name = look_like(value)
    what = f"it looks like a file of {name}, which is not read" if name else "of no format that is read"
    raise BadInput(
        f"no result file: {what}",
        where=str(path),
        do="give a record.json, an lm-eval 0.4 results file or an evalplus *_eval_results.json",
    )
