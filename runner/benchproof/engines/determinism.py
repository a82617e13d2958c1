"""Seeds set, deterministic kernels asked for, and what the libraries say they granted."""

import os
import random

import numpy as np
import torch

from benchproof.schema.observed import Determinism
from benchproof.schema.unknown import Unknown

WORKSPACE = ":4096:8"  # cuBLAS is deterministic only with a fixed workspace, set before CUDA starts


def seed_everything(seed: int) -> None:
    """Every global generator that a model or a library might draw from."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def ask(deterministic: bool) -> list[Determinism]:
    """Sets the flags and reads them back. Without `deterministic` nothing is set; what holds is recorded."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", WORKSPACE)
        torch.use_deterministic_algorithms(True, warn_only=True)
        cudnn.deterministic, cudnn.benchmark = True, False
        cudnn.allow_tf32 = matmul.allow_tf32 = False
        matmul.allow_bf16_reduced_precision_reduction = False
        matmul.allow_fp16_reduced_precision_reduction = False
    wanted = {
        "torch.deterministic_algorithms": ("True", torch.are_deterministic_algorithms_enabled()),
        "cudnn.deterministic": ("True", cudnn.deterministic),
        "cudnn.benchmark": ("False", cudnn.benchmark),
        "cudnn.allow_tf32": ("False", cudnn.allow_tf32),
        "matmul.allow_tf32": ("False", matmul.allow_tf32),
        "matmul.bf16_reduced_precision": ("False", matmul.allow_bf16_reduced_precision_reduction),
        "matmul.fp16_reduced_precision": ("False", matmul.allow_fp16_reduced_precision_reduction),
        "CUBLAS_WORKSPACE_CONFIG": (WORKSPACE, os.environ.get("CUBLAS_WORKSPACE_CONFIG", "unset")),
    }
    not_asked = Unknown(unknown="not_applicable", detail="the spec does not ask for determinism")
    return [
        Determinism(flag=flag, asked=asked if deterministic else not_asked, granted=str(granted))
        for flag, (asked, granted) in wanted.items()
    ]
