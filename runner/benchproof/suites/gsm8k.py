"""GSM8K: 1,319 grade-school problems. Cobbe et al. 2021, arXiv 2110.14168."""

from benchproof.suites.benchmark import Benchmark, Preferred

DOCS = 1_319

GSM8K = Benchmark(
    name="gsm8k",
    title="GSM8K",
    tasks=r"gsm8k",
    headlines=(Preferred("gsm8k", "exact_match", "strict-match"),),
    reason="strict match asks for the `####` form that the shots show; flexible extraction stands under it",
    docs={"gsm8k": DOCS},
)

GSM8K_COT = Benchmark(
    name="gsm8k_cot",
    title="GSM8K (chain of thought)",
    tasks=r"gsm8k_cot",
    headlines=(Preferred("gsm8k_cot", "exact_match", "strict-match"),),
    reason="strict match asks for the answer sentence of the eight fixed shots",
    docs={"gsm8k_cot": DOCS},
)
