"""Probes: each value is known, or the reason is; nothing of the machine's owner is told."""

import getpass
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchproof.observe.probes import START, Machine, Row
from benchproof.schema.canonical import canonical
from benchproof.schema.observed import Probe
from benchproof.schema.unknown import Unknown


def look_with(monkeypatch: pytest.MonkeyPatch, *rows: Row) -> list[Probe]:
    monkeypatch.setattr("benchproof.observe.probes.START", rows)
    return list(Machine().start("cpu", None, ""))


def failing(error: Exception) -> Callable[[Machine], Any]:
    def look(machine: Machine) -> Any:
        raise error

    return look


def test_each_row_gives_one_value_or_a_reason() -> None:
    found = list(Machine().start("cpu", None, ""))
    assert [(probe.name, probe.unit) for probe in found] == [(row.name, row.unit) for row in START]
    assert len({probe.name for probe in found}) == len(found)
    for probe in found:
        assert probe.value is not None
        assert probe.value != ""
        canonical(probe.json_value())


def test_the_values_are_this_machines() -> None:
    found: dict[str, Any] = {probe.name: probe.value for probe in Machine().start("cpu", None, "")}
    assert found["cpu_cores_usable"] == len(os.sched_getaffinity(0))
    assert found["memory"] > 2**28
    assert "pydantic" in found["distributions"]


def test_a_cpu_run_knows_why_it_knows_no_gpu() -> None:
    found = [probe for probe in Machine().start("cpu", None, "") if probe.name.startswith("gpu")]
    assert found
    for probe in found:
        assert isinstance(probe.value, Unknown)
        assert probe.value.unknown == "not_applicable"


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(13, "Permission denied", "/home/somebody/x"),
        FileNotFoundError(2, "No such file", "/home/somebody/x"),
        LookupError("nothing there"),
        ValueError("not a number"),
        AttributeError("no such call"),
    ],
)
def test_a_probe_that_fails_is_an_unknown_with_its_reason_and_the_others_go_on(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = look_with(monkeypatch, Row("bad", "bytes", failing(error)), Row("good", "", lambda machine: 7))
    assert isinstance(first.value, Unknown)
    assert (first.name, first.unit) == ("bad", "bytes")
    assert first.value.unknown == ("permission_denied" if isinstance(error, PermissionError) else "probe_failed")
    assert first.value.detail
    assert "somebody" not in first.value.detail, "a path may stand in an error's text"
    assert second.value == 7


def test_neither_host_nor_user_nor_path_is_told() -> None:
    text = json.dumps([probe.json_value() for probe in Machine().start("cpu", None, "")])
    for secret in (socket.gethostname(), getpass.getuser(), f"{Path.home()}/", str(Path.cwd())):
        if len(secret) > 4:
            assert secret not in text
