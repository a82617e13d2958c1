"""The adapter to evalplus: HumanEval(+) prompts as generate requests, and its scores from our sandbox.

evalplus generates one problem at a time and marks inside the candidate's process; neither is used. Its texts,
its stops, its sanitiser and its rules of comparison are, so that scores compare with its leaderboard.
"""

import ast
import functools
import importlib.metadata
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evalplus.provider.utility import EOS, extra_eos_for_direct_completion, make_raw_chat_prompt

from benchproof.errors import BadInput, MissingInput
from benchproof.ports import Asking, Progress, Render, Source, TaskPins
from benchproof.schema.canonical import chain, doc_sha256, text_sha256
from benchproof.schema.plan import ChatPin, DatasetPin, GroupPin, Headline, TaskAskPin, TaskMarkPin
from benchproof.schema.request import Doc, Generation, Request, sampling_seed
from benchproof.schema.response import Generated, Response
from benchproof.schema.score import Result, Sample
from benchproof.schema.spec import TaskAsk
from benchproof.suites import aggregate
from benchproof.suites.humaneval_data import VERSION, Problem, Problems, official_problems, read_problems
from benchproof.suites.humaneval_expected import Sandbox, sandbox_facts
from benchproof.suites.humaneval_marking import AS_IS, CORRECTED, Marked, Marker, Program
from benchproof.suites.humaneval_samples import KS, problem_pass_at_k
from benchproof.suites.humaneval_sanitize import Sanitizer

NAME = "humaneval"
MAX_GEN_TOKS = 768
TOP_P = 0.95  # evalplus's, where anything is sampled
LONGEST = 10_000  # characters of a completion; evalplus's hf provider cuts there
OVERRIDE = "HUMANEVAL_OVERRIDE_PATH"  # evalplus's own word for a data file that is at hand
REASON = "base tests are what HumanEval scores are; the stricter plus tests stand under it, by both rules"
# filter -> (which tests, which rule): what an aggregate's second word means
FILTERS: Mapping[str, tuple[str, str]] = {
    "base": ("base", AS_IS),
    "plus": ("plus", AS_IS),
    "base-corrected": ("base", CORRECTED),
    "plus-corrected": ("plus", CORRECTED),
}
NOTE = (
    "`base` and `plus` are scored as evalplus 0.3.1 does, which fails HumanEval/32 whatever the program does; "
    "`-corrected` marks it as it was meant: never compare one with the other"
)


