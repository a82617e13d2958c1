"""Writes the exact locks in requirements/ from the environment that this runs in (`make lock`).

A lock is the closure of what pyproject.toml asks for, over the installed distributions' own metadata, so a
package that is only here by accident is in none. Without hashes: the CPU and the CUDA build of torch differ.
"""

import argparse
import sys
import tomllib
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]

# file -> (what it is for, extras of pyproject.toml)
LOCKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "base.txt": ("what `pip install benchproof` needs: reads, shows and checks records", ()),
    "hf.txt": ("what `benchproof[hf]` and the developers' tools need: runs models", ("hf", "dev")),
}
TORCH = """\
# torch: as pip finds it, which is the CUDA build on most machines. To choose another build, install it first
# (`pip install torch==VERSION --index-url INDEX`); this lock then finds its version satisfied. The libraries
# of a CUDA build are pinned by torch itself and stand in no lock.
"""


def main() -> int:
    """Writes the locks, or with --check says which ones differ; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a lock would change")
    check = parser.parse_args().check
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    changed = 0
    for name, (purpose, extras) in LOCKS.items():
        asked = list(project["dependencies"])
        for extra in extras:
            asked += project["optional-dependencies"][extra]
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        head = f"# {purpose}.\n# Written by `make lock` on Python {python}; do not edit.\n"
        text = head + (TORCH if "hf" in extras else "") + "".join(f"{line}\n" for line in closure(asked))
        path = ROOT / "requirements" / name
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        changed += 1
        print(f"requirements/{name} {'would change' if check else 'written'}")
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
    return int(check and changed > 0)


def closure(asked: Iterable[str]) -> list[str]:
    """`name==version` of everything that the asked requirements pull in here, sorted by name.

    Raises SystemExit for a requirement that is not installed, or installed in a version that is not allowed.
    """
    found: dict[str, str] = {}
    done: set[tuple[str, str]] = set()  # (name, extra), "" for the distribution itself
    queue = [Requirement(text) for text in asked]
    while queue:
        requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        try:
            dist = distribution(name)
        except PackageNotFoundError:
            raise SystemExit(f"{name} is not installed: run `make setup`, or pip install it, then lock again") from None
        version = dist.version.partition("+")[0]  # 2.13.0+cpu and 2.13.0+cu130 are one release
        if not requirement.specifier.contains(version, prereleases=True):
            raise SystemExit(f"{name} {version} is installed, {requirement} is asked for")
        found[name] = version
        for extra in ("", *sorted(requirement.extras)):
            if (name, extra) not in done:
                done.add((name, extra))
                queue += _needed(dist.requires or [], extra)
    return [f"{name}=={found[name]}" for name in sorted(found)]


def _needed(lines: Sequence[str], extra: str) -> list[Requirement]:
    """The requirements that hold in this environment with that extra."""
    wanted = [Requirement(line) for line in lines]
    return [item for item in wanted if item.marker is None or item.marker.evaluate({"extra": extra})]


if __name__ == "__main__":
    raise SystemExit(main())
