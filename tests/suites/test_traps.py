"""The harness's traps that need no real data: answers from a table, rows of our own, the tokenizer that ships with us.

Each comment names the mutant that the test was seen to die with.
"""

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchproof.engines.batches import row_of
from benchproof.engines.front import HfFront
from benchproof.engines.hf import HfEngine
from benchproof.errors import BadInput, MachineError, VerificationFailed
from benchproof.ports import Engine, ModelFiles
from benchproof.report.progress import Silent
from benchproof.run import run
from benchproof.schema.record import Record
from benchproof.schema.request import Generation, Request
from benchproof.schema.spec import EngineAsk, ModelAsk, RunSpec, SuiteAsk, TaskAsk
from benchproof.sources.hub import HubSource
from benchproof.spec import resolve_suite
from benchproof.store.files import read_lines
from benchproof.suites.catalog import Catalog
from benchproof.suites.lmeval import LmEval
from fakes.engine import TableEngine
from fakes.models import NO_SYSTEM_TEMPLATE, SMOKE, make_model
from fakes.world import a_world

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

MC = "mini_mmlu_kitchen_science"
Ask = dict[str, Any]


def mini(name: str, limit: int | None = None, **more: Any) -> Ask:
    """One task of the smoke suite."""
    (found,) = (task for task in resolve_suite("smoke") if task.task == name)
    return found.model_dump(exclude_none=True, exclude={"generation"}) | {"limit": limit, **more}


def measure(tasks: list[Ask], engine: Engine, out: Path, **more: Any) -> Record:
    """A whole run with an engine of ours."""
    asks = [TaskAsk.model_validate(task) for task in tasks]
    spec = RunSpec.model_validate({"model": {"path": "table"}, "suite": SuiteAsk(tasks=asks), **more})
    world = replace(a_world(engine, LmEval()), source=HubSource())
    return run(spec, b"spec", asks, world, out=out, name="table", new=False)[0]


def value(record: Record, task: str, metric: str = "acc", name: str = "none") -> float:
    (found,) = (r for r in record.results if (r.task, r.level, r.metric, r.filter) == (task, "task", metric, name))
    return float(found.value)


def warned(record: Record, code: str) -> list[tuple[str, int | None, int | None]]:
    return [(w.where, w.count, w.total) for w in record.warnings if w.code == code]


# ----------------------------------------------------------------------- answers


# Mutants: a tie of two not counted; argmin for argmax in what the filter took.
def test_ties_of_the_best_are_counted(tmp_path: Path) -> None:
    def level(request: Request) -> float:
        if request.doc_id < 2:
            return -1.0  # all four equal: the pick is A
        return (
            [-1.0, -5.0, -1.0, -9.0][request.choice]
            if request.doc_id == 2
            else [-1.0, -2.0, -5.0, -5.0][request.choice]
        )

    record = measure([mini(MC, 5)], TableEngine(level), tmp_path / "run")
    assert warned(record, "ties") == [(MC, 3, 5)]
    rows = list(read_lines(tmp_path / "run" / "samples" / f"{MC}.jsonl.zst"))
    assert [row["filtered"]["none"] for row in rows] == [[0]] * 5


# Mutant: choices in reverse order.
def test_a_model_that_knows_scores_one_and_one_that_errs_scores_zero(tmp_path: Path) -> None:
    golds = {row["doc_id"]: row["target"] for row in _targets(tmp_path)}
    for right, expected in ((True, 1.0), (False, 0.0)):

        def known(request: Request, right: bool = right) -> float:
            return 0.0 if (request.choice == golds[request.doc_id]) is right else -1.0

        record = measure([mini(MC, 5)], TableEngine(known), tmp_path / str(right))
        assert value(record, MC) == expected


def _targets(tmp_path: Path) -> Any:
    measure([mini(MC, 5)], TableEngine(lambda request: -1.0), tmp_path / "first")
    return list(read_lines(tmp_path / "first" / "requests" / f"{MC}.jsonl.zst"))