class EvalPlus:
    """Implements ports.Harness for HumanEval and for rows in its format."""

    def __init__(self, open_sandbox: Callable[[], AbstractContextManager[Sandbox]], asked: str) -> None:
        """open_sandbox: called when there is something to mark. asked: the spec's word for it."""
        self.versions: Mapping[str, str] = {"evalplus": importlib.metadata.version("evalplus")}
        self.packages: Mapping[str, str] = {}
        self._open, self._asked = open_sandbox, asked
        self._observed: dict[str, Any] = {}
        self._problems: dict[str, Problems] = {}
        self._asks: dict[str, TaskAsk] = {}
        self._pins: dict[str, TaskAskPin] = {}
        self._asking = Asking(fewshot_seed=0, generation_seed=0)

    def owns(self, ask: TaskAsk) -> bool:
        """True for HumanEval and for rows that are asked like it."""
        return (ask.like or ask.task) == NAME

    def look_up(self, tasks: Sequence[TaskAsk]) -> None:
        """See ports.Harness.look_up: there is one task, and it is ours."""

    def load(self, tasks: Sequence[TaskAsk], asking: Asking, source: Source, progress: Progress) -> TaskPins:
        """See ports.Harness.load."""
        if asking.system_prompt is not None:
            raise BadInput(
                "HumanEval is asked without a system message, as evalplus does",
                where="model.system_prompt",
                do="leave it out",
            )
        self._asking = asking
        marks, headlines = [], []
        with progress.phase("HumanEval+ problems"):
            for ask in tasks:
                problems = _problems(ask, source)
                self._problems[ask.task], self._asks[ask.task] = problems, ask
                self._pins[ask.task] = _ask_pin(ask, problems, asking.chat)
                marks.append(_mark_pin(ask.task, self._pins[ask.task], self._asked))
                headlines.append(
                    Headline(benchmark=NAME, target=ask.task, metric="pass@1", filter="base", reason=REASON)
                )
        return TaskPins(
            asks=list(self._pins.values()),
            marks=marks,
            groups=[],
            headlines=headlines[:1],
            left_out=[],
            notes=[(NAME, NOTE)],
        )

    def build(self, task: str, render: Render | None) -> list[Doc]:
        """See ports.Harness.build."""
        pin = self._pins[task]
        settings = Generation(until=tuple(_stops(pin.chat.applied)), **_settings(self._asks[task]))
        problems = list(self._problems[task].by_id.values())[: pin.n_docs]
        return [self._doc(task, number, problem, settings, pin, render) for number, problem in enumerate(problems)]

    def _doc(
        self, task: str, number: int, problem: Problem, settings: Generation, pin: TaskAskPin, render: Render | None
    ) -> Doc:
        prompt = problem.prompt.strip() + "\n"
        if pin.chat.applied:
            if render is None:
                raise ValueError("a chat template is applied: a renderer is needed")
            instruction, response = chat_texts()
            prompt = make_raw_chat_prompt(prompt, instruction, response, _Tokenizer(render))
        requests = []
        for repeat in range(pin.repeats):
            seed = None
            if settings.temperature > 0:
                seed = sampling_seed(self._asking.generation_seed, task, problem.task_id, repeat)
            request = Request(task, number, 0, repeat, "generate_until", prompt, generation=settings, seed=seed)
            requests.append(request.with_hash())
        doc = {"task_id": problem.task_id, "prompt": problem.prompt, "entry_point": problem.entry_point}
        return Doc(task, number, doc, doc_sha256(problem.row), problem.entry_point, None, tuple(requests))

    def score(self, task: str, docs: Sequence[Doc], answers: Mapping[str, Response]) -> Iterator[Sample]:
        """See ports.Harness.score. Raises SandboxUnavailable (4): what was generated stays."""
        with self._open() as sandbox:
            programs, endings = self._programs(task, docs, answers)
            marker = Marker(self._problems[task], sandbox)
            marked = marker.mark([program for group in programs for program in group])
            for doc, group, sanitised in zip(docs, programs, endings, strict=True):
                yield _sample(doc, [next(marked) for _ in group], sanitised)
            controls = [asdict(control) for control in marker.controls]
            self._observed = sandbox_facts(sandbox) | {"workers": sandbox.workers, "controls": controls}

    def _programs(
        self, task: str, docs: Sequence[Doc], answers: Mapping[str, Response]
    ) -> tuple[list[list[Program]], list[list[str]]]:
        """What is run for each doc, and how each sanitising ended."""
        chat = self._pins[task].chat.applied
        programs: list[list[Program]] = []
        endings: list[list[str]] = []
        with Sanitizer() as sanitizer:
            for doc in docs:
                problem = self._problems[task].by_id[doc.doc["task_id"]]
                programs.append([])
                endings.append([])
                for number, request in enumerate(doc.requests):
                    answer = answers[request.hash]
                    text = answer.text if isinstance(answer, Generated) else ""
                    solution = solution_of(problem, text, chat=chat)
                    source, ending = sanitizer.sanitize(solution, problem.entry_point)
                    programs[-1].append(Program(problem.task_id, number, source))
                    endings[-1].append(ending)
        return programs, endings

    def aggregate(self, task: str, samples: Sequence[Sample]) -> list[Result]:
        """See ports.Harness.aggregate: pass@k is a mean over problems of evalplus's unbiased estimate."""
        return aggregate.mean_results(task, NAME, samples)

    def aggregate_group(self, group: GroupPin, results: Sequence[Result]) -> list[Result]:
        """HumanEval has no groups."""
        return []

    def running(self, task: str, doc: Doc, answers: Mapping[str, Response]) -> float | None:
        """Marking runs programs: not while the device waits."""
        return None

    def observed(self) -> dict[str, Any]:
        """The sandbox that marked, its live probes and its controls; empty if nothing was marked."""
        return self._observed


class _Tokenizer:
    """What evalplus's prompt maker asks of a tokenizer, answered by the engine's."""

    chat_template = "the engine's"

    def __init__(self, render: Render) -> None:
        self._render = render

    def apply_chat_template(self, messages: list[dict[str, str]], tokenize: bool) -> str:
        return self._render(messages, False)


@functools.cache
def chat_texts() -> tuple[str, str]:
    """Instruction and response lines of evalplus, read from its source: they are local to a function there."""
    spec = find_spec("evalplus")
    path = Path(str(spec.origin if spec else "")).with_name("codegen.py")
    found: dict[str, str] = {}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        ):
            found.setdefault(node.targets[0].id, str(node.value.value))  # the plain variant stands first
    return found["instruction_prefix"], found["response_prefix"]


def solution_of(problem: Problem, text: str, *, chat: bool) -> str:
    """The program that a completion makes, as evalplus puts it together."""
    completion = text[:LONGEST].replace("\t", "    ")
    return completion if chat else problem.prompt.strip() + "\n" + completion


def _stops(chat: bool) -> list[str]:
    return [*EOS, *(["\n```\n"] if chat else extra_eos_for_direct_completion(NAME))]


