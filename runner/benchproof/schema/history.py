"""Every version of the record, newest first, and their reader. A released version is read for ever.

    benchproof/record/v1
        minor 1    asked.tasks: the suite written out; parents name what a rescored record was made from
        minor 0    the first

A minor version (`schema_minor`) adds fields with defaults; a major one changes meaning.
"""

import re
from typing import Any

from pydantic import ValidationError

from benchproof.errors import BadInput, VerificationFailed
from benchproof.schema.canonical import digest, strict_loads
from benchproof.schema.record import RECORD_SCHEMA, Record

VERSION = re.compile(r"benchproof/record/v(\d+)")
NEWEST = 1
NEWEST_MINOR = 1
AGAIN = "take the file from its source again"


def read_record(data: bytes, where: str) -> Record:
    """A record's bytes as a Record. `where` names the file in errors.

    Raises VerificationFailed (1) for what is not strict JSON, no record, has an unknown field or another id than its
    content's; BadInput (2) for a newer schema. Files beside it and signatures are not looked at: that is `verify`.
    """
    value = strict_loads(data, where=where)
    record = record_of(value, where)
    body = {key: item for key, item in value.items() if key != "record_id"}
    if digest(body) != record.record_id:
        raise VerificationFailed("the record was changed: its id is not that of its content", where=where, do=AGAIN)
    return record


def record_of(value: Any, where: str) -> Record:
    """A record from its JSON. Raises VerificationFailed (1), BadInput (2) for a newer schema. Its id is not checked."""
    _refuse_newer(value, where)
    try:
        return Record.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        what = f"unknown field `{path}`" if first["type"] == "extra_forbidden" else f"`{path}`: {first['msg']}"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise VerificationFailed(f"not a record of {RECORD_SCHEMA}: {what}{more}", where=where, do=AGAIN) from error


def _refuse_newer(value: Any, where: str) -> None:
    schema = value.get("schema") if isinstance(value, dict) else None
    match = VERSION.fullmatch(schema) if isinstance(schema, str) else None
    if match is None:
        raise VerificationFailed("not a benchproof record", where=where, do="give record.json, or its run folder")
    minor = value.get("schema_minor", 0)
    newer_minor = isinstance(minor, int) and minor > NEWEST_MINOR
    if int(match[1]) > NEWEST or newer_minor:
        raise BadInput(
            f"a newer record: {schema}, minor {minor}; this benchproof reads {RECORD_SCHEMA}, minor {NEWEST_MINOR}",
            where=where,
            do="update benchproof",
        )
