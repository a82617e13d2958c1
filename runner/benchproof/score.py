"""Requests + Journal -> Scores: the harness's filters and metrics over the journal's answers. No device."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchproof.build import Built
from benchproof.errors import BenchproofError, MissingInput
from benchproof.ports import Harness, Progress
from benchproof.schema.canonical import decimal
from benchproof.schema.plan import Headline, Plan
from benchproof.schema.record import FileDigest
from benchproof.schema.response import Generated, Loglikelihood, Response
from benchproof.schema.score import Result, Sample
from benchproof.store.files import describe, write_lines
from benchproof.store.rows import part_path

log = logging.getLogger(__name__)


@dataclass
class Scores:
    """Rows by task, every aggregated number, and the tasks that could not be marked."""

    samples: dict[str, list[Sample]] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)
    ties: dict[str, int] = field(default_factory=dict)  # docs whose best choices are exactly equal


def score(plan: Plan, built: Built, answers: Mapping[str, Response], *, harness: Harness, progress: Progress) -> Scores:
    """Marks every doc. A task whose own code fails is left out with its reason; the others go on.

    Raises MissingInput if an answer is missing, MachineError if a metric is not finite.
    """
    missing = [request for request in built.requests if request.hash not in answers]
    if missing:
        raise MissingInput(
            f"{len(missing)} of {len(built.requests)} answers are missing",
            where=f"task {missing[0].task}, doc {missing[0].doc_id}",
            do="run the same command again: it goes on where it stopped",
        )
    scores = Scores()
    for task, docs in built.docs.items():
        with progress.phase(f"scoring {task}", total=len(docs), unit="docs") as phase:
            try:
                samples = []
                for sample in harness.score(task, docs, answers):
                    samples.append(sample)
                    phase.advance(1)
                results = harness.aggregate(task, samples)
            except BenchproofError:
                raise
            except Exception as error:  # noqa: BLE001  # the task's own marking code: foreign, and one of many
                log.warning("task %s cannot be marked: %s", task, error)
                detail = f"{type(error).__name__}: {error}".splitlines()[0][:300]
                scores.left_out.append({"task": task, "code": "task_broken", "detail": f"marking failed: {detail}"})
                continue
        scores.samples[task] = samples
        scores.results += results
        scores.ties[task] = _ties(docs, answers)
    for group in plan.mark.groups:
        scores.results += harness.aggregate_group(group, scores.results)
    scores.results = [_marked(result, plan.mark.headlines) for result in scores.results]
    return scores


def write_samples(scores: Scores, answers: Mapping[str, Response], folder: Path) -> list[FileDigest]:
    """samples/<task>.jsonl.zst: one row per doc, everything that its score follows from but the texts."""
    (folder / "samples").mkdir(exist_ok=True)
    files = []
    for task, samples in scores.samples.items():
        path = part_path(folder, "samples", task)
        path.unlink(missing_ok=True)  # of a scoring that was cut off: the record that would name it does not exist
        write_lines(path, _rows(samples, answers))
        files.append(describe(path, folder, rows=len(samples)))
    return files


def _rows(samples: Sequence[Sample], answers: Mapping[str, Response]) -> Iterator[dict[str, Any]]:
    for sample in samples:
        yield {
            "doc_id": sample.doc_id,
            "doc_sha256": sample.doc_sha256,
            "category": sample.category,
            "target": sample.target,
            "requests": sample.requests,
            "responses": [_short(answers[key]) for key in sample.requests],
            "filtered": sample.filtered,
            "metrics": {name: {k: _number(v) for k, v in values.items()} for name, values in sample.metrics.items()},
        }


def _short(answer: Response) -> Any:
    if isinstance(answer, Loglikelihood):
        return [decimal(answer.loglikelihood), answer.is_greedy]
    return {"text": answer.text, "stop": answer.stop, "tokens": len(answer.token_ids)}


def _number(value: Any) -> Any:
    """Reals as decimals, so that a reader in another language recomputes the same mean."""
    if isinstance(value, float):
        return decimal(value)
    return [_number(item) for item in value] if isinstance(value, list) else value


def _ties(docs: Sequence[Any], answers: Mapping[str, Response]) -> int:
    """Docs where the best log-likelihood stands twice: the pick is then the first, whatever the model knows."""
    count = 0
    for doc in docs:
        values = [a.loglikelihood for r in doc.requests if isinstance(a := answers[r.hash], Loglikelihood)]
        count += len(values) > 1 and values.count(max(values)) > 1
    return count


def _marked(result: Result, headlines: Sequence[Headline]) -> Result:
    chosen = any(
        (h.target, h.metric, h.filter) == (result.task, result.metric, result.filter) and result.level != "category"
        for h in headlines
    )
    return result.model_copy(update={"headline": True}) if chosen else result


def cut_short(answers: Mapping[str, Response], hashes: Sequence[str]) -> int:
    """Generations that ended at the token limit, not at a stop string or EOS."""
    return sum(1 for key in hashes if isinstance(a := answers[key], Generated) and a.stop == "length")


def unanswered(answers: Mapping[str, Response], hashes: Sequence[str]) -> int:
    """Generations of a model that thinks which ended before its answer began."""
    return sum(1 for key in hashes if isinstance(a := answers[key], Generated) and not a.answered)