# Mutant: no check of the sum in HfEngine._loglikelihoods: the journal would hold NaN, and argmax picks it.
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_model_whose_log_likelihoods_are_not_finite_is_refused(bad: float, tmp_path: Path) -> None:
    import torch

    engine = HfEngine(files(SMOKE), ModelAsk(path="x"), EngineAsk(dtype="float32"), "cpu", 0)
    engine.load(Silent())
    with torch.no_grad():
        engine._model.get_input_embeddings().weight.fill_(bad)
    request = likelihood("Is it?", " Yes")
    encoded = engine.encode([request], Silent())
    (op,) = engine.ops([request], encoded)
    with pytest.raises(MachineError, match="log-likelihood is"):
        engine.answer(op, [request], encoded)


# Mutant: no check of the numbers in infer._check.
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_no_engine_can_put_a_number_that_is_none_into_the_journal(bad: float, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="log-likelihood is"):
        measure([mini(MC, 2)], TableEngine(lambda request: bad), tmp_path / "run")
    assert not (tmp_path / "run" / "record.json").exists()


# Mutants: no `finite` on metrics (all at -800: NaN poisons the mean); no check_mc2 (at -744.5 the last bits are gone).
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("level", [-800.0, -744.5])
def test_mc2_that_underflows_is_an_error_and_not_a_score(level: float, tmp_path: Path) -> None:
    engine = TableEngine(lambda request: level - request.choice / 3)
    with pytest.raises(MachineError, match=r"underflows|is nan"):
        measure([mini("mini_truthfulqa_mc2", 4)], engine, tmp_path / "run")


def test_mc2_far_from_zero_but_in_range_is_a_score(tmp_path: Path) -> None:
    engine = TableEngine(lambda request: -600.0 - request.choice / 3)
    record = measure([mini("mini_truthfulqa_mc2", 4)], engine, tmp_path / "run")
    assert 0 < value(record, "mini_truthfulqa_mc2") < 1


# Mutant: status `complete` whatever the limits.
def test_a_limited_run_says_so_and_is_never_complete(tmp_path: Path) -> None:
    record = measure([mini(MC, 5), mini("mini_gsm8k", None)], TableEngine(answered), tmp_path / "run")
    assert record.status == "limited"
    assert [where for where, _, _ in warned(record, "limited")] == [MC]
    assert measure([mini(MC, None)], TableEngine(answered), tmp_path / "whole").status == "complete"


def answered(request: Request) -> float | str:
    return "#### 1" if request.kind == "generate_until" else -float(request.choice)


# Mutant: no look at the names that are loaded already.
def test_a_task_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="twice"):
        measure([mini(MC, 1), mini(MC, 2)], TableEngine(answered), tmp_path / "run")


# ----------------------------------------------------------------------- tasks


# Mutant: no set_fewshot_seed in LmEval.build (seen on real data too: test_real_data.py).
def test_requests_do_not_depend_on_limit_or_on_other_tasks(tmp_path: Path) -> None:
    alone = hashes(measure_requests([mini("mini_gsm8k", 4)], tmp_path / "a"))
    longer = hashes(measure_requests([mini(MC, 2), mini("mini_gsm8k", 9)], tmp_path / "b"))
    assert longer["mini_gsm8k"][:4] == alone["mini_gsm8k"]
    assert len(set(longer["mini_gsm8k"])) == 9


def measure_requests(tasks: list[Ask], out: Path) -> list[Request]:
    engine = TableEngine(answered)
    measure(tasks, engine, out)
    return engine.asked


