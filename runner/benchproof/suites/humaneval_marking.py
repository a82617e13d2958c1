"""Programs -> statuses: each sample's base and plus inputs in the sandbox, compared by evalplus's rules.

Two scores stand side by side and are never mixed: `evalplus-0.3.1` fails HumanEval/32 (find_zero) whatever the
program does, because 0.3.1's oracle forgets to count it; `corrected` marks it as it was meant.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from benchproof.errors import MachineError
from benchproof.schema.execution import Execution, Inputs, Judge, Outcome
from benchproof.suites.evalplus_oracle import FIND_ZERO, Comparison
from benchproof.suites.humaneval_data import Problem, Problems
from benchproof.suites.humaneval_expected import (
    SPARE_BYTES,
    Oracle,
    Reference,
    Sandbox,
    expected_answers,
    whole_answer,
)

Status = Literal["pass", "fail", "timeout"]
AS_IS, CORRECTED = "evalplus-0.3.1", "corrected"
WHOLE_CAP = 1 << 30
# evalplus knows three statuses: a process that ended without setting one is a timeout to it.
STATUS: dict[str, Status] = {
    "timeout": "timeout",
    "timeout_wall": "timeout",
    "died": "timeout",
    "inconclusive": "timeout",
}


@dataclass(frozen=True, slots=True)
class Program:
    """One sample: a whole program for a problem. `number`: which of the problem's samples."""

    task_id: str
    number: int
    source: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one list of inputs. `failed`: indices of inputs that were answered wrongly, as far as run."""

    status: Status
    reason: str = ""
    failed: tuple[int, ...] = ()
    answered: int = 0
    cpu: float = 0.0
    retried: str = ""


@dataclass(frozen=True, slots=True)
class Marked:
    """One sample's two verdicts, as the oracle was meant; `status` and `passed` also as 0.3.1 says."""

    program: Program
    base: Verdict
    plus: Verdict
    find_zero: bool

    def status(self, part: Literal["base", "plus"], rule: str) -> Status:
        """The status of the base inputs, or of the plus inputs alone, by either rule."""
        status = (self.base if part == "base" else self.plus).status
        return "fail" if status == "pass" and self.find_zero and rule == AS_IS else status

    def passed(self, part: Literal["base", "plus"], rule: str) -> bool:
        """Whether it counts: `plus` asks for the base inputs too."""
        base = self.status("base", rule) == "pass"
        return base and (part == "base" or self.status("plus", rule) == "pass")


@dataclass(frozen=True, slots=True)
class Control:
    """A program whose verdict is known, run before any other."""

    name: str
    expected: Status
    seen: Status


CONTROL_LIMIT = 0.25  # CPU seconds of one call: the looping one costs this much
ADD = Inputs("control", "[[1, 2], [3, 4], [-1, 1]]", 3)
CONTROLS: Sequence[tuple[str, Status, str]] = (
    ("right", "pass", "def add(x, y):\n    return x + y\n"),
    ("wrong", "fail", "def add(x, y):\n    return x - y\n"),
    ("looping", "fail", "def add(x, y):\n    while True:\n        pass\n"),
    ("silent", "timeout", "import os\ndef add(x, y):\n    os._exit(0)\n"),
)


