"""Which tool wrote a file, told from its content alone: two formats are read, the others are named and refused.

The layouts are those of published files of each tool.
"""

from collections.abc import Callable, Mapping
from typing import Any

from benchproof.errors import BadInput
from benchproof.ledger.reading import BOM

LM_EVAL = "lm-eval results"
EVALPLUS = "evalplus results"


def _row(value: Any, comma: bool) -> bool:
    """A row of scores: `acc,none` in lm-eval 0.4, `acc` before; or rows one level deeper."""
    if not isinstance(value, dict):
        return False
    if comma and any("," in key for key in value):
        return True
    if not comma and any(isinstance(item, int | float) for item in value.values()):
        return True
    return any(isinstance(item, dict) and _row(item, comma) for item in value.values())


def _rows(value: Mapping[str, Any], comma: bool) -> bool:
    results = value.get("results")
    return isinstance(results, dict) and any(_row(row, comma) for row in results.values())


def _inner_key(value: Mapping[str, Any], part: str) -> bool:
    return any(part in key for row in value.values() if isinstance(row, dict) for key in row)


# In this order: the first that fits names the file.
FORMATS: tuple[tuple[str, Callable[[Mapping[str, Any]], bool]], ...] = (
    ("benchproof's own", lambda value: str(value.get("schema")).startswith("benchproof/")),
    ("Every Eval Ever", lambda value: "schema_version" in value and "evaluation_id" in value),
    ("lighteval", lambda value: "config_general" in value),
    ("Inspect", lambda value: "eval" in value and "status" in value),
    (EVALPLUS, lambda value: isinstance(value.get("eval"), dict) and "hash" in value),
    (LM_EVAL, lambda value: _rows(value, True)),
    ("HELM", lambda value: "scenario_spec" in value or "adapter_spec" in value),
    ("DCLM", lambda value: "eval_metrics" in value),
    (
        "the BigCode harness",
        lambda value: "pass@1" in value or ("config" in value and _inner_key(value, "pass@")),
    ),
    ("lm-eval 0.3", lambda value: _rows(value, False)),
    ("the EvalPlus leaderboard", lambda value: _inner_key(value, "pass@1")),
)


def format_of(value: Any, where: str) -> str:
    """LM_EVAL or EVALPLUS. Raises BadInput that names what it looks like instead."""
    if isinstance(value, list):
        head = value[0] if value and isinstance(value[0], dict) else {}
        raise refused("HELM" if isinstance(head.get("name"), dict) or "stats" in head else None, where)
    found = next((name for name, fits in FORMATS if isinstance(value, dict) and fits(value)), None)
    if found not in (LM_EVAL, EVALPLUS):
        raise refused(found, where)
    return found


def refused(name: str | None, where: str) -> BadInput:
    """The error for a file that is not read; None: of no format that is known here."""
    what = f"it looks like a file of {name}, which is not read" if name else "of no format that is read"
    return BadInput(
        f"no result file: {what}",
        where=where,
        do="give a record.json, an lm-eval 0.4 results file or an evalplus *_eval_results.json",
    )


def text_format(data: bytes) -> str | None:
    """What a file that is no JSON looks like; None: JSON that is broken."""
    head = data[:2000].removeprefix(BOM).lstrip()
    if head.startswith((b"{", b"[")):
        first = data.split(b"\n", 1)
        return "samples (JSON lines)" if len(first) == 2 and first[0].rstrip().endswith(b"}") else None
    if head.startswith(b"---"):
        return "a model card"
    return "a table (CSV)" if b"," in head.split(b"\n", 1)[0] else "no JSON"
