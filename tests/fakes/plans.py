"""Small values of the real types, for tests that need one and not a whole run."""

from typing import Any

from benchproof.build import Built
from benchproof.ports import Op
from benchproof.schema.canonical import sha256
from benchproof.schema.plan import (
    Ask,
    ChatPin,
    DatasetPin,
    EnginePin,
    FilePin,
    Mark,
    ModelContent,
    ModelPin,
    Plan,
    TaskAskPin,
    TaskMarkPin,
)
from benchproof.schema.request import Doc, Encoded, Generation, Request
from benchproof.schema.response import Generated, Loglikelihood, Response

EMPTY_SHA = sha256(b"")
GREEDY = Generation(until=("\n",), max_gen_toks=4)


def a_model_pin(**changes: Any) -> ModelPin:
    content: dict[str, Any] = {
        "weights": [FilePin(path="model.safetensors", size=8, sha256=EMPTY_SHA)],
        "config_sha256": EMPTY_SHA,
        "generation_config_sha256": None,
        "tokenizer": [FilePin(path="tokenizer.json", size=2, sha256=EMPTY_SHA)],
        "chat_template_sha256": None,
        "template_kwargs": {},
        "system_prompt": None,
        "thinking": None,
        "adapter": [],
        "code": [],
        "quantisation": None,
    }
    return ModelPin(
        content=ModelContent(**(content | changes)),
        repo=None,
        commit=None,
        origins={},
        architecture="Table",
        parameters=1,
    )


def an_engine_pin(**changes: Any) -> EnginePin:
    settings: dict[str, Any] = {
        "name": "hf",
        "dtype": "float32",
        "softmax_dtype": "float32",
        "token_budget": 64,
        "generation_batch": 2,
        "deterministic": True,
        "device_map": "single",
        "attention": "sdpa",
        "max_length": 32,
        "batching": "length-sorted/1",
        "neutralised": [],
    }
    return EnginePin(**(settings | changes))


def a_task_pin(task: str = "choose", *, n_docs: int = 2, **changes: Any) -> TaskAskPin:
    settings: dict[str, Any] = {
        "task": task,
        "dataset": DatasetPin(
            repo="rows",
            config=None,
            split="test",
            fewshot_split=None,
            commit=None,
            docs_sha256=EMPTY_SHA,
            fewshot_sha256=None,
            n_docs=n_docs,
        ),
        "output_type": "multiple_choice",
        "config": {},
        "num_fewshot": 0,
        "fewshot_seed": None,
        "chat": ChatPin(applied=False, fewshot_as_turns=False),
        "generation": None,
        "repeats": 1,
        "limit": None,
        "n_docs": n_docs,
    }
    return TaskAskPin(**(settings | changes))


def a_mark_pin(task: str = "choose", **changes: Any) -> TaskMarkPin:
    settings: dict[str, Any] = {
        "harness": "table",
        "task": task,
        "version": "1",
        "benchmark": task,
        "config": {},
        "metrics": ["acc"],
        "filters": ["none"],
        "higher_is_better": {"acc": True},
        "oracles": {},
        "categories_sha256": None,
    }
    return TaskMarkPin(**(settings | changes))


def a_plan(*tasks: TaskAskPin, engine: EnginePin | None = None) -> Plan:
    asks = list(tasks) or [a_task_pin()]
    return Plan(
        ask=Ask(
            model=a_model_pin(),
            engine=engine or an_engine_pin(),
            seeds={"fewshot": "1234", "generation": "1234"},
            truncation="warn",
            packages={"table": "1"},
            tasks=asks,
        ),
        mark=Mark(
            harness={"table": "1"},
            packages={},
            tasks=[a_mark_pin(task.task) for task in asks],
            groups=[],
            headlines=[],
            left_out=[],
        ),
    )


def a_choice(
    task: str = "choose", doc_id: int = 0, choice: int = 0, context: str = "Q: ?", answer: str = " yes"
) -> Request:
    return Request(task, doc_id, choice, 0, "loglikelihood", context, answer).with_hash()


def a_generation(
    task: str = "write",
    doc_id: int = 0,
    repeat: int = 0,
    context: str = "Q: ?",
    settings: Generation = GREEDY,
    seed: int | None = None,
) -> Request:
    return Request(task, doc_id, 0, repeat, "generate_until", context, generation=settings, seed=seed).with_hash()


def a_likelihood(request: Request, value: float = -1.25, *, greedy: bool = False) -> Loglikelihood:
    return Loglikelihood(request.hash, value, greedy, 1)


def a_text(request: Request, text: str = "so") -> Generated:
    return Generated(request.hash, (3, 5), text, text, "eos")


def some_docs(task: str = "choose", count: int = 2, choices: tuple[str, ...] = (" yes", " no")) -> list[Doc]:
    """Docs of a choosing task, whose first choice is right."""
    found = []
    for doc_id in range(count):
        row = {"q": f"{task} {doc_id}?"}
        requests = tuple(a_choice(task, doc_id, i, row["q"], answer) for i, answer in enumerate(choices))
        found.append(Doc(task, doc_id, row, sha256(row["q"].encode()), 0, None, requests))
    return found


def a_built(*requests: Request, ops: list[Op] | None = None) -> Built:
    """What build makes of single requests: a doc each, an op each."""
    docs: dict[str, list[Doc]] = {}
    for request in requests:
        docs.setdefault(request.task, []).append(Doc(request.task, request.doc_id, {}, EMPTY_SHA, 0, None, (request,)))
    made = [Op(i, request.kind, request.task, (i,), 4) for i, request in enumerate(requests)]
    return Built(docs, list(requests), [Encoded((1, 2), (3,), 0, False) for _ in requests], ops or made)


def answers_of(*responses: Response) -> dict[str, Response]:
    return {response.request: response for response in responses}
