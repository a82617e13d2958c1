"""The machine beside its GPU, over made-up file systems; and the table's promise that a probe breaks nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchproof.observe import host, isolation
from benchproof.observe.probes import START, Machine
from benchproof.observe.reason import NotKnown, looked
from benchproof.schema.unknown import Unknown

X86 = "processor: 0\nmodel name\t: AMD EPYC 9554\nflags\t\t: fpu avx2 avx512f fma\n\nprocessor: 1\nmodel name: other\n"
ARM = "processor: 0\nFeatures: fp asimd sve\nCPU implementer\t: 0x41\nCPU part\t: 0xd4f\n\n"


def root_of(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


def test_the_processor_by_name_or_by_numbers(tmp_path: Path) -> None:
    x86 = root_of(tmp_path / "x86", {"proc/cpuinfo": X86})
    assert host.cpu_model(x86) == "AMD EPYC 9554" and host.cpu_features(x86) == ["avx2", "fma", "avx512f"]
    arm = root_of(tmp_path / "arm", {"proc/cpuinfo": ARM})
    assert host.cpu_model(arm) == "implementer 0x41, part 0xd4f" and host.cpu_features(arm) == ["asimd", "sve"]
    bare = root_of(tmp_path / "bare", {"proc/cpuinfo": "processor: 0\n"})
    for probe in (host.cpu_model, host.cpu_features):
        with pytest.raises(NotKnown):
            probe(bare)


def test_the_system_by_its_pretty_name(tmp_path: Path) -> None:
    root = root_of(
        tmp_path, {"usr/lib/os-release": 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12"\n', "etc/os-release": ""}
    )
    assert host.system(root) == "Debian GNU/Linux 12"


def test_the_tightest_control_group_counts(tmp_path: Path) -> None:
    base = "sys/fs/cgroup"
    files = {
        "proc/self/cgroup": "0::/slurm/job_7/step_0\n",
        f"{base}/slurm/job_7/step_0/memory.max": "max\n",
        f"{base}/slurm/job_7/step_0/cpu.max": "max 100000\n",
        f"{base}/slurm/job_7/memory.max": "68719476736\n",
        f"{base}/slurm/job_7/cpu.max": "800000 100000\n",
        f"{base}/slurm/memory.max": "34359738368\n",
        f"{base}/slurm/cpu.max": "400000 100000\n",
    }
    root = root_of(tmp_path, files)
    assert host.memory_limit(root) == 1 << 35 and host.cpu_quota(root) == "4.0"


def test_version_one_of_control_groups_and_no_limit(tmp_path: Path) -> None:
    lines = "7:cpu,cpuacct:/a\n5:memory:/docker/abc\n"
    limit = "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes"
    limited = root_of(tmp_path / "limited", {"proc/self/cgroup": lines, limit: "1073741824\n"})
    assert host.memory_limit(limited) == 1 << 30
    free = root_of(tmp_path / "free", {"proc/self/cgroup": lines, limit: "9223372036854771712\n"})
    for probe in (host.memory_limit, host.cpu_quota):
        with pytest.raises(NotKnown) as caught:
            probe(free)
        assert caught.value.unknown.unknown == "not_applicable"


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({".dockerenv": ""}, "docker"),
        ({"run/.containerenv": 'image="registry.example/secret"'}, "podman"),
        ({".singularity.d/runscript": ""}, "apptainer"),
        ({"proc/1/cgroup": "0::/kubepods/besteffort/pod1\n"}, "kubepods"),
        ({"proc/1/cgroup": "0::/\n"}, "none seen"),
    ],
)
def test_containers_by_kind_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], kind: str
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    root = root_of(tmp_path, {"proc/1/cgroup": "0::/init.scope\n"} | files)
    assert host.container(root) == kind
    with pytest.raises(NotKnown) as caught:
        host.image_digest(root)
    assert caught.value.unknown.unknown == ("not_applicable" if kind == "none seen" else "not_exposed")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert host.container(root) == "kubernetes"


def test_what_is_known_on_any_linux() -> None:
    seen: dict[str, Any] = {probe.name: probe.value for probe in Machine().start("cpu", None, "")}
    assert [row.name for row in START if row.name not in seen] == []
    for name in (
        "os",
        "kernel",
        "machine",
        "cpu_cores_usable",
        "memory",
        "memory_available",
        "python",
        "distributions",
    ):
        assert seen[name] and not isinstance(seen[name], Unknown), name
    assert 0 < seen["memory_available"] <= seen["memory"]


def test_no_host_user_or_path_name_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    import getpass
    import platform

    text = str(Machine().start("cpu", None, ""))
    assert str(Path.cwd()) not in text and str(Path.home()) + "/" not in text
    assert f"'{platform.node()}'" not in text and f"'{getpass.getuser()}'" not in text


@pytest.mark.parametrize(
    ("error", "code", "detail"),
    [
        (NotKnown("not_applicable", "why"), "not_applicable", "why"),
        (PermissionError(13, "Permission denied", "a/secret/path"), "permission_denied", "Permission denied"),
        (FileNotFoundError(2, "No such file", "a/secret/path"), "probe_failed", "FileNotFoundError"),
        (RuntimeError("a/secret/path"), "probe_failed", "RuntimeError"),
    ],
)
def test_a_probe_that_breaks_leaves_its_reason_and_no_path(error: Exception, code: str, detail: str) -> None:
    def broken(_: object) -> None:
        raise error

    value = looked(broken, None)
    assert isinstance(value, Unknown) and (value.unknown, value.detail) == (code, detail)


def test_isolation_says_what_is_there(tmp_path: Path) -> None:
    assert isolation.bubblewrap("no-such-command") == "not installed"
    refusing = tmp_path / "bwrap"
    refusing.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n", "utf-8")
    refusing.chmod(0o755)
    assert "No permissions" in isolation.bubblewrap(str(refusing))
    refusing.write_text("#!/bin/sh\nexit 0\n", "utf-8")
    assert isolation.bubblewrap(str(refusing)) == ""
    assert isolation.landlock() >= 0
    root = root_of(tmp_path / "root", {"proc/self/status": "Name:\tpython\n"})
    assert not isolation.seccomp(root)
    assert isolation.seccomp(root_of(root, {"proc/self/status": "Name:\tpython\nSeccomp:\t0\n"}))