class Marker:
    """Marks programs for one data file in one sandbox."""

    def __init__(self, problems: Problems, sandbox: Sandbox, *, every: bool = False) -> None:
        self._problems, self._sandbox, self._every = problems, sandbox, every
        self._oracles: dict[str, Oracle] = {}
        self.controls: list[Control] = []

    def mark(self, programs: Sequence[Program], advance: Callable[[int], None] = lambda n: None) -> Iterator[Marked]:
        """Each program's verdicts, in the order given. Equal (task, source) pairs run once.

        Raises MachineError if the controls fail: a batch without controls has no verdicts.
        """
        if not self.controls:
            self.controls = self._control()
        distinct = list({(p.task_id, p.source): None for p in programs})
        distinct.sort(key=lambda pair: pair[0])  # stable: a worker is sent a task's inputs once
        self.prepare([task_id for task_id, _ in distinct])
        verdicts: dict[tuple[str, str], dict[bool, Verdict]] = {pair: {} for pair in distinct}
        counts = Counter((program.task_id, program.source) for program in programs)
        jobs = [(pair, plus) for pair in distinct for plus in (False, True)]
        for number, verdict in self._verdicts(jobs):
            pair, plus = jobs[number]
            verdicts[pair][plus] = verdict
            if len(verdicts[pair]) == 2:
                advance(counts[pair])
        for program in programs:
            both = verdicts[program.task_id, program.source]
            entry_point = self._problems.by_id[program.task_id].entry_point
            yield Marked(program, both[False], both[True], entry_point == FIND_ZERO)

    def prepare(self, task_ids: Sequence[str]) -> None:
        """The expected answers of these tasks, before any candidate runs."""
        wanted = {}
        for task_id in dict.fromkeys(task_ids):
            problem = self._problems.by_id[task_id]
            for plus in (False, True):
                name = _name(task_id, plus)
                if name not in self._oracles:
                    wanted[name] = _reference(problem, plus)
        self._oracles |= expected_answers(wanted, self._sandbox)

    def _verdicts(self, jobs: Sequence[tuple[tuple[str, str], bool]]) -> Iterator[tuple[int, Verdict]]:
        """(index of the job, verdict) as they come; those whose answers must be seen whole come last."""
        comparisons: dict[int, Comparison] = {}
        unresolved: list[int] = []

        def judge(number: int) -> Judge:
            made = comparisons[number] = self._comparison(jobs[number])
            return made

        executions = [self._execution(job) for job in jobs]
        for number, outcome in self._sandbox.run(executions, judge):
            comparison = comparisons.pop(number)
            if comparison.unresolved is None:
                yield number, _verdict(outcome, comparison)
            else:
                unresolved.append(number)
        for number in unresolved:
            execution = self._execution(jobs[number], whole=True)
            for _, outcome in self._sandbox.run([execution], lambda _, number=number: judge(number)):
                yield number, _verdict(outcome, comparisons.pop(number))

    def _comparison(self, job: tuple[tuple[str, str], bool]) -> Comparison:
        (task_id, _), plus = job
        problem = self._problems.by_id[task_id]
        return Comparison(
            problem.entry_point,
            partial(problem.arguments, plus),
            self._oracles[_name(task_id, plus)].answers,
            problem.atol,
            decode=self._sandbox.decode,
            whole=lambda index: whole_answer(_reference(problem, plus), index, self._sandbox),
            every=self._every,
        )

    def _execution(self, job: tuple[tuple[str, str], bool], *, whole: bool = False) -> Execution:
        (task_id, source), plus = job
        problem, oracle = self._problems.by_id[task_id], self._oracles[_name(task_id, plus)]
        inputs = problem.plus if plus else problem.base
        cap, full = (WHOLE_CAP, None) if whole else (oracle.cap, frozenset[int]())
        return Execution(source, problem.entry_point, inputs, oracle.limits, cap, full)

    def _control(self) -> list[Control]:
        """Programs whose verdicts are known. Raises MachineError if one comes out otherwise."""
        found = []
        for name, expected, source in CONTROLS:
            answers: list[Any] = []

            def judge(index: int, answer: Any, cpu: float, answers: list[Any] = answers) -> bool:
                answers.append(self._sandbox.decode(answer.encoded) if hasattr(answer, "encoded") else None)
                return answers[-1] is not None

            execution = Execution(source, "add", ADD, (CONTROL_LIMIT,) * ADD.count, SPARE_BYTES)
            outcome = self._sandbox.one(execution, judge)
            seen = STATUS.get(outcome.ending, "pass" if answers == [3, 7, 0] else "fail")
            found.append(Control(name, expected, seen))
            if seen != expected:
                raise MachineError(
                    f"a control program came out as {seen}: `{name}` must be {expected}",
                    where=f"sandbox {self._sandbox.tier}, {outcome.ending} {outcome.detail}".rstrip(),
                    do="see `benchproof doctor`; nothing was scored",
                )
        return found


def _verdict(outcome: Outcome, comparison: Comparison) -> Verdict:
    failed = tuple(index for index, right in enumerate(comparison.details) if not right)
    if outcome.ending in STATUS and not failed:
        status: Status = STATUS[outcome.ending]
        reason = f"input {len(comparison.details)}: {outcome.ending} {outcome.detail}".rstrip()
    elif outcome.ending == "complete" and not failed:
        status, reason = "pass", ""
    else:
        status, reason = "fail", comparison.reason or f"{outcome.ending} {outcome.detail}".rstrip()
    return Verdict(status, reason, failed, outcome.answers, outcome.cpu, outcome.retried)


def _reference(problem: Problem, plus: bool) -> Reference:
    return Reference(problem.canonical, problem.entry_point, problem.plus if plus else problem.base)


def _name(task_id: str, plus: bool) -> str:
    return f"{task_id} {'plus' if plus else 'base'}"
