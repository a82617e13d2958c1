"""The attack corpus: held in each tier, and shown to succeed where the protection is taken away."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchproof.sandbox.supervisor import Sandbox
from sandbox import naive
from sandbox.attacks import ATTACKS, HONEST, Attack
from sandbox.ground import ANSWERS, Ground, fits

HERE = [attack for attack in ATTACKS if fits(attack)]
BEATS_ITS_TIMER = ("ignore-signals", "disarm-timer", "c-loop")


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with Ground() as ground:
        yield ground


def test_the_corpus_has_the_size_that_was_asked_for() -> None:
    assert len(ATTACKS) >= 50
    assert len(HONEST) >= 10
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize("name", HONEST)
def test_odd_but_honest_programs_pass(sandbox: Sandbox, ground: Ground, name: str) -> None:
    result = ground.run(sandbox, HONEST[name])
    assert result.passed, result
    assert not result.touched


@pytest.mark.parametrize("attack", HERE, ids=lambda attack: attack.name)
def test_no_attack_escapes_or_earns_a_pass(sandbox: Sandbox, ground: Ground, attack: Attack) -> None:
    workers = sandbox.pids()
    result = ground.assault(sandbox, attack)
    if sandbox.tier in attack.leaks_in:
        assert result.passed, "a known leak is closed: say so in docs, and take it out of `leaks_in`"
    else:
        assert not result.passed, result
    assert not result.touched, result
    if attack.name in BEATS_ITS_TIMER:  # stopped from outside; by the wall where the machine is very busy
        assert result.outcome.ending in ("timeout", "timeout_wall", "inconclusive")
        assert not result.answers, "its own timer went off: the attack does nothing"
    after = ground.run(sandbox, HONEST["plain"])
    assert after.passed, f"the next candidate was judged wrongly: {after}"
    assert sandbox.pids() == workers or not workers, "the worker did not survive it"


@pytest.mark.parametrize("attack", [a for a in HERE if a.falls == "tier"], ids=lambda attack: attack.name)
def test_without_a_sandbox_it_succeeds(unprotected: Sandbox, ground: Ground, attack: Attack) -> None:
    result = ground.assault(unprotected, attack, ["rlimits"])
    if attack.name == "read-home" and not result.passed:
        pytest.skip("this machine has no home folder that we may list")
    assert result.passed or result.touched, result


@pytest.mark.parametrize("attack", [a for a in HERE if a.falls in ("seccomp", "rlimits")], ids=lambda a: a.name)
def test_without_its_layer_it_succeeds(sandbox: Sandbox, ground: Ground, attack: Attack) -> None:
    """The layer alone is taken out of the child: what holds the attack is that layer, and no other."""
    result = ground.assault(sandbox, attack, [attack.falls])
    if attack.name in ("userfaultfd", "keyring", "i386-entry") and not result.passed:
        pytest.skip("this kernel or another layer refuses it by itself")
    assert result.passed or result.touched, result


NATIVE = """
import json, sys
from evalplus.eval import untrusted_check
sources = json.load(sys.stdin)
inputs, expected = [[1, 2], [3, 4], [-1, 1]], [3, 7, 0]
found = {}
for name, source in sources.items():
    found[name], _ = untrusted_check("humaneval", source, inputs, "add", expected, 0, [0.1] * 3, fast_check=True)
json.dump(found, sys.stdout)
"""


def test_attacks_on_the_comparison_succeed_in_evalpluss_own_path(ground: Ground) -> None:
    sources = {a.name: a.source for a in HERE if a.falls == "evalplus"} | {
        "honest": HONEST["plain"],
        "wrong": "add = max",
    }
    done = subprocess.run(
        [sys.executable, "-c", NATIVE], input=json.dumps(sources), capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert (found.pop("honest"), found.pop("wrong")) == ("pass", "fail")
    assert set(found.values()) == {"pass"}, found


def test_each_mistake_that_a_checker_could_make_is_one_that_an_attack_uses(ground: Ground) -> None:
    source = {attack.name: attack.source for attack in HERE}
    for name in ("exit-import", "exit-call", "os-exit-zero", "exit-after-first"):
        assert naive.exit_status_decides(source[name]), name
    for name in ("stdout-report", "write-all-fds"):
        assert naive.output_decides(source[name]), name
    assert naive.no_answer_is_no_fault([3], ANSWERS)
    assert naive.difference_decides(float("nan"), 3)
    assert naive.untagged(["I", "0x3"]) == 3
    space: dict[str, object] = {}
    exec(ground.fitted(source["pickle-reduce"]), space)
    assert naive.unpickled(space["A"](), ground.folder / "pickled")  # type: ignore[operator]
    assert ground.touched()
