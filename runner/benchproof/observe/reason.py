"""NotKnown: how a probe says why it has no value; `looked` turns it into the value that stands there."""

from collections.abc import Callable
from typing import Any, TypeVar

from benchproof.schema.unknown import Unknown, UnknownCode

Seen = TypeVar("Seen")


class NotKnown(Exception):
    """Looked for and not found; never leaves `observe`, but for doctor's checks."""

    def __init__(self, code: UnknownCode, detail: str) -> None:
        super().__init__(detail)
        self.unknown = Unknown(unknown=code, detail=detail)


def looked(look: Callable[[Seen], Any], at: Seen) -> Any:
    """The value, or an Unknown. A probe that breaks says how; it never breaks the run."""
    try:
        return look(at)
    except NotKnown as error:
        return error.unknown
    except PermissionError as error:
        return Unknown(unknown="permission_denied", detail=str(error.strerror))
    except Exception as error:  # noqa: BLE001  # whatever a foreign library raises: the run goes on
        return Unknown(unknown="probe_failed", detail=type(error).__name__)
