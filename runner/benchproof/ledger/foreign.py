"""A path -> somebody else's results, whichever of the formats that are read it is in.

Nothing in the file is run, and nothing that it names is opened but its own samples.
"""

from pathlib import Path

from benchproof.errors import BadInput
from benchproof.ledger import evalplus_results, lmeval_results
from benchproof.ledger.published import Published
from benchproof.ledger.reading import parsed, read_bytes
from benchproof.ledger.sniff import LM_EVAL, format_of, refused, text_format
from benchproof.schema.canonical import sha256


def read_published(path: Path) -> Published:
    """The file as what it says, packed with gzip or not.

    Raises MissingInput (3), BadInput (2) for a format that is not read, naming it, and VerificationFailed (1) for a
    file whose numbers contradict each other.
    """
    where, data = str(path), read_bytes(path)
    try:
        value = parsed(data, where)
    except BadInput as error:
        looks_like = text_format(data)
        if looks_like is None:
            raise
        raise refused(looks_like, where) from error
    if isinstance(value, dict) and isinstance(value.get("results"), dict) and "results" in value["results"]:
        value = value["results"]  # one level deeper, as some files were saved
    if format_of(value, where) == LM_EVAL:
        return lmeval_results.read_results(value, sha256(data), path)
    return evalplus_results.read_results(value, sha256(data), path)