def _settings(ask: TaskAsk) -> dict[str, Any]:
    """Generation settings beside the stops. Raises BadInput for what evalplus's rules do not allow."""
    given = ask.generation
    where = f"task {ask.task}"
    if given.until is not None:
        raise BadInput("the stop strings of HumanEval are evalplus's", where=where, do="leave out `until`")
    temperature = given.temperature or 0.0
    if given.do_sample and not temperature:
        raise BadInput("`do_sample: true` with temperature 0", where=where, do="give a temperature above 0")
    if (ask.repeats or 1) > 1 and not temperature:
        raise BadInput(
            f"temperature 0 with {ask.repeats} samples gives the same text each time",
            where=where,
            do="give a temperature",
        )
    return {
        "max_gen_toks": given.max_gen_toks or MAX_GEN_TOKS,
        "temperature": temperature,
        "top_p": (given.top_p or TOP_P) if temperature else None,
        "top_k": given.top_k if temperature else None,
    }


def _problems(ask: TaskAsk, source: Source) -> Problems:
    """The release file, from the spec's path, evalplus's variable, the cache or its address; or rows of one's own."""
    if ask.num_fewshot:
        raise BadInput("HumanEval is asked without shots", where=f"task {ask.task}", do="leave out num_fewshot")
    if ask.data is None:
        given = os.environ.get(OVERRIDE)
        return official_problems(Path(given) if given else None)
    path = source.rows_folder(ask.data) if ask.data.startswith("smoke:") else Path(ask.data)
    if path.is_dir():
        files = sorted(path.glob("*.jsonl")) or sorted(path.glob("*.jsonl.gz"))
        if len(files) != 1:
            raise MissingInput(
                f"{len(files)} data files in the folder", where=ask.data, do="name the .jsonl file itself"
            )
        path = files[0]
    return read_problems(path) if ask.like else official_problems(path)


def _ask_pin(ask: TaskAsk, problems: Problems, chat: bool) -> TaskAskPin:
    hashes = [doc_sha256(problem.row) for problem in problems.by_id.values()]
    instruction, response = chat_texts()
    settings = Generation(until=tuple(_stops(chat)), **_settings(ask))
    return TaskAskPin(
        task=ask.task,
        dataset=DatasetPin(
            repo="evalplus/humanevalplus_release" if problems.official else "rows",
            config=VERSION if problems.official else None,
            split="test",
            fewshot_split=None,
            commit=None,
            docs_sha256=chain(hashes),
            fewshot_sha256=None,
            n_docs=len(hashes),
        ),
        output_type="generate_until",
        config={"prompt": "evalplus chat", "texts": [instruction, response]} if chat else {"prompt": "evalplus base"},
        num_fewshot=0,
        fewshot_seed=None,
        chat=ChatPin(applied=chat, fewshot_as_turns=False),
        generation=settings.json_value(),
        repeats=ask.repeats or 1,
        limit=ask.limit,
        n_docs=min(ask.limit or len(hashes), len(hashes)),
    )


def _mark_pin(task: str, pin: TaskAskPin, sandbox: str) -> TaskMarkPin:
    metrics = [f"pass@{k}" for k in KS if pin.repeats >= k]
    return TaskMarkPin(
        task=task,
        harness="evalplus",
        version="evalplus 0.3.1 rules",
        benchmark=NAME,
        config={"sandbox": sandbox, "longest": LONGEST},
        metrics=metrics,
        filters=list(FILTERS),
        higher_is_better=dict.fromkeys(metrics, True),
        oracles={"numpy": importlib.metadata.version("numpy")},  # its `allclose` decides
        categories_sha256=None,
    )


def _sample(doc: Doc, marked: Sequence[Marked], sanitised: Sequence[str]) -> Sample:
    """One problem: per-sample statuses with their reasons, and the unbiased estimates that follow."""
    filtered: dict[str, list[Any]] = {}
    metrics: dict[str, dict[str, Any]] = {}
    for name, (part, rule) in FILTERS.items():
        verdicts = [item.base if part == "base" else item.plus for item in marked]
        filtered[name] = [
            {
                "status": item.status(part, rule),  # type: ignore[arg-type]  # part is one of two by FILTERS
                "reason": verdict.reason,
                "failed_inputs": list(verdict.failed),
                "program_sha256": text_sha256(item.program.source),
                "sanitised": ending,
            }
            for item, verdict, ending in zip(marked, verdicts, sanitised, strict=True)
        ]
        metrics[name] = problem_pass_at_k(marked, part, rule)  # type: ignore[arg-type]
    return Sample(
        task=doc.task,
        doc_id=doc.doc_id,
        doc_sha256=doc.sha256,
        category=None,
        target=doc.target,
        requests=tuple(request.hash for request in doc.requests),
        filtered=filtered,
        metrics=metrics,
    )