def hashes(requests: Sequence[Request]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for request in requests:
        found.setdefault(request.task, []).append(request.hash)
    return found


OWN_TASK = """
task: own_sums
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
output_type: multiple_choice
test_split: test
process_docs: !function own_code.keep
doc_to_text: !function own_code.prompt
doc_to_choice: ["one", "two"]
doc_to_target: "{{{{gold}}}}"
metric_list: [{{metric: acc}}]
metadata: {{version: 3.0}}
"""
OWN_CODE = """
def keep(rows):
    return rows.filter(lambda row: row["gold"] >= 0)


def prompt(row):
    return "Sum: " + row["text"]
"""


def own_task(folder: Path, code: str = OWN_CODE, rows: str = "") -> Path:
    folder.mkdir()
    rows = rows or '{"text": "1", "gold": 0}\n{"text": "1+1", "gold": 1}\n{"text": "left out", "gold": -1}\n'
    (folder / "rows.jsonl").write_text(rows, "utf-8")
    (folder / "own_code.py").write_text(code, "utf-8")
    (folder / "own.yaml").write_text(OWN_TASK.format(rows=folder / "rows.jsonl"), "utf-8")
    return folder / "own.yaml"


# Mutant: functions described by their name alone: new code, old id.
def test_a_users_own_task_runs_and_its_code_and_rows_are_in_its_id(tmp_path: Path) -> None:
    def identified(task: Path) -> tuple[Record, str]:
        engine = TableEngine({("Sum: 1", " one"): 0.0, ("Sum: 1", " two"): -1.0} | {
            ("Sum: 1+1", " one"): -1.0, ("Sum: 1+1", " two"): 0.0, ("Sum: 7", " one"): 0.0, ("Sum: 7", " two"): -1.0,
        })  # fmt: skip
        record = measure([{"task": str(task)}], engine, task.parent / "run")
        return record, record.ids[0].benchmark_id

    record, first = identified(own_task(tmp_path / "a"))
    assert value(record, "own_sums") == 1.0
    assert record.effective.ask.tasks[0].n_docs == 2
    assert str(tmp_path) not in record.to_bytes().decode()
    assert identified(own_task(tmp_path / "b"))[1] == first
    _, other_code = identified(own_task(tmp_path / "c", OWN_CODE.replace(">= 0", "> -1")))
    _, other_rows = identified(own_task(tmp_path / "d", rows='{"text": "7", "gold": 0}\n'))
    assert len({first, other_code, other_rows}) == 3


def test_an_unknown_task_names_the_nearest() -> None:
    with pytest.raises(BadInput, match="did you mean 'mmlu_anatomy'"):
        Catalog(lambda text: None).entry("mmlu_anatomyy")


# Mutants: an error of the task's own marking let through by score.py, or by the running score while inferring.
def test_a_task_whose_marking_fails_is_left_out_and_the_others_are_scored(tmp_path: Path) -> None:
    rows = '{"text": "1", "gold": 0}\n'
    task = own_task(tmp_path / "own", OWN_CODE + "\n\ndef mark(doc, results):\n    return {'acc': 1 / 0}\n", rows)
    task.write_text(task.read_text("utf-8") + "process_results: !function own_code.mark\n", "utf-8")
    record = measure([{"task": str(task)}, mini(MC, 2)], TableEngine(answered), tmp_path / "run")
    assert [left["task"] for left in record.left_out] == ["own_sums"]
    assert "ZeroDivisionError" in record.left_out[0]["detail"]
    assert value(record, MC) >= 0
    assert record.status == "limited"


# ----------------------------------------------------------------------- tokens


def files(folder: Path) -> ModelFiles:
    return ModelFiles(folder, "small", None, None)


def front(folder: Path, **model: Any) -> HfFront:
    return HfFront(files(folder), ModelAsk(path="x", **model), EngineAsk(dtype="float32"), "cpu")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], Path]:
    folder = tmp_path_factory.mktemp("small")

    def make(kind: Any) -> Path:
        return folder / kind if (folder / kind).exists() else make_model(folder / kind, kind)

    return make


def likelihood(context: str, continuation: str, doc_id: int = 0) -> Request:
    return Request("task", doc_id, 0, 0, "loglikelihood", context, continuation).with_hash()


