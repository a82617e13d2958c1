"""Executions as the supervisor sees them: endings, limits, retries, what is left behind."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchproof.errors import SandboxUnavailable
from benchproof.sandbox.landlock import open_launch
from benchproof.sandbox.supervisor import Sandbox
from benchproof.sandbox.worker import Launch, Worker, WorkerDied
from benchproof.schema.execution import Answer, Digest, Execution, Failed, Inputs, Judge, Outcome, Value

ONE = Inputs("one", "[[1, 2]]", 1)
MANY = Inputs("many", str([[i, i] for i in range(200)]), 200)


def execution(source: str, inputs: Inputs = ONE, **changes: Any) -> Execution:
    settings: dict[str, Any] = {"limits": (1.0,) * inputs.count, "output_cap": 65_536}
    return Execution(source, "add", inputs, **(settings | changes))


def run(
    sandbox: Sandbox, asked: Execution, until: Callable[[Answer], bool] = lambda a: True
) -> tuple[Outcome, list[Answer]]:
    answers: list[Answer] = []

    def judge(index: int, answer: Answer, cpu: float) -> bool:
        answers.append(answer)
        return until(answer)

    return sandbox.one(asked, judge), answers


PLAIN = "def add(x, y):\n    return x + y\n"


def test_every_answer_comes_in_order(sandbox: Sandbox) -> None:
    outcome, answers = run(sandbox, execution(PLAIN, MANY))
    assert outcome.ending == "complete"
    assert [sandbox.decode(a.encoded) for a in answers if isinstance(a, Value)] == [2 * i for i in range(200)]


def test_it_stops_at_the_first_answer_that_the_judge_does_not_like(sandbox: Sandbox) -> None:
    source = "def add(x, y):\n    while x > 3: pass\n    return x\n"
    outcome, answers = run(sandbox, execution(source, MANY), lambda a: a != Value(b"2"))
    assert (outcome.ending, outcome.answers, len(answers)) == ("stopped", 3, 3)
    assert outcome.cpu < 1.0


@pytest.mark.parametrize(
    ("source", "ending"),
    [
        ("def add(x, y:", "import_failed"),
        ("1 / 0", "import_failed"),
        ("def other(x, y): return 1", "import_failed"),
        ("import os\nos._exit(0)", "died"),
        ("import os\ndef add(x, y): os._exit(3)", "died"),
        ("import os\ndef add(x, y): os.write(3, b'nonsense' * 9)", "malformed"),
        ("import os\ndef add(x, y):\n    while True: os.write(3, b'V' + bytes(8))", "malformed"),
        (
            "import os, struct\ndef add(x, y): os.write(3, struct.pack('>cIf', b'V', 10**6, 0) + b'1' * 10**6)",
            "output_cap",
        ),
        ("while True: pass", "timeout"),
        ("def add(x, y): return 1", "complete"),
    ],
)
def test_how_a_candidate_can_end(sandbox: Sandbox, source: str, ending: str) -> None:
    outcome, _ = run(sandbox, execution(source))
    assert outcome.ending == ending, outcome


def test_a_large_answer_comes_as_its_digest_and_whole_where_that_is_asked(sandbox: Sandbox) -> None:
    source = "def add(x, y): return list(range(5000))"
    _, (digest,) = run(sandbox, execution(source))
    assert isinstance(digest, Digest)
    assert not digest.floats
    _, (floats,) = run(sandbox, execution("def add(x, y): return [0.5] * 5000"))
    assert isinstance(floats, Digest)
    assert floats.floats
    _, (whole,) = run(sandbox, execution(source, output_cap=1 << 20, full=frozenset([0])))
    assert isinstance(whole, Value)
    assert sandbox.decode(whole.encoded) == list(range(5000))
    outcome, _ = run(sandbox, execution(source, output_cap=1000, full=None))
    assert outcome.ending == "output_cap"


def test_a_timer_ends_one_call_and_the_next_is_made(sandbox: Sandbox) -> None:
    source = "def add(x, y):\n    while x == 1: pass\n    return x\n"
    inputs = Inputs("two", "[[1, 1], [2, 2]]", 2)
    outcome, answers = run(sandbox, execution(source, inputs, limits=(0.2, 0.2)))
    assert outcome.ending == "complete"
    assert answers == [Failed("timeout", ""), Value(b"2")]


def test_the_set_order_is_the_same_in_every_worker(sandbox: Sandbox) -> None:
    source = "def add(x, y): return list({'a', 'b', 'c', 'd', 'e', 'f', 'g'})"
    seen: list[bytes] = []

    def judge(index: int) -> Judge:
        def take(number: int, answer: Answer, cpu: float) -> bool:
            assert isinstance(answer, Value)
            seen.append(answer.encoded)
            return True

        return take

    list(sandbox.run([execution(source + f"\n# {i}") for i in range(8)], judge))
    assert len(seen) == 8
    assert len(set(seen)) == 1


def test_no_state_goes_from_one_candidate_to_the_next(sandbox: Sandbox) -> None:
    spoil = "import math, builtins\nmath.pi = 3\nbuiltins.len = None\nX = 1\ndef add(x, y): return 1"
    look = "import math\ndef add(x, y): return [math.pi > 3, len([1]), 'X' in globals()]"
    run(sandbox, execution(spoil))
    _, (answer,) = run(sandbox, execution(look))
    assert isinstance(answer, Value)
    assert sandbox.decode(answer.encoded) == [True, 1, False]


def test_a_starved_or_dead_worker_is_tried_again_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox("none", open_launch(), workers=2) as sandbox:
        real, calls = Worker.execute, []

        def execute(self: Worker, asked: Execution, judge: Judge, *, without: Any = ()) -> Outcome:
            calls.append(asked.source)
            if asked.source.endswith("# dies") and calls.count(asked.source) == 1:
                raise WorkerDied("killed by the machine")
            if asked.source.endswith("# dies always"):
                raise WorkerDied("killed by the machine")
            return real(self, asked, judge, without=without)

        monkeypatch.setattr(Worker, "execute", execute)
        sources = [PLAIN, PLAIN + "# dies", PLAIN + "# dies always"]
        found = dict(sandbox.run([execution(s) for s in sources], lambda i: lambda *a: True))
    assert found[0].ending == "complete"
    assert not found[0].retried
    assert (found[1].ending, found[1].retried) == ("complete", "killed by the machine")
    assert (found[2].ending, found[2].retried) == ("inconclusive", "killed by the machine")


def test_a_worker_that_is_killed_is_replaced(sandbox: Sandbox) -> None:
    run(sandbox, execution(PLAIN))
    for pid in sandbox.pids():
        os.kill(pid, signal.SIGKILL)
    found = dict(sandbox.run([execution(PLAIN + f"# {i}") for i in range(4)], lambda i: lambda *a: True))
    assert {outcome.ending for outcome in found.values()} == {"complete"}


def test_what_the_judge_raises_reaches_the_caller(sandbox: Sandbox) -> None:
    def judge(index: int, answer: Answer, cpu: float) -> bool:
        raise KeyError("of the judge")

    with pytest.raises(KeyError):
        list(sandbox.run([execution(PLAIN)], lambda i: judge))
    outcome, _ = run(sandbox, execution(PLAIN))
    assert outcome.ending == "complete"


def test_a_worker_that_cannot_start_is_an_error_with_its_last_words() -> None:
    broken = Sandbox("bubblewrap", Launch(["/bin/sh", "-c", "echo no namespaces >&2; exit 1"], {}), workers=1)
    with broken, pytest.raises(SandboxUnavailable, match="no namespaces"):
        list(broken.run([execution(PLAIN)], lambda i: lambda *a: True))


def test_nothing_is_left_when_it_is_closed_in_the_middle(sandbox: Sandbox) -> None:
    opened = Sandbox(sandbox.tier, replace(sandbox._launch, clean=lambda: None), workers=2)
    loop = execution("def add(x, y):\n    while True: pass\n", limits=(30.0,))
    results = opened.run([execution(PLAIN), loop], lambda i: lambda *a: True)
    assert next(results)[0] == 0
    mine = {child for pid in opened.pids() for child in {pid, *_descendants(pid)}}
    assert mine
    opened.close()
    with pytest.raises(StopIteration):
        next(results)
    deadline = time.monotonic() + 2
    while left := {pid for pid in mine if _state(pid) not in ("", "Z")}:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_workers_end_when_the_supervisor_is_killed(sandbox: Sandbox) -> None:
    code = (
        "import os, sys\nfrom benchproof.sandbox.choose import open_sandbox\n"
        "from benchproof.schema.execution import Execution, Inputs\n"
        f"s = open_sandbox({sandbox.tier!r}, workers=1)\n"
        "loop = Execution('def f():\\n    while True: pass', 'f', Inputs('k', '[[]]', 1), (60.0,), 9999)\n"
        "print(*s.pids(), flush=True)\nlist(s.run([loop], lambda i: lambda *a: True))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.5)
    mine = _descendants(process.pid)
    assert mine
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 1
    while left := {pid for pid in mine if _state(pid) not in ("", "Z")}:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_memory_is_flat_and_nothing_is_left_over_many_executions(sandbox: Sandbox) -> None:
    many(sandbox, 600)


@pytest.mark.campaign
def test_memory_is_flat_and_nothing_is_left_over_ten_thousand_executions(sandbox: Sandbox) -> None:
    many(sandbox, 10_000)


def many(sandbox: Sandbox, count: int) -> None:
    """Runs that many, most of them ill-behaved, after as many as fill every cache."""
    kinds = [
        PLAIN,
        "def add(x, y): return 'x' * 10**6",
        "import os\ndef add(x, y): os._exit(1)",
        "import threading as t\ndef add(x, y):\n    t.Thread(target=t.Event().wait, daemon=True).start()\n    return 1",
        "def add(x, y): return bytearray(10 << 20)",
    ]

    def batch(size: int, mark: int) -> None:
        asked = [execution(f"{kinds[i % len(kinds)]}\n# {mark} {i}") for i in range(size)]
        endings = [outcome.ending for _, outcome in sandbox.run(asked, lambda i: lambda *a: True)]
        assert len(endings) == size
        assert set(endings) == {"complete", "died"}

    batch(100, 0)
    workers, files, memory, rss = sandbox.pids(), _open_files(), _resident(os.getpid()), _worker_memory(sandbox)
    batch(count, 1)
    assert sandbox.pids() == workers
    assert _open_files() == files
    assert _resident(os.getpid()) - memory < 32 << 20
    assert _worker_memory(sandbox) - rss < 16 << 20
    deadline = time.monotonic() + 2
    while zombies := [pid for pid in _descendants(os.getpid()) if _state(pid) == "Z"]:
        assert time.monotonic() < deadline, zombies
        time.sleep(0.05)


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * resource.getpagesize()


def _worker_memory(sandbox: Sandbox) -> int:
    return sum(_resident(pid) for worker in sandbox.pids() for pid in {worker, *_descendants(worker)})


def _descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text("ascii").split():
            found |= {int(child)} | _descendants(int(child)) if Path(f"/proc/{child}/task").exists() else {int(child)}
    return found


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""


def test_a_recursion_ends_at_the_depth_at_which_it_ends_under_evalplus(sandbox: Sandbox) -> None:
    source = (
        "import sys\ndef add(x, y):\n    n, f = 0, sys._getframe()\n    while f: n, f = n + 1, f.f_back\n    return n\n"
    )
    _, (answer,) = run(sandbox, execution(source))
    assert answer == Value(b"23")  # measured in a function that evalplus.evaluate.evaluate called
