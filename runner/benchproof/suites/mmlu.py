"""MMLU: 57 subjects in four categories, 14,042 four-choice questions. Hendrycks et al. 2021, arXiv 2009.03300."""

from benchproof.suites.benchmark import Benchmark, Preferred

SUBJECTS = 57
DOCS = 14_042  # test rows over all subjects

MMLU = Benchmark(
    name="mmlu",
    title="MMLU",
    tasks=r"mmlu_(?!\w+_generative$|pro_|pro$|redux|flan|cot|continuation|llama)\w+",
    headlines=(Preferred("mmlu", "acc", "none"),),
    reason="accuracy over all questions, weighted by size, is what the harness reports as `mmlu`",
    aggregate="by_size",
    docs={"mmlu": DOCS},
    notes=("published MMLU scores are 5-shot; the harness's own default is 0",),
)

# The chat variant: the letter is generated, not scored. Another benchmark, never compared with the first.
MMLU_GENERATIVE = Benchmark(
    name="mmlu_generative",
    title="MMLU (generative)",
    tasks=r"mmlu_\w+_generative",
    headlines=(Preferred("mmlu_generative", "exact_match", "get_response"),),
    reason="exact match of the generated letter over all questions, weighted by size",
    aggregate="by_size",
    docs={"mmlu_generative": DOCS},
)
