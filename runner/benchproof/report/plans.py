"""A plan as text or JSON: what would be asked of what, and at what size."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchproof.build import Built
from benchproof.report.text import count, out, short, size, table
from benchproof.resolve import Resolved
from benchproof.schema.plan import Plan
from benchproof.schema.request import Doc, Encoded

FEW_TASKS = 12  # a group of more tasks is one line
EDGE = 4  # token ids shown at each end of a prompt
LONG = 1200  # characters of a prompt that are shown


def as_json(resolved: Resolved, built: Built, memory: int | None, samples: int) -> dict[str, Any]:
    """Everything that `show` tells, and the plan itself."""
    plan, encoded, encoded_of = resolved.plan, _encoded(built), built.encoded_of()
    return {
        "plan_id": plan.plan_id,
        "ask_id": plan.ask_id,
        "tasks": [_task(plan, built, task.task, encoded[task.task]) for task in plan.ask.tasks],
        "ops": len(built.ops),
        "op_tokens": sum(op.cost for op in built.ops),
        "expected_memory_bytes": memory,
        "left_out": resolved.left_out,
        "notes": [{"benchmark": benchmark, "note": note} for benchmark, note in resolved.notes],
        "samples": [_sample(doc, encoded_of) for doc in _samples(built, samples)],
        "plan": plan.model_dump(mode="json", by_alias=True),
    }


def show(resolved: Resolved, built: Built, memory: int | None, samples: int, *, model_name: str) -> None:
    """For a person. Runs nothing."""
    plan = resolved.plan
    model, engine = plan.ask.model, plan.ask.engine
    out(f"plan {plan.plan_id}", bold=True)
    out(f"  model   {model_name}, {model.architecture}, {count(model.parameters)} parameters", bold=False)
    out(f"          {model.repo}@{model.commit}" if model.repo else f"          content {short(_content(plan))}")
    out(
        f"  engine  {engine.name}, {engine.dtype}, softmax in {engine.softmax_dtype}, attention {engine.attention}, "
        f"context {engine.max_length}, token budget {engine.token_budget}, generation batch {engine.generation_batch}"
    )
    out(f"  seeds   {', '.join(f'{name} {value}' for name, value in plan.ask.seeds.items())}")
    out(f"  harness {', '.join(f'{name} {version}' for name, version in plan.mark.harness.items())}\n")
    _tables(plan, built)
    memory_text = "cannot be told" if memory is None else f"about {size(memory)}"
    out(
        f"\n{count(len(built.requests))} requests in {count(len(built.ops))} ops, "
        f"{count(sum(op.cost for op in built.ops))} tokens in forwards; expected memory {memory_text}"
    )
    for line in _warnings(resolved, built):
        out(line)
    encoded_of = built.encoded_of()
    for doc in _samples(built, samples):
        _show_sample(doc, encoded_of)


def _content(plan: Plan) -> str:
    from benchproof.schema.canonical import digest

    return digest(plan.ask.model.content.json_value())


def _task(plan: Plan, built: Built, task: str, encoded: Sequence[Encoded]) -> dict[str, Any]:
    pin, mark, docs = plan.task_ask(task), plan.task_mark(task), built.docs[task]
    return {
        "task": task,
        "benchmark": mark.benchmark,
        "version": mark.version,
        "docs": len(docs),
        "docs_in_split": pin.dataset.n_docs,
        "requests": len(encoded),
        "prompt_tokens": sum(item.n_tokens for item in encoded),
        "longest": max((item.n_tokens for item in encoded), default=0),
        "truncated": sum(item.truncated > 0 for item in encoded),
        "merged": sum(item.merged for item in encoded),
        "num_fewshot": pin.num_fewshot,
        "dataset": {"repo": pin.dataset.repo, "config": pin.dataset.config, "commit": pin.dataset.commit},
        "docs_sha256": pin.dataset.docs_sha256,
        "benchmark_id": plan.benchmark_id(task),
        "measurement_id": plan.measurement_id(task),
    }


def _encoded(built: Built) -> dict[str, list[Encoded]]:
    """The encoded requests of each task."""
    found: dict[str, list[Encoded]] = {task: [] for task in built.docs}
    for request, item in zip(built.requests, built.encoded, strict=True):
        found[request.task].append(item)
    return found


def _tables(plan: Plan, built: Built) -> None:
    """Tasks, those of a large group as one line."""
    encoded = _encoded(built)
    by_benchmark: dict[str, list[dict[str, Any]]] = {}
    for pin in plan.ask.tasks:
        task = _task(plan, built, pin.task, encoded[pin.task])
        by_benchmark.setdefault(task["benchmark"], []).append(task)
    lines: list[tuple[str, ...]] = []
    for benchmark, members in by_benchmark.items():
        if len(members) > FEW_TASKS:
            lines.append(_line(f"{benchmark}: {len(members)} tasks", members))
        else:
            lines += [_line(member["task"], [member]) for member in members]
    head = ("task", "docs", "requests", "prompt tokens", "longest", "shots", "benchmark", "measurement", "data")
    table(lines, head=head, right=(1, 2, 3, 4, 5))
    if any(len(members) > FEW_TASKS for members in by_benchmark.values()):
        out("each task of a group: --json")


def _line(name: str, members: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    docs, split = (sum(member[key] for member in members) for key in ("docs", "docs_in_split"))
    shots = sorted({member["num_fewshot"] for member in members})
    alone = len(members) == 1
    return (
        name,
        count(docs) if docs == split else f"{count(docs)} of {count(split)}",
        count(sum(member["requests"] for member in members)),
        count(sum(member["prompt_tokens"] for member in members)),
        count(max(member["longest"] for member in members)),
        "-".join(str(number) for number in dict.fromkeys((shots[0], shots[-1]))),
        short(members[0]["benchmark_id"]) if alone else "",
        short(members[0]["measurement_id"]) if alone else "",
        ", ".join(dict.fromkeys(_data(member) for member in members)),
    )


def _data(member: dict[str, Any]) -> str:
    data = member["dataset"]
    return f"{data['repo']}@{short(data['commit'])}" if data["commit"] else f"rows {short(member['docs_sha256'])}"


def _warnings(resolved: Resolved, built: Built) -> Iterator[str]:
    plan = resolved.plan
    if plan.limited:
        yield "LIMITED: only the first docs of some tasks are asked; their scores are not scores of the benchmark"
    for task, items in _encoded(built).items():
        cut = [item.truncated for item in items if item.truncated]
        if cut:
            yield (
                f"warning: {len(cut)} prompts of {task} are longer than the context of "
                f"{plan.ask.engine.max_length} tokens, by up to {max(cut)}: they lose tokens on the left"
            )
    for setting in plan.ask.engine.neutralised:
        yield f"warning: the checkpoint's generation_config says {setting}; it is not applied"
    for benchmark, note in resolved.notes:
        yield f"note on {benchmark}: {note}"
    for left in resolved.left_out:
        yield f"left out: {left['task']} ({left['code']}): {left['detail']}"


def _samples(built: Built, samples: int) -> Iterator[Doc]:
    for docs in built.docs.values():
        yield from docs[:samples]


def _sample(doc: Doc, encoded_of: Mapping[str, Encoded]) -> dict[str, Any]:
    request = doc.requests[0]
    encoded = encoded_of[request.hash]
    return {
        "task": doc.task,
        "doc_id": doc.doc_id,
        "request": request.hash,
        "context": request.context,
        "continuations": [r.continuation for r in doc.requests if r.continuation is not None],
        "generation": None if request.generation is None else request.generation.json_value(),
        "context_ids": list(encoded.context),
        "truncated": encoded.truncated,
    }


def _show_sample(doc: Doc, encoded_of: Mapping[str, Encoded]) -> None:
    request = doc.requests[0]
    ids = list(encoded_of[request.hash].context)
    edge = f"{ids[:EDGE]} … {ids[-EDGE:]}" if len(ids) > 2 * EDGE else str(ids)
    out(f"\n{doc.task}, doc {doc.doc_id}: {len(ids)} tokens {edge}", bold=True)
    text = request.context
    if len(text) > LONG:
        text = f"{text[: LONG // 2]}\n[… {len(text) - LONG} characters …]\n{text[-LONG // 2 :]}"
    for line in text.split("\n"):
        out(f"  | {_visible(line)}")
    if request.generation is None:
        out(f"  then one of: {', '.join(repr(r.continuation) for r in doc.requests)}")
    else:
        stops = ", ".join(repr(stop) for stop in request.generation.until)
        out(f"  then at most {request.generation.max_gen_toks} tokens, until {stops or 'EOS'}")


def _visible(line: str) -> str:
    """A space at the end, and what no terminal should obey, made visible."""
    shown = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in line)
    return shown[:-1] + "␠" if shown.endswith(" ") else shown
