"""BIG-bench (the harness's JSON tasks, at task level) and BBH. docs/bigbench.md accounts for all 204 tasks."""

from benchproof.suites.benchmark import Benchmark, Preferred

JSON_TASKS = 167
BBH_TASKS = 27
BBH_DOCS = 6_511

BIGBENCH = Benchmark(
    name="bigbench",
    title="BIG-bench (JSON tasks)",
    tasks=r"bigbench_\w+_(multiple_choice|generate_until)",
    headlines=(Preferred("bigbench_mean", "task_score", "none"),),
    reason="the harness defines no aggregate: ours is the plain mean over tasks of acc or exact_match",
    shots="none",
    shots_why="its shots would be drawn from the test split, the doc's own answer among them",
    aggregate="equally",
    notes=(
        "not BIG-bench's own normalised aggregate: never compare with published BIG-bench scores",
        "exact_match keeps a leading space and looks at the first target only",
    ),
)

BBH = Benchmark(
    name="bbh",
    title="BIG-bench Hard",
    tasks=r"bbh_cot_fewshot_\w+",
    headlines=(
        Preferred("bbh_cot_fewshot", "exact_match", "get-answer"),
        Preferred("bbh", "exact_match", "get-answer"),
    ),
    reason="exact match after the fixed chain-of-thought shots, weighted by size, as the harness groups it",
    aggregate="by_size",
    docs={"bbh_cot_fewshot": BBH_DOCS, "bbh": BBH_DOCS},
)
