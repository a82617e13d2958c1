"""Writes a small finished run of the bundled model to tests/golden/<version of the record's schema>.

    python scripts/golden.py

Every golden run has to be readable for ever, so only the folder of the current version is written: an older one
stays as the code of its day left it. Offline, some seconds on a CPU. What an environment is made of (its
distributions, its kernel) is left out: a golden run is no measurement.
"""

import dataclasses
import os
import shutil
import sys
import tempfile
from pathlib import Path

from benchproof.errors import BenchproofError, DiskError
from benchproof.observe.probes import Machine
from benchproof.report.progress import Silent
from benchproof.run import run
from benchproof.schema.history import NEWEST_MINOR
from benchproof.schema.observed import Probe
from benchproof.schema.record import RECORD_SCHEMA
from benchproof.schema.spec import RunSpec
from benchproof.spec import parse, resolve_suite
from benchproof.wire import make_world

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"
MAX_BYTES = 200_000
PROBED = ("machine", "cpu_cores_usable", "python")
SPEC = b"""\
# A golden run: two mini tasks, three docs each.
model: {path: smoke}
suite:
  about: One task of choices and one of texts.
  tasks:
    - task: mini_mmlu_kitchen_science
      like: mmlu_abstract_algebra
      data: smoke:mmlu/kitchen_science
      description: "The following are multiple choice questions (with answers) about kitchen science.\\n\\n"
      groups: [mini_mmlu, mini_mmlu_stem]
      num_fewshot: 5
      limit: 3
    - task: mini_gsm8k
      like: gsm8k
      data: smoke:gsm8k/main
      num_fewshot: 5
      limit: 3
      generation: {max_gen_toks: 32}
engine: {dtype: float32}
publisher: {organization: The benchproof authors, relationship: other}
"""


class FewProbes(Machine):
    """Implements ports.Observer: of the whole table, what says nothing of the machine that this was made on."""

    def start(self, device: str, device_uuid: str | None, salt: str) -> list[Probe]:
        """The few."""
        return [probe for probe in super().start(device, device_uuid, salt) if probe.name in PROBED]

    def end(self) -> list[Probe]:
        """None."""
        super().end()
        return []


def version() -> str:
    """`v1.2` of `benchproof/record/v1`, minor 2; its first is `v1`."""
    major = RECORD_SCHEMA.rpartition("/")[2]
    return f"{major}.{NEWEST_MINOR}" if NEWEST_MINOR else major


def dump(golden: Path = GOLDEN) -> Path:
    """The run folder of the current version, written anew; the others are not touched. Returns it."""
    spec = parse(RunSpec, SPEC, where="golden")
    world = make_world(spec, device="cpu", progress=Silent())
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "run"
        run(
            spec,
            SPEC,
            resolve_suite(spec.suite),
            dataclasses.replace(world, observer=FewProbes()),
            out=made,
            name="golden",
            new=False,
        )
        for name in (".lock", "log.txt"):
            (made / name).unlink(missing_ok=True)
        size = sum(path.stat().st_size for path in made.rglob("*") if path.is_file())
        if size >= MAX_BYTES:
            raise DiskError(f"the golden run has {size} bytes", where=str(golden), do=f"keep it under {MAX_BYTES}")
        target = golden / version()
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(made, target)
    return target


def main() -> int:
    """Says where the run is, or what went wrong."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        target = dump()
    except BenchproofError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"wrote {target.relative_to(GOLDEN.parents[1])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