def generation(context: str, tokens: int, doc_id: int = 0) -> Request:
    settings = Generation(until=("\n\n",), max_gen_toks=tokens)
    return Request("task", doc_id, 0, 0, "generate_until", context, generation=settings).with_hash()


# Mutants: an empty continuation let through (stock: an assertion in the midst of a run); `merged` never set.
def test_an_answer_that_the_tokenizer_swallows_is_refused_and_a_merged_border_is_counted() -> None:
    engine = front(SMOKE)
    words = [word for word in ("the", "question", "Answer", "number") if len(engine.tokenizer.encode(word)) == 1]
    assert words
    for word in words:
        with pytest.raises(BadInput, match="nothing is left to score"):
            engine.encode([likelihood(word[:-1], word[-1])], Silent())
    (apart,) = engine.encode([likelihood("What?", " the")], Silent())
    (merged,) = engine.encode([likelihood(words[0][:-1], words[0][-1] + " and then some more words")], Silent())
    assert (apart.merged, merged.merged) == (False, True)


# Mutant: no refusal: the first token would be read at position -1, which is another row's padding.
@pytest.mark.parametrize("continuation", ["Yes", "Yes, of course it is"])
def test_a_context_of_nothing_but_spaces_is_refused(continuation: str) -> None:
    with pytest.raises(BadInput, match="spaces"):
        front(SMOKE).encode([likelihood("  ", continuation)], Silent())


# Mutant: trailing spaces left in the context.
@pytest.mark.parametrize("kind", ["llama", "gpt2", "bos"])
def test_ids_are_those_of_the_harness(kind: str, built: Callable[[Any], Path]) -> None:
    lm = harness_model(built(kind))
    engine = front(built(kind))
    bos = engine.tokenizer.decode([lm.prefix_token_id])
    pairs = [
        ("What is 1 + 1?", " Two"),
        ("Trailing  ", "space"),
        ("A\n\nB:", " \n x"),
        ("", "alone"),
        ("", bos + "alone"),
        (bos + "Begun", " already"),
        ("Grüße, 世界", " 🙂 ok"),
        ("end", "ing"),
    ]
    requests = [likelihood(*pair, doc_id=i) for i, pair in enumerate(pairs)]
    for request, ours in zip(requests, engine.encode(requests, Silent()), strict=True):
        if request.context:
            context, continuation = lm._encode_pair(request.context, request.continuation)
        else:
            whole = lm.tok_encode(request.continuation, add_special_tokens=False)
            starts = whole[0] == lm.prefix_token_id
            context, continuation = (whole[:1], whole[1:]) if starts else ([lm.prefix_token_id], whole)
        assert (list(ours.context), list(ours.continuation)) == (list(context), list(continuation)), request


