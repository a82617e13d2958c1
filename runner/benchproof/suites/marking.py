"""What a marked doc comes to: finite values only, and what each filter took from its responses."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchproof.errors import MachineError
from benchproof.schema.request import Doc
from benchproof.schema.response import Loglikelihood, Response
from benchproof.suites import truthfulqa


def finite(value: Any, doc: Doc) -> Any:
    """A metric value as JSON; NaN and infinity poison every mean, so they end the scoring."""
    if isinstance(value, bool | int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        if not np.isfinite(value):
            raise MachineError(
                f"a metric of doc {doc.doc_id} is {value}", where=f"task {doc.task}", do="use `dtype: float32`"
            )
        return float(value)
    if isinstance(value, tuple | list | np.ndarray):
        return [finite(item, doc) for item in value]
    return value


def taken(results: Sequence[Any]) -> list[Any]:
    """What a filter took: for choices the pick (first of the largest, as the harness counts), else the text."""
    if results and isinstance(results[0], tuple):
        lls = [ll for ll, _ in results]
        return [int(np.argmax(lls))]
    return [result if isinstance(result, str) else str(result) for result in results]


def check_mc2(doc: Doc, answers: Mapping[str, Response], value: float) -> None:
    """mc2 again without underflow: a value that differs is the harness's arithmetic failing, not the model."""
    lls = [a.loglikelihood for r in doc.requests if isinstance(a := answers[r.hash], Loglikelihood)]
    again = truthfulqa.shifted_mc2(lls, doc.doc["mc2_targets"]["labels"])
    if abs(again - value) > 1e-6:
        raise MachineError(
            f"mc2 of doc {doc.doc_id} underflows: {value} instead of {again}",
            where=f"task {doc.task}",
            do="use `dtype: float32`; if it stays, the model's log-likelihoods are too low to score",
        )
