"""Killed with SIGKILL at any moment, and resumed: the same answers, scores and rows, and nothing asked twice.

Twenty kills here, two hundred in `make campaign-kill`. The kernel keeps what a killed process wrote, so this proves
that resuming is right; that what counts was synced is proved by tests/store/test_crash_images.py.
"""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fakes.outcome import Outcome, acknowledged, journals, outcome, record_of
from fakes.smoke import write_spec
from path.kill_server import ASKED, EVENTS, Kill
from path.stops import environment, many_ops

pytest.importorskip("torch")
SERVER = Path(__file__).with_name("kill_server.py")
GROUPS = ("plan", "requests", "journal", "journal", "answer", "answer", "score", "samples", "record", "time", "time")
SEED = 20


class Server:
    """The process that forks runs."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(self, out: Path, kill: Kill | None = None) -> dict[str, Any]:
        """One run into `out`, or as much of it as the kill allows."""
        assert self._process.stdin and self._process.stdout
        print(json.dumps({"out": str(out), "kill": kill}), file=self._process.stdin, flush=True)
        return dict(json.loads(self._process.stdout.readline()))


@contextmanager
def serving(spec: Path) -> Iterator[Server]:
    command = [sys.executable, str(SERVER), str(spec)]
    process = subprocess.Popen(
        command,
        env=environment(TOKENIZERS_PARALLELISM="false"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout and process.stdin
        assert process.stdout.readline() == "ready\n"
        yield Server(process)
        process.stdin.close()


@dataclass
class Bench:
    """A server, the unbroken run that everything is compared with, and what was done so far."""

    server: Server
    folder: Path
    whole: Outcome
    ops: list[int]
    events: dict[str, int]
    seconds: float
    kills: Counter[str] = field(default_factory=Counter)
    resumed: Counter[int] = field(default_factory=Counter)  # attempts in a record -> how many runs

    def draw(self, dice: random.Random) -> Kill:
        """A moment, of any group of events with equal weight."""
        group = dice.choice(GROUPS)
        if group == "time":
            return Kill("time", 0, "", dice.uniform(0, self.seconds))
        how = dice.choice(("before", "after", "half") if group not in ("answer", "score") else ("before", "after"))
        return Kill(group, dice.randint(1, self.events[group]), how)

    def broken_run(self, dice: random.Random) -> None:
        """One run, killed once to four times, resumed until it ends; everything that must hold is checked."""
        out = self.folder / f"run-{sum(self.resumed.values())}"
        for _ in range(dice.randint(1, 4)):
            kill = self.draw(dice)
            if self.step(out, kill):
                self.kills[kill.group] += 1
            if (out / "record.json").exists():
                break
        else:
            assert not self.step(out, None)
        self.check(out)

    def step(self, out: Path, kill: Kill | None) -> bool:
        """One start; True if it was killed. What was acknowledged before stays as it is, and is not asked again."""
        before = {path: path.read_bytes() for path in journals(out)}
        known = set(acknowledged(out))
        asked = Path(f"{out}.{ASKED}")
        seen = asked.stat().st_size if asked.exists() else 0
        ended = self.server.run(out, kill)
        assert ended["code"] == (-9 if ended["killed"] else 0), (kill, ended)
        if seen or asked.exists():
            now = asked.read_text("ascii")[seen:].split()
            again = known.intersection(int(word) for word in now if word != "start")
            assert not again, f"acknowledged answers of ops {again} were asked for again"
        assert all(path.read_bytes() == data for path, data in before.items()), "an attempt was changed"
        return bool(ended["killed"])

    def check(self, out: Path) -> None:
        record = record_of(out)
        assert outcome(out) == self.whole
        assert sorted(acknowledged(out)) == self.ops, "an op was answered twice, or never"
        assert record.observed.resumed == (len(record.observed.attempts) > 1)
        assert not record.observed.mixed_hardware
        self.resumed[len(record.observed.attempts)] += 1


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("kills")
    spec = write_spec(folder, many_ops())
    with serving(spec) as server:
        assert server.run(folder / "warm")["code"] == 0
        ended = server.run(folder / "whole")
        assert outcome(folder / "warm") == outcome(folder / "whole"), "two runs differ: nothing can be compared"
        events = json.loads(Path(f"{folder / 'whole'}.{EVENTS}").read_text("ascii"))
        ops = acknowledged(folder / "whole")
        assert len(ops) > 20 and set(events) >= set(GROUPS) - {"time"}
        yield Bench(server, folder, outcome(folder / "whole"), sorted(ops), events, ended["seconds"])


def kill_until(bench: Bench, count: int, seed: int) -> None:
    dice = random.Random(seed)
    while bench.kills.total() < count:
        bench.broken_run(dice)
    print(f"{bench.kills.total()} kills {dict(bench.kills)}, attempts -> runs {dict(bench.resumed)}")


@pytest.mark.slow
def test_twenty_kills_change_nothing(bench: Bench) -> None:
    kill_until(bench, 20, SEED)
    assert max(bench.resumed) > 2, "no resumed run was killed again"


@pytest.mark.campaign
def test_two_hundred_kills_change_nothing(bench: Bench) -> None:
    kill_until(bench, 200, SEED + 1)
    assert set(bench.kills) == set(GROUPS)


CALLS = ("create", "write", "fsync", "publish", "fsync of the folder")
MOMENTS = [(call, how) for call in CALLS for how in ("before", "after")] + [("write", "half"), ("publish", "half")]


@pytest.mark.slow
@pytest.mark.parametrize(("call", "how"), MOMENTS)
def test_a_record_is_whole_or_not_there(bench: Bench, call: str, how: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert bench.step(out, Kill("record", CALLS.index(call) + 1, how))
    published = (call, how) in [("publish", "half"), ("publish", "after"), *MOMENTS[8:10]]
    assert (out / "record.json").exists() == published
    if not published:
        assert not bench.step(out, None)
    bench.check(out)
    assert acknowledged(out) == acknowledged(bench.folder / "whole")
    assert bench.server.run(out)["code"] == 2, "a finished record is never overwritten"
