"""`benchproof` whose engine does not return from its third op.

    python blocked.py HOW run SPEC --out DIR …

HOW: sleep (a call that a signal ends) or compute (C code that a signal does not end, as a long forward).
Prints `blocked` when it is there.
"""

import hashlib
import sys
import time
from typing import Any

from benchproof.cli.app import main


def block(how: str) -> None:
    """Minutes."""
    print("blocked", flush=True)
    if how == "sleep":
        time.sleep(300)
    else:
        hashlib.pbkdf2_hmac("sha512", b"a", b"b", 10**9)


def patched(how: str) -> None:
    """The third op of the process does not end."""
    from benchproof.engines.hf import HfEngine

    kind: Any = HfEngine
    answer, seen = kind.answer, [0]

    def blocking(self: HfEngine, *question: Any) -> Any:
        seen[0] += 1
        if seen[0] == 3:
            block(how)
        return answer(self, *question)

    kind.answer = blocking


if __name__ == "__main__":
    patched(sys.argv[1])
    sys.exit(main(sys.argv[2:]))
