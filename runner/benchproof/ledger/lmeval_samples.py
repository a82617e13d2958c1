"""lm-eval's samples files: where they lie beside a results file, and their docs.

Source: lm-evaluation-harness 0.4.13, `lm_eval/loggers/evaluation_tracker.py`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchproof.errors import BadInput
from benchproof.ledger.reading import count, lines, parsed, real
from benchproof.schema.score import Stated

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?")


class Samples(Mapping[str, Mapping[int, Stated]]):
    """Samples files of the same run beside the results, read when a task is asked for.

    They have the results file's stamp, and begin as it does, or with `samples_` where it was given another name.
    """

    def __init__(self, path: Path, tasks: Iterable[str]) -> None:
        self._files: dict[str, Path] = {}
        stamp = STAMP.search(path.name)
        if stamp is None:
            return
        begins = path.name[: stamp.start()].removesuffix("results_")
        near = {file.name for file in path.parent.glob("*samples_*") if file.is_file()}
        for task in tasks:
            name = f"samples_{task}_{stamp[0]}.jsonl"
            wanted = [start + name + end for start in (begins, "") for end in ("", ".gz")]
            found = next((file for file in wanted if file in near), None)
            if found is not None:
                self._files[task] = path.with_name(found)

    def __getitem__(self, task: str) -> Mapping[int, Stated]:
        return read_samples(self._files[task])

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def read_samples(path: Path) -> dict[int, Stated]:
    """The docs of a samples file, which has one line for each doc and filter. Raises BadInput (2) naming a bad line."""
    values: dict[int, dict[tuple[str, str], float]] = {}
    taken: dict[int, dict[str, list[Any]]] = {}
    for place, line in lines(path):
        row = parsed(line, place)
        doc_id = count(row.get("doc_id")) if isinstance(row, dict) else None
        if doc_id is None or not isinstance(row.get("filtered_resps"), list):
            raise BadInput("no sample of lm-eval's", where=place, do="move the samples file away")
        name = str(row.get("filter", "none"))
        listed = row.get("metrics")
        metrics = listed if isinstance(listed, list) else [key for key in row if key != "doc_id"]
        numbers = {(str(metric), name): real(row.get(str(metric))) for metric in metrics}
        if name in taken.setdefault(doc_id, {}):
            raise BadInput(f"doc {doc_id} has two samples", where=place, do="move the samples file away")
        values.setdefault(doc_id, {}).update({key: found for key, found in numbers.items() if found is not None})
        taken[doc_id][name] = _taken(row["filtered_resps"])
    return {doc_id: Stated(values[doc_id], taken[doc_id]) for doc_id in values}


def _taken(responses: Sequence[Any]) -> list[Any]:
    """What a filter took: of log-likelihoods the pick, first of the largest as the harness counts; else the texts."""
    lls = [_log_likelihood(response) for response in responses]
    known = [ll for ll in lls if ll is not None]
    if lls and len(known) == len(lls):
        return [known.index(max(known))]
    return [response if isinstance(response, str) else str(response) for response in responses]


def _log_likelihood(response: Any) -> float | None:
    """Of a pair (log-likelihood, greedy), whose numbers the harness writes as texts. -inf is one."""
    if not isinstance(response, list) or len(response) != 2:
        return None
    try:
        return float(response[0])
    except (TypeError, ValueError, OverflowError):
        return None
