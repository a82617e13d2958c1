"""What a record can be checked against: its own bytes, and the files beside it as far as they are at hand.

Everything is read once, when a check first asks for it, and nothing is believed: a path stays inside the run folder, a
file is no larger than the record says, and prompts are dropped as soon as they are hashed. JSON is kept as it was read,
so that ids are of the file's own values, whatever fields a later version adds.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

from benchproof.checks import passes
from benchproof.errors import VerificationFailed
from benchproof.proof.keys import PublicKey
from benchproof.proof.signatures import Signature, signatures_of
from benchproof.schema.canonical import strict_loads
from benchproof.schema.history import record_of
from benchproof.schema.plan import Plan
from benchproof.schema.record import FileDigest, Record
from benchproof.schema.response import Response
from benchproof.store.folder import JOURNAL, unsafe_path
from benchproof.store.journal import JournalFile, attempt_number, merge, read_journal
from benchproof.store.rows import Part, part_path
from benchproof.store.runs import record_bytes

PARTS = ("requests", JOURNAL, "samples")


class Unread(Exception):
    """What a check needs cannot be read. str: what stopped it. owner: the check that tells it, "" if it is absent."""

    def __init__(self, detail: str, owner: str = "") -> None:
        super().__init__(detail)
        self.owner = owner


def part_of(name: str) -> str:
    """The part of the run folder that a path leads to: its first word."""
    return name.partition("/")[0]


T = TypeVar("T")


class once(Generic[T]):  # reads as a decorator, like `property`
    """A property that is computed once, also where it comes to an Unread: a hostile file is not read twice."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self.make, self.__doc__ = make, make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = f"_{name}"

    @overload
    def __get__(self, instance: None, owner: type) -> "once[T]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> "once[T] | T":
        if instance is None:
            return self
        known = vars(instance)
        if self.name not in known:
            try:
                known[self.name] = self.make(instance)
            except Unread as error:
                known[self.name] = error
        if isinstance(known[self.name], Unread):
            raise known[self.name]
        found: T = known[self.name]
        return found


class Differs(Exception):
    """A check failed. str: what differs from what."""


class Evidence:
    """One record and what lies beside it. A property raises Unread where its files are absent or wrong."""

    def __init__(self, path: Path) -> None:
        """Raises MissingInput (3) if there is no record, BadInput (2) for one of a newer schema."""
        self.data, self.file = record_bytes(path)
        self.folder = self.file.parent
        self.history: Mapping[str, list[str]] = {}  # record id -> what it supersedes, of all records looked at together
        self.trusted: Mapping[str, PublicKey] = {}  # name -> key of whom the reader trusts
        self.required: Sequence[str] = ()  # names or key ids of those who must have signed

    @cached_property
    def signatures(self) -> list[Signature]:
        """Every envelope beside the record, checked."""
        return signatures_of(self.file, "record", self.trusted)

    @once
    def value(self) -> Any:
        """The record's JSON, read strictly."""
        try:
            return strict_loads(self.data, where=str(self.file))
        except VerificationFailed as error:
            raise Unread(error.what, "strict-json") from error

    @once
    def record(self) -> Record:
        """The record. Raises BadInput (2) for a newer schema."""
        try:
            return record_of(self.value, str(self.file))
        except VerificationFailed as error:
            raise Unread(error.what, "schema") from error

    @property
    def raw(self) -> dict[str, Any]:
        """The record's JSON, once it is known to be a record."""
        return dict(self.value) if self.record else {}

    @property
    def plan(self) -> Plan:
        """The effective plan."""
        return self.record.effective

    @cached_property
    def listed(self) -> dict[str, FileDigest]:
        """The record's files by their path."""
        return {file.path: file for file in self.record.files}

    @property
    def scored(self) -> list[str]:
        """Tasks of the plan that were not left out when they were marked."""
        gone = {left.get("task") for left in self.record.left_out}
        return [pin.task for pin in self.plan.ask.tasks if pin.task not in gone]

    def at_hand(self, part: str) -> bool:
        """Whether a part of the run folder (a top-level folder or file) is there, whatever it is."""
        return (self.folder / part).is_symlink() or (self.folder / part).exists()

    def unsafe(self, name: str) -> str:
        """Why a path of the record must not be opened; "" if it may be, or if nothing is there."""
        return unsafe_path(self.folder, name)

    def open(self, name: str) -> Path:
        """The path of a file that the record names and that may be read."""
        part = part_of(name)
        if not self.at_hand(part):
            raise Unread(f"{part}{'/' if part in PARTS else ''} is not at hand")
        if name not in self.listed:
            raise Unread(f"the record names no file {name}", "paths")
        if reason := self.unsafe(name):
            raise Unread(reason, "paths")
        path = self.folder / name
        try:
            size = path.stat().st_size
            path.open("rb").close()
        except FileNotFoundError as error:
            raise Unread(f"{name} is missing", "present") from error
        except OSError as error:
            raise Unread(f"{name} cannot be read: {error.strerror}") from error
        if size > self.listed[name].size:
            raise Unread(f"{name} is larger than the record says", "files")
        return path

    def task_file(self, part: Part, task: str) -> str:
        """The path, inside the run folder, of one task in a part."""
        return part_path(self.folder, part, task).relative_to(self.folder).as_posix()

    @once
    def journals(self) -> dict[str, JournalFile]:
        """Every journal file that the record names, by its path."""
        names = sorted((name for name in self.listed if part_of(name) == JOURNAL), key=_attempt)
        if not names:
            raise Unread("the record names no journal of its own")
        found = {}
        for name in names:
            path = self.open(name)
            try:
                found[name] = read_journal(path)
            except VerificationFailed as error:
                raise Unread(f"{name}: {error.what}", "journal-chain") from error
        return found

    @once
    def answers(self) -> dict[str, Response]:
        """Every answer by its request's hash."""
        try:
            return merge(self.journals.values())
        except VerificationFailed as error:
            raise Unread(error.what, "answers") from error

    @once
    def asked(self) -> dict[str, passes.Asked]:
        """What requests/ holds, by task."""
        return {
            pin.task: self._read("requests", pin.task, "docs", partial(passes.requests, self.folder, pin, own_hash=own))
            for pin, own in zip(self.plan.ask.tasks, self.own_hashes, strict=True)
        }

    @once
    def marked(self) -> dict[str, passes.Marked]:
        """What samples/ holds, by task; compared with requests/ and journal/ where those are at hand."""
        asked, answers = self._or_none("asked"), self._or_none("answers")
        found = {}
        for task in self.scored:
            pins = self.plan.task_ask(task), self.plan.task_mark(task)
            docs = None if asked is None else asked[task].docs
            found[task] = self._read(
                "samples", task, "rows", partial(passes.samples, self.folder, *pins, docs, answers)
            )
        return found

    @property
    def own_hashes(self) -> list[bool]:
        """For each task, whether a doc's hash is over the row that requests/ holds; evalplus's is over more."""
        return [self.plan.task_mark(pin.task).harness != "evalplus" for pin in self.plan.ask.tasks]

    def _read(self, part: Part, task: str, owner: str, read: Callable[[], T]) -> T:
        self.open(self.task_file(part, task))
        try:
            return read()
        except VerificationFailed as error:
            raise Unread(f"{part} of {task}: {error.what}", owner) from error

    def _or_none(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except Unread:
            return None

    def forget(self) -> None:
        """Drops what was read of files: several records in a row need no more memory than the largest."""
        for name in ("asked", "marked", "answers", "journals"):
            vars(self).pop(f"_{name}", None)


def _attempt(name: str) -> tuple[int, str]:
    return attempt_number(Path(name)), name
