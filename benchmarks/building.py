"""Building MMLU's 56,168 requests with and without the cache of compiled prompt templates (`make bench`).

The harness compiles its template anew for every doc; benchproof keeps it (suites/lmeval.py). Both ways are taken
subject by subject in one process, so that a busy machine slows both alike; the figure to quote is the ratio.
Needs the data: a folder `shared` beside the checkout, or BENCHPROOF_SHARED.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fakes.hub import hub_environment, local_hub, shared_folder

REQUESTS = 56_168


def main() -> None:
    """Starts the stand-in for the Hub, and measures in a process that reads from it."""
    if shared_folder() is None:
        print("building MMLU's requests: not measured, no folder `shared` beside the checkout")
        return
    with local_hub() as address, tempfile.TemporaryDirectory() as home:
        subprocess.run([sys.executable, __file__, "measure"], check=True, env=hub_environment(address, Path(home)))


def measure() -> None:
    """Both ways for each of the 57 subjects, five shots; prints seconds, requests a second and the ratio."""
    from benchproof.wire import quiet_libraries

    quiet_libraries()
    import lm_eval.utils

    from benchproof.ports import Asking
    from benchproof.report.progress import Silent
    from benchproof.schema.request import Doc
    from benchproof.schema.spec import TaskAsk
    from benchproof.sources.hub import HubSource
    from benchproof.suites.lmeval import LmEval

    harness = LmEval()
    pins = harness.load(
        [TaskAsk(task="mmlu", num_fewshot=5)],
        Asking(fewshot_seed=1234, generation_seed=1234, chat=False),
        HubSource(),
        Silent(),
    )
    cached = lm_eval.utils.env.from_string
    ways = {"stock": cached.__wrapped__, "cached": cached}
    seconds = dict.fromkeys(ways, 0.0)
    requests = 0
    for number, pin in enumerate(pins.asks):
        built: dict[str, list[Doc]] = {}
        order = list(ways) if number % 2 else list(reversed(ways))  # neither always pays for a cold start
        for way in order:
            lm_eval.utils.env.from_string = ways[way]
            start = time.perf_counter()
            built[way] = harness.build(pin.task, None)
            seconds[way] += time.perf_counter() - start
        if built["stock"] != built["cached"]:
            raise SystemExit(f"{pin.task}: the two ways build different requests")
        requests += sum(len(doc.requests) for doc in built["cached"])
    if requests != REQUESTS:
        raise SystemExit(f"{requests} requests, not {REQUESTS}")
    print(f"building MMLU's {requests} requests, five shots, hashing included; equal both ways")
    for way, spent in seconds.items():
        print(f"  {way:<8}{spent:>8.1f} s{requests / spent:>10.0f} requests/s")
    print(f"  ratio   {seconds['stock'] / seconds['cached']:>8.1f}")


if __name__ == "__main__":
    measure() if sys.argv[1:] == ["measure"] else main()
