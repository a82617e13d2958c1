"""Requests: built once, in order, whole; what the model cannot be asked is said before it is loaded."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchproof import build
from benchproof.errors import BadInput
from benchproof.ports import Render
from benchproof.report.progress import Silent
from benchproof.schema.canonical import chain, doc_sha256
from benchproof.schema.plan import ChatPin, Plan
from benchproof.schema.request import Doc
from benchproof.store.files import read_lines
from fakes.counting import CountingEngine
from fakes.harness import TableHarness
from fakes.plans import a_built, a_choice, a_generation, a_plan, a_task_pin


def both(truncation: str = "warn") -> Plan:
    plan = a_plan(a_task_pin("choose", n_docs=5), a_task_pin("write", n_docs=5))
    return plan.model_copy(update={"ask": plan.ask.model_copy(update={"truncation": truncation})})


def built_of(plan: Plan, engine: CountingEngine | None = None, harness: TableHarness | None = None) -> build.Built:
    return build.build(plan, harness=harness or TableHarness(), engine=engine or CountingEngine(), progress=Silent())


def test_everything_in_the_plans_order() -> None:
    built = built_of(both())
    assert list(built.docs) == ["choose", "write"]
    assert [r.key for r in built.requests] == sorted(r.key for r in built.requests)
    assert len(built.requests) == len(built.encoded) == 5 * 2 + 5
    assert sorted(i for op in built.ops for i in op.requests) == list(range(15))


def test_the_digest_is_over_all_hashes_in_key_order() -> None:
    built = built_of(both())
    expected = chain([r.hash for r in sorted(built.requests, key=lambda r: (r.task, r.doc_id, r.choice, r.repeat))])
    assert built.requests_digest == expected
    turned = replace(built, requests=built.requests[::-1])
    assert turned.requests_digest == expected
    assert replace(built, requests=built.requests[1:]).requests_digest != expected


def test_a_renderer_is_given_exactly_where_a_template_is_applied() -> None:
    seen: dict[str, Render | None] = {}

    class Asking(TableHarness):
        def build(self, task: str, render: Render | None) -> list[Doc]:
            seen[task] = render
            return super().build(task, render)

    chat = ChatPin(applied=True, fewshot_as_turns=True)
    built_of(a_plan(a_task_pin("choose", chat=chat), a_task_pin("write")), harness=Asking())
    assert seen["choose"] is not None
    assert seen["choose"]([{"role": "user", "content": "hi"}], True) == "<user>hi<assistant>"
    assert seen["write"] is None


def test_one_request_twice_is_refused() -> None:
    class Twice(TableHarness):
        def build(self, task: str, render: Render | None) -> list[Doc]:
            docs = super().build(task, render)
            return [*docs, docs[0]]

    with pytest.raises(BadInput, match="same request twice") as caught:
        built_of(a_plan(), harness=Twice())
    assert "choose" in caught.value.where


def test_prompts_that_are_cut_are_refused_only_if_that_was_asked() -> None:
    short = CountingEngine(max_length=11)
    assert any(item.truncated for item in built_of(both(), short).encoded)
    with pytest.raises(BadInput) as caught:
        built_of(both("refuse"), short)
    text = str(caught.value)
    assert caught.value.exit_code == 2
    for word in ("choose", "doc 0", "longer than the model's context of", "truncation: warn"):
        assert word in text
    built_of(both("refuse"), CountingEngine(max_length=64))


def test_the_rows_hold_all_that_was_asked(tmp_path: Path) -> None:
    built = built_of(both())
    files = build.write_requests(built, tmp_path, Silent())
    assert [file.path for file in files] == ["requests/choose.jsonl.zst", "requests/write.jsonl.zst"]
    assert [file.rows for file in files] == [5, 5]
    encoded = {r.hash: e for r, e in zip(built.requests, built.encoded, strict=True)}
    for task, docs in built.docs.items():
        for row, doc in zip(read_lines(tmp_path / f"requests/{task}.jsonl.zst"), docs, strict=True):
            assert (row["doc_id"], row["doc"], row["target"]) == (doc.doc_id, doc.doc, doc.target)
            for found, request in zip(row["requests"], doc.requests, strict=True):
                context = row["contexts"][found["context"]]
                assert found["hash"] == request.hash
                assert (context["text"], context["ids"]) == (request.context, list(encoded[request.hash].context))
                if request.generation is None:
                    assert found["continuation"] == request.continuation
                    assert found["continuation_ids"] == list(encoded[request.hash].continuation)
                else:
                    assert found["generation"] == request.generation.json_value()


def test_a_shared_context_stands_once_and_one_that_was_cut_otherwise_stands_again(tmp_path: Path) -> None:
    whole = a_choice(choice=0, context="abcdef", answer="x")
    cut = a_choice(choice=1, context="abcdef", answer="a longer answer")
    engine = CountingEngine(max_length=15)
    base = a_built(whole, cut)
    doc = Doc("choose", 0, {}, doc_sha256({}), 0, None, (whole, cut))
    build.write_requests(
        build.Built({"choose": [doc]}, base.requests, engine.encode(base.requests, Silent()), []), tmp_path, Silent()
    )
    (row,) = read_lines(tmp_path / "requests" / "choose.jsonl.zst")
    assert [c["text"] for c in row["contexts"]] == ["abcdef", "abcdef"]
    assert [len(c["ids"]) for c in row["contexts"]] == [6, 1]
    assert [r.get("truncated") for r in row["requests"]] == [None, 5]


def test_a_sampling_seed_is_written_as_text(tmp_path: Path) -> None:
    build.write_requests(a_built(a_generation(seed=2**55 + 1)), tmp_path, Silent())
    (row,) = read_lines(tmp_path / "requests" / "write.jsonl.zst")
    assert row["requests"][0]["seed"] == str(2**55 + 1)


def test_equal_plans_write_equal_bytes_and_a_second_time_changes_nothing(tmp_path: Path) -> None:
    found: list[Any] = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        found.append(build.write_requests(built_of(both()), tmp_path / name, Silent()))
    assert found[0] == found[1]
    assert build.write_requests(built_of(both()), tmp_path / "a", Silent()) == found[0]
