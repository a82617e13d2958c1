"""Environment variables: an allowlist by name and by form; a secret shows in no case."""

import hashlib
import json
import re

import pytest

from benchproof.observe.environment import ALLOWED, variables
from benchproof.observe.probes import Machine

SECRET = "hf_aBcDeFgHiJkLmNoPqRsTuVwXyZ012345"
SECRETS = (
    SECRET,
    "sk-proj-abc123DEF456",
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "a b;c\nd",
)
UUID = "GPU-8a56fb1a-3b5c-4d2e-9f10-0123456789ab"
FORBIDDEN = ("NODE", "HOST", "CLUSTER", "USER", "EXPORT", "TOKEN", "KEY", "SECRET", "PASS", "PATH", "PROXY", "ENDPOINT")


def test_a_planted_secret_shows_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "SLURM_EXPORT_ENV", "WANDB_API_KEY", "VLLM_API_KEY", *ALLOWED):
        if name not in ("LC_ALL", "LANG", "TZ"):  # these change this process
            monkeypatch.setenv(name, SECRET)
    machine = Machine()
    recorded = json.dumps([p.json_value() for p in [*machine.start("cpu", None, "salt"), *machine.end()]])
    assert SECRET not in recorded and SECRET[3:] not in recorded
    for name in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "SLURM_EXPORT_ENV", "VLLM_API_KEY"):
        assert name not in recorded


@pytest.mark.parametrize("name", ALLOWED)
@pytest.mark.parametrize("secret", SECRETS)
def test_no_allowed_variable_shows_a_secret_put_into_it(name: str, secret: str) -> None:
    shown = variables("salt", {name: secret})[name]
    assert isinstance(shown, dict) and shown["unknown"] == "redacted"
    assert secret not in str(shown)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CUDA_VISIBLE_DEVICES", "0,1"),
        ("CUDA_VISIBLE_DEVICES", ""),
        ("CUDA_VISIBLE_DEVICES", "-1"),
        ("CUBLAS_WORKSPACE_CONFIG", ":4096:8"),
        ("CUBLAS_WORKSPACE_CONFIG", ":16:8:4096:2"),
        ("PYTHONHASHSEED", "0"),
        ("OMP_NUM_THREADS", "8"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("HF_HUB_OFFLINE", "1"),
        ("NVIDIA_TF32_OVERRIDE", "0"),
        ("VLLM_BATCH_INVARIANT", "1"),
        ("VLLM_ATTENTION_BACKEND", "TRITON_ATTN"),
        ("VLLM_ATTENTION_BACKEND", "FLASH_ATTN_MLA"),
        ("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True,max_split_size_mb:512"),
        ("SLURM_ARRAY_TASK_ID", "3"),
        ("SLURM_JOB_GPUS", "0-3"),
        ("LANG", "de_DE.UTF-8"),
    ],
)
def test_usual_values_are_shown(name: str, value: str) -> None:
    assert variables("salt", {name: value, "HOME": "somewhere"}) == {name: value}


def test_uuids_of_gpus_are_hashed_as_everywhere() -> None:
    hashed = hashlib.sha256(f"salt{UUID}".encode()).hexdigest()
    shown = variables("salt", {"CUDA_VISIBLE_DEVICES": f"{UUID},1", "NVIDIA_VISIBLE_DEVICES": UUID})
    assert shown == {"CUDA_VISIBLE_DEVICES": f"{hashed},1", "NVIDIA_VISIBLE_DEVICES": hashed}


def test_an_unset_variable_is_not_there_and_the_list_names_no_place_and_no_person() -> None:
    assert variables("salt", {}) == {}
    harmless = {"SLURM_CPUS_ON_NODE", "SLURM_GPUS_ON_NODE", "TOKENIZERS_PARALLELISM"}  # how many, not which
    assert {name for name in ALLOWED if any(word in name for word in FORBIDDEN)} == harmless
    assert list(ALLOWED) == sorted(ALLOWED)
    for form in ALLOWED.values():
        assert not re.fullmatch(form, "x" * 200)
