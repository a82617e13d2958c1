"""Environment variables that can move a result: an allowlist, and for each the form its value must have.

A name that is not here is never read. A value of another form is not shown: a token that was put into
the wrong variable stays one. Left out on purpose: names of nodes, hosts, clusters and users, and
SLURM_EXPORT_ENV, which holds a whole environment.
"""

import hashlib
import os
import re
from collections.abc import Mapping

from benchproof.schema.unknown import Unknown

NUMBER = r"-?\d{1,10}"
FLAG = r"(?i:|0|1|true|false|yes|no|on|off)"
UUID = r"(?:GPU|MIG)-[0-9a-fA-F-]{8,40}"
DEVICES = rf"(?i:|all|none|void|NoDevFiles|(?:-?\d{{1,3}}|{UUID})(?:,(?:-?\d{{1,3}}|{UUID}))*)"
RANGE = r"\d{1,10}(?:-\d{1,10})?(?:,\d{1,10}(?:-\d{1,10})?)*"
ALLOCATOR = (
    r"(?:(?:expandable_segments|max_split_size_mb|garbage_collection_threshold|backend|roundup_power2_divisions)"
    r":[A-Za-z0-9.]{1,16},?)+"
)

ALLOWED: dict[str, str] = {
    "ATEN_CPU_CAPABILITY": r"(?i:default|avx2|avx512|avx512_vnni|amx|zvector|sve256|vsx)",
    "CUBLAS_WORKSPACE_CONFIG": r"(?::\d{1,8}:\d{1,4})+",
    "CUDA_DEVICE_MAX_CONNECTIONS": NUMBER,
    "CUDA_DEVICE_ORDER": r"PCI_BUS_ID|FASTEST_FIRST",
    "CUDA_LAUNCH_BLOCKING": FLAG,
    "CUDA_VISIBLE_DEVICES": DEVICES,
    "HF_DATASETS_OFFLINE": FLAG,
    "HF_HUB_OFFLINE": FLAG,
    "KMP_DETERMINISTIC_REDUCTION": FLAG,
    "LANG": r"[A-Za-z_]{1,12}(?:\.[A-Za-z0-9-]{1,12})?",
    "LC_ALL": r"[A-Za-z_]{1,12}(?:\.[A-Za-z0-9-]{1,12})?",
    "MKL_CBWR": r"(?:AUTO|OFF|COMPATIBLE|SSE[34][_0-9]{0,2}|AVX\w{0,8})(?:,STRICT)?",
    "MKL_NUM_THREADS": NUMBER,
    "NVIDIA_TF32_OVERRIDE": FLAG,
    "NVIDIA_VISIBLE_DEVICES": DEVICES,
    "OMP_NUM_THREADS": RANGE,
    "OMP_PROC_BIND": r"(?i:true|false|close|spread|master|primary)",
    "ONEDNN_MAX_CPU_ISA": r"(?i:all|default|sse41|avx\w{0,24})",
    "OPENBLAS_NUM_THREADS": NUMBER,
    "PYTHONHASHSEED": r"random|\d{1,10}",
    "PYTORCH_ALLOC_CONF": ALLOCATOR,
    "PYTORCH_CUDA_ALLOC_CONF": ALLOCATOR,
    "SLURM_ARRAY_JOB_ID": NUMBER,
    "SLURM_ARRAY_TASK_COUNT": NUMBER,
    "SLURM_ARRAY_TASK_ID": NUMBER,
    "SLURM_ARRAY_TASK_MAX": NUMBER,
    "SLURM_ARRAY_TASK_MIN": NUMBER,
    "SLURM_ARRAY_TASK_STEP": NUMBER,
    "SLURM_CPUS_ON_NODE": NUMBER,
    "SLURM_GPUS_ON_NODE": NUMBER,
    "SLURM_JOB_GPUS": RANGE,
    "SLURM_JOB_ID": NUMBER,
    "SLURM_RESTART_COUNT": NUMBER,
    "TOKENIZERS_PARALLELISM": FLAG,
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": FLAG,
    "TRANSFORMERS_OFFLINE": FLAG,
    "TZ": r"UTC|GMT|[A-Z][A-Za-z]{2,15}/[A-Z][A-Za-z_]{2,20}",
    "VLLM_ATTENTION_BACKEND": r"(?:FLASH|FLASHINFER|TRITON|FLEX|TORCH)(?:_(?:ATTN|ATTENTION|MLA|SDPA|VLLM|V1)){0,3}",
    "VLLM_BATCH_INVARIANT": FLAG,
    "VLLM_ENABLE_V1_MULTIPROCESSING": FLAG,
    "VLLM_FLASH_ATTN_VERSION": NUMBER,
    "VLLM_USE_FLASHINFER_SAMPLER": FLAG,
    "VLLM_USE_V1": FLAG,
    "VLLM_WORKER_MULTIPROC_METHOD": r"fork|spawn|forkserver",
}


def variables(salt: str, environment: Mapping[str, str] | None = None) -> dict[str, str | dict[str, str]]:
    """Those of the allowlist that are set; one that is not here is unset. Uuids of GPUs are hashed as everywhere."""
    given = os.environ if environment is None else environment
    return {name: _shown(given[name], form, salt) for name, form in ALLOWED.items() if name in given}


def _shown(value: str, form: str, salt: str) -> str | dict[str, str]:
    if not re.fullmatch(form, value):
        return Unknown(unknown="redacted", detail="set, and its value has not the form that is expected").model_dump()
    return re.sub(UUID, lambda match: hashlib.sha256((salt + match[0]).encode()).hexdigest(), value)