# Mutants: the right end dropped; prompts of generations not cut. The model of this test takes 192 tokens.
def test_what_is_cut_on_the_left_is_counted_and_what_is_left_is_the_harnesss(
    built: Callable[[Any], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    lm, engine = harness_model(built("short")), front(built("short"))
    long = " ".join(f"word {i}," for i in range(120))
    texts = [long, long[:300], "short", long + long]
    asked = [likelihood(text, " so it ends", i) for i, text in enumerate(texts)]
    asked += [generation(text, 16, i) for i, text in enumerate(texts)]
    encoded = engine.encode(asked, Silent())
    assert [item.truncated > 0 for item in encoded] == [True, False, False, True] * 2

    seen: list[list[int]] = []
    call, generate = HFLM._model_call, HFLM._model_generate

    def watched_call(self: Any, inps: Any, **more: Any) -> Any:
        seen.append(inps[0].tolist())
        return call(self, inps, **more)

    def watched_generate(self: Any, context: Any, **more: Any) -> Any:
        seen.append(context[0].tolist())
        return generate(self, context, **more)

    monkeypatch.setattr(HFLM, "_model_call", watched_call)
    monkeypatch.setattr(HFLM, "_model_generate", watched_generate)
    stock = [
        Instance("loglikelihood", {}, (r.context, r.continuation), 0, ("task", r.doc_id, 1))
        for r in asked
        if r.kind == "loglikelihood"
    ]
    lm.loglikelihood(stock, disable_tqdm=True)
    assert sorted(seen) == sorted(list(row_of(item)) for item in encoded[:4])
    seen.clear()
    kwargs = {"until": ["\n\n"], "max_gen_toks": 16, "do_sample": False}
    lm.generate_until(
        [Instance("generate_until", {}, (text, dict(kwargs)), 0, ("task", i, 1)) for i, text in enumerate(texts)],
        disable_tqdm=True,
    )
    assert sorted(seen) == sorted(list(item.context) for item in encoded[4:])


def harness_model(folder: Path) -> Any:
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=str(folder), dtype="float32", batch_size=1, device="cpu")


# Mutant: `room < 0` for `room <= 0`.
@pytest.mark.parametrize("tokens", [192, 193])
def test_more_tokens_to_write_than_the_context_holds_are_refused_before_loading(
    tokens: int, built: Callable[[Any], Path], tmp_path: Path
) -> None:
    engine = HfEngine(files(built("short")), ModelAsk(path="x"), EngineAsk(dtype="float32"), "cpu", 0)
    with pytest.raises(BadInput, match="leaves no room"):
        measure([mini("mini_gsm8k", 1, generation={"max_gen_toks": tokens})], engine, tmp_path / "run")
    assert engine._model is None


# Mutant: `truncation: refuse` not looked at.
def test_truncation_is_counted_or_refused_as_asked(built: Callable[[Any], Path], tmp_path: Path) -> None:
    record = measure([mini(MC, 2)], TableEngine(answered, max_length=200), tmp_path / "run")
    assert warned(record, "truncated") == [(MC, 8, 8)]
    assert warned(measure([mini(MC, 2)], TableEngine(answered), tmp_path / "all"), "truncated") == []
    with pytest.raises(BadInput, match="8 prompts are longer"):
        measure([mini(MC, 2)], TableEngine(answered, max_length=200), tmp_path / "no", truncation="refuse")


# ----------------------------------------------------------------------- chat


# Mutant: no look for the system message in the prompt.
@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (NO_SYSTEM_TEMPLATE, "refuses"),
        ("{% for m in messages if m['role'] != 'system' %}{{ m['content'] }}{% endfor %}", "drops the system message"),
    ],
)
def test_a_template_that_loses_the_system_message_is_refused(template: str, reason: str, tmp_path: Path) -> None:
    engine = front(make_model(tmp_path / "chat", "chat", template=template), chat_template="model")
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}]
    with pytest.raises(BadInput, match=reason):
        engine.render(messages, True)
    assert "Hello" in engine.render(messages[1:], True)


def test_a_model_without_a_template_cannot_be_asked_by_one(tmp_path: Path) -> None:
    shutil.copytree(SMOKE, tmp_path / "model")
    with pytest.raises(BadInput, match="no chat template"):
        front(tmp_path / "model", chat_template="model")


# Mutant: the header of a journal that is found not compared with the plan.
def test_answers_of_another_plan_are_not_taken(tmp_path: Path) -> None:
    """A response cache keyed without the model would answer for another one: a journal's header holds the plan."""
    measure([mini(MC, 2)], TableEngine(answered), tmp_path / "run")
    (tmp_path / "run" / "record.json").unlink()
    (tmp_path / "run" / "plan.json").unlink()
    (tmp_path / "run" / "requests" / f"{MC}.jsonl.zst").unlink()
    (tmp_path / "run" / "requests").rmdir()
    shutil.rmtree(tmp_path / "run" / "samples")
    with pytest.raises(VerificationFailed, match="journal's"):
        measure([mini(MC, 3)], TableEngine(answered), tmp_path / "run")
