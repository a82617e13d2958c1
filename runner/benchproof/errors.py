"""Every error a user can meet, grouped by who can act. The number is the exit code.

    BenchproofError(what, where, do)
    |-- VerificationFailed 1     a content differs from its pin, or a journal is corrupt
    |-- BadInput 2               the spec, a flag or a setting; the user mends it
    |-- MissingInput 3           a file, a model, a data set or access to it is not there
    |-- SandboxUnavailable 4     generated code cannot be isolated here
    |-- MachineError 5           no GPU, no memory, a package missing, the engine failed
    |-- DiskError 6              full, read-only, locked by the file system
    |-- NotComparable 7          two things were asked to be compared that cannot be
    |-- Interrupted 75           stopped by a signal; can be resumed
    `-- (anything else) 70       a bug in benchproof

A verdict ("not reproduced") is a value, not an error; an error means that no verdict was reached.
"""

LOG_NOTE = "log: "  # how an exception that passes through says where it was written down


def noted_log(error: BaseException) -> str | None:
    """The log file that an exception's notes name, or None."""
    notes = (note for note in getattr(error, "__notes__", []) if note.startswith(LOG_NOTE))
    return next((note.removeprefix(LOG_NOTE) for note in notes), None)


class BenchproofError(Exception):
    """What happened, where, and what to do: rendered as at most five lines.

    what: one sentence. where: a file, line or setting, or "". do: one imperative sentence.
    """

    exit_code = 70

    def __init__(self, what: str, *, where: str = "", do: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.do = what, where, do

    def lines(self) -> list[str]:
        """The message for a terminal: what / where / do, each cut to one line of 300 characters."""
        parts = [f"error: {self.what}"]
        if self.where:
            parts.append(f"where: {self.where}")
        if self.do:
            parts.append(f"do:    {self.do}")
        return [" ".join(part.split())[:300] for part in parts]

    def __str__(self) -> str:
        return "\n".join(self.lines())


class VerificationFailed(BenchproofError):
    """A content does not have the hash it is pinned to, or a chain is broken."""

    exit_code = 1


class BadInput(BenchproofError):
    """The spec, a flag or a setting is wrong."""

    exit_code = 2


class MissingInput(BenchproofError):
    """A file, a model or a data set is not there, or we may not read it."""

    exit_code = 3


class SandboxUnavailable(BenchproofError):
    """Generated code cannot be isolated on this machine."""

    exit_code = 4


class MachineError(BenchproofError):
    """The environment cannot do what was asked: no GPU, no memory, a package missing."""

    exit_code = 5


class DiskError(BenchproofError):
    """The disk refused: full, read-only, or not able to lock."""

    exit_code = 6


class NotComparable(BenchproofError):
    """Two things that cannot be compared were asked to be."""

    exit_code = 7


class Interrupted(BenchproofError):
    """Stopped by a signal; what was acknowledged is on disk."""

    exit_code = 75
