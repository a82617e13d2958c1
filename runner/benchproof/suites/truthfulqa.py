"""TruthfulQA: 817 questions in 38 categories, three ways to score them. Lin et al. 2021, arXiv 2109.07958."""

from collections.abc import Iterable, Mapping, Sequence
from math import exp
from typing import Any

from benchproof.errors import VerificationFailed
from benchproof.suites.benchmark import Benchmark, Preferred

DOCS = 817
CATEGORIES = 38

TRUTHFULQA = Benchmark(
    name="truthfulqa",
    title="TruthfulQA",
    tasks=r"truthfulqa_(mc1|mc2|gen)",
    headlines=(
        Preferred("truthfulqa_mc2", "acc", "none"),
        Preferred("truthfulqa_mc1", "acc", "none"),
        Preferred("truthfulqa_gen", "rougeL_acc", "none"),
    ),
    reason="mc2 is the number that model pages quote; of the others, mc1 before the overlap metrics of gen",
    shots="template",
    shots_why="its six question-answer pairs are written into the task's template",
    docs={"truthfulqa_mc1": DOCS, "truthfulqa_mc2": DOCS, "truthfulqa_gen": DOCS},
    oracles={"sacrebleu": r"truthfulqa_gen", "rouge_score": r"truthfulqa_gen"},
    notes=("the overlap metrics of gen are not the judge scores of the paper",),
)


def categories(questions: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Question -> category, from rows of the `generation` configuration, the only one that has them."""
    return {row["question"].strip(): row["category"] for row in questions}


def category_of(doc: Mapping[str, Any], known: Mapping[str, str]) -> str:
    """A doc's category by its question; row order differs between configurations, so nothing else joins.

    Exact strings fail for one of the 817 questions, stripped ones for none.
    Raises VerificationFailed for a question that has none: the two configurations are of different data.
    """
    question = str(doc["question"]).strip()
    if question not in known:
        raise VerificationFailed(
            f"no category for the question {question[:60]!r}",
            where="truthful_qa, configuration `generation`",
            do="take both configurations from one revision",
        )
    return known[question]


def shifted_mc2(loglikelihoods: Sequence[float], labels: Sequence[int]) -> float:
    """mc2 computed with the largest log-likelihood taken out first, so that nothing underflows.

    The harness exponentiates without the shift; where all are below about -745 it returns NaN.
    """
    top = max(loglikelihoods)
    weights = [exp(value - top) for value in loglikelihoods]
    return sum(w for w, label in zip(weights, labels, strict=True) if label == 1) / sum(weights)
