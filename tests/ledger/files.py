"""Small result files in the layouts that published ones have: made-up numbers, no benchmark text."""

import json
from pathlib import Path
from typing import Any

NAME = "owner--name-7B-Instruct_vllm_temp_0.0-sanitized_eval_results.json"
STAMP = "2026-01-02T03-04-05.678901"


def results(**changes: Any) -> dict[str, Any]:
    """A 0.4 file over a group of two and a task that generates."""
    return {
        "results": {
            "mmlu": {"acc,none": 0.5, "acc_stderr,none": 0.01, "alias": "mmlu"},
            "mmlu_anatomy": {"alias": " - anatomy", "acc,none": 0.4, "acc_stderr,none": "N/A"},
            "mmlu_astronomy": {"alias": " - astronomy", "acc,none": 0.6, "acc_stderr,none": 0.05},
            "gsm8k": {"exact_match,strict-match": 0.25, "exact_match,flexible-extract": float("nan")},
        },
        "group_subtasks": {"mmlu": ["mmlu_anatomy", "mmlu_astronomy"], "gsm8k": []},
        "configs": {"gsm8k": {"output_type": "generate_until"}},
        "n-shot": {"mmlu": 0, "mmlu_anatomy": 5, "mmlu_astronomy": 5, "gsm8k": 5},
        "n-samples": {
            "mmlu_anatomy": {"original": 135, "effective": 135},
            "mmlu_astronomy": {"original": 152, "effective": 152},
            "gsm8k": {"original": 1319, "effective": 20},
        },
        "config": {
            "model": "hf",
            "model_args": "pretrained=owner/name,dtype=bfloat16,trust_remote_code=True,odd=a,b",
            "model_sha": "a" * 40,
            "model_dtype": "torch.bfloat16",
            "gen_kwargs": "temperature=0.5,do_sample=True",
            "torch_seed": 7,
            "fewshot_seed": 99,
            "limit": 20.0,
        },
        "model_name": "owner/name",
        "chat_template": "{{ messages }}",
        "fewshot_as_multiturn": False,
        "system_instruction": "Be brief.",
        "lm_eval_version": "0.4.3",
    } | changes


def written(folder: Path, value: Any, name: str = f"results_{STAMP}.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(value), "utf-8")
    return path


def evalplus(**changes: Any) -> dict[str, Any]:
    def sample(base: str, plus: str) -> dict[str, str]:
        return {"solution": "def f(): ...", "base_status": base, "plus_status": plus}

    return {
        "date": "2024-01-01",
        "hash": "0" * 32,
        "eval": {
            "HumanEval/2": [sample("pass", "fail")],
            "HumanEval/0": [sample("pass", "pass")],
            "HumanEval/1": [sample("fail", "pass")],
            "HumanEval/3": [{"solution": "", "base_status": "fail", "plus_status": "fail"}],
        },
    } | changes
