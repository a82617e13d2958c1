"""Checkers that make the mistakes which attacks of the kinds `protocol` and `codec` count on.

Each shows that an attack of its class would earn a pass, or run code, if the rule it breaks were not kept.
"""

import contextlib
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

MAIN = """
import sys
namespace = {{}}
exec({source!r}, namespace)
for pair, right in (((1, 2), 3), ((3, 4), 7), ((-1, 1), 0)):
    assert namespace["add"](*pair) == right
print("PASS")
"""


def exit_status_decides(source: str) -> bool:
    """Mistake: a program that ends with 0 has passed."""
    done = subprocess.run([sys.executable, "-c", MAIN.format(source=source)], capture_output=True, timeout=60)
    return done.returncode == 0


def output_decides(source: str) -> bool:
    """Mistake: whoever prints the word has passed."""
    done = subprocess.run([sys.executable, "-c", MAIN.format(source=source)], capture_output=True, timeout=60)
    return b"pass" in done.stdout.lower()


def no_answer_is_no_fault(answers: list[Any], expected: list[Any]) -> bool:
    """Mistake: only the answers that came are compared."""
    return all(a == e for a, e in zip(answers, expected, strict=False))


def difference_decides(answer: float, expected: float) -> bool:
    """Mistake: right unless it is provably too far away."""
    return not abs(answer - expected) > 1e-6


def untagged(value: Any) -> Any:
    """Mistake: containers without tags, so that a list may look like a number."""
    if isinstance(value, list) and len(value) == 2 and value[0] == "I":
        return int(value[1], 16)
    return value


def unpickled(value: Any, path: Path) -> bool:
    """Mistake: a pickle is data."""
    with contextlib.suppress(Exception):
        pickle.loads(pickle.dumps(value))
    return path.exists()
