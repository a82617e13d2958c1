"""The batch plan as properties: every request once, never over budget, a function of its arguments alone."""

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchproof.engines.batches import make_ops, row_of
from benchproof.errors import BadInput
from benchproof.ports import Op
from benchproof.schema.request import Encoded, Generation, Request
from fakes.plans import GREEDY, a_choice, a_generation

Asked = tuple[list[Request], list[Encoded]]
LONGER = Generation(until=("\n",), max_gen_toks=9)


@st.composite
def asked(draw: st.DrawFn) -> Asked:
    """Requests of a few tasks, those of one task together, as build makes them; some share their rows."""
    requests: list[Request] = []
    encoded: list[Encoded] = []
    ids = st.integers(0, 3)
    for task in draw(st.lists(st.sampled_from("abc"), unique=True, max_size=3)):
        choosing = draw(st.booleans())
        for doc in range(draw(st.integers(1, 8))):
            context = tuple(draw(st.lists(ids, min_size=1, max_size=6)))
            if choosing:
                for choice in range(draw(st.integers(1, 4))):
                    continuation = tuple(draw(st.lists(ids, min_size=1, max_size=3)))
                    requests.append(a_choice(task, doc, choice))
                    encoded.append(Encoded(context, continuation, 0, False))
            else:
                requests.append(a_generation(task, doc, settings=draw(st.sampled_from([GREEDY, LONGER]))))
                encoded.append(Encoded(context, (), 0, False))
    return requests, encoded


def ops_of(requests: Sequence[Request], encoded: Sequence[Encoded], budget: int = 16, batch: int = 3) -> list[Op]:
    return make_ops(
        requests, encoded, token_budget=budget, generation_batch=batch, bytes_of=lambda op: op.cost * len(op.requests)
    )


@given(asked())
def test_every_request_is_in_exactly_one_op(given_: Asked) -> None:
    counts = Counter(i for op in ops_of(*given_) for i in op.requests)
    assert counts == Counter(range(len(given_[0])))


@given(asked(), st.integers(9, 40))
def test_no_forward_exceeds_the_budget_padding_counted(given_: Asked, budget: int) -> None:
    requests, encoded = given_
    for op in ops_of(requests, encoded, budget):
        if op.kind == "loglikelihood":
            rows = {row_of(encoded[i]) for i in op.requests}
            assert op.cost == len(rows) * max(map(len, rows)) <= budget


@given(asked(), st.integers(1, 5))
def test_no_batch_of_texts_is_larger_than_asked_and_all_its_settings_are_equal(given_: Asked, batch: int) -> None:
    requests, encoded = given_
    for op in ops_of(requests, encoded, batch=batch):
        if op.kind == "generate_until":
            assert len(op.requests) <= batch
            (settings,) = {requests[i].generation for i in op.requests}
            assert settings is not None
            longest = max(len(encoded[i].context) for i in op.requests)
            assert op.cost == len(op.requests) * (longest + settings.max_gen_toks)


@given(asked())
def test_an_op_is_of_one_task_and_kind_and_is_numbered_by_its_place(given_: Asked) -> None:
    requests, encoded = given_
    ops = ops_of(requests, encoded)
    for number, op in enumerate(ops):
        assert op.index == number
        assert {(requests[i].task, requests[i].kind) for i in op.requests} == {(op.task, op.kind)}


@given(asked())
def test_the_op_that_needs_most_comes_first_and_the_others_of_a_task_stay_together(given_: Asked) -> None:
    ops = ops_of(*given_)
    costs = [op.cost * len(op.requests) for op in ops]
    if ops:
        assert costs[0] == max(costs)
    tasks = [op.task for op in ops[1:]]
    assert [task for n, task in enumerate(tasks) if n == 0 or tasks[n - 1] != task] == list(dict.fromkeys(tasks))


@given(asked())
def test_requests_that_read_the_same_row_are_answered_together(given_: Asked) -> None:
    requests, encoded = given_
    places: dict[tuple[str, tuple[int, ...]], set[int]] = {}
    for op in ops_of(requests, encoded):
        for i in op.requests:
            if op.kind == "loglikelihood":
                places.setdefault((op.task, row_of(encoded[i])), set()).add(op.index)
    assert all(len(found) == 1 for found in places.values())


@given(asked())
def test_rows_become_shorter_within_a_task(given_: Asked) -> None:
    requests, encoded = given_
    for task in {request.task for request in requests}:
        own = [op for op in ops_of(requests, encoded)[1:] if op.task == task and op.kind == "loglikelihood"]
        widths = [max(len(row_of(encoded[i])) for i in op.requests) for op in own]
        assert widths == sorted(widths, reverse=True)


@given(asked(), st.randoms(use_true_random=False))
def test_a_second_time_the_same_whatever_happened_between(given_: Asked, chance: random.Random) -> None:
    first = ops_of(*given_)
    chance.random()
    random.seed(chance.random())
    assert ops_of(*given_) == first


@given(asked())
def test_the_batches_are_of_contents_and_not_of_the_order_within_a_task(given_: Asked) -> None:
    """Each batch asks the same rows when a task's docs come in another order: nothing depends on who came first."""
    requests, encoded = given_
    order = sorted(range(len(requests)), key=lambda i: (requests[i].task, -i))
    turned = ops_of([requests[i] for i in order], [encoded[i] for i in order])
    straight = sorted(range(len(requests)), key=lambda i: (requests[i].task, i))
    before = ops_of([requests[i] for i in straight], [encoded[i] for i in straight])

    def rows(ops: list[Op], places: list[int]) -> list[tuple[str, list[tuple[int, ...]]]]:
        return sorted(
            (op.task, sorted(encoded[places[i]].context + encoded[places[i]].continuation for i in op.requests))
            for op in ops
        )

    assert rows(turned, order) == rows(before, straight)


def test_one_request_that_is_too_long_names_the_setting() -> None:
    with pytest.raises(BadInput) as caught:
        ops_of([a_choice("t")], [Encoded(tuple(range(20)), (1,), 0, False)], budget=16)
    text = str(caught.value)
    for word in ("batch of 16", "task t", "engine.token_budget", "at least 20"):
        assert word in text
    assert len(ops_of([a_choice("t")], [Encoded(tuple(range(20)), (1,), 0, False)], budget=20)) == 1


def test_nothing_asked_is_nothing_done() -> None:
    assert ops_of([], []) == []


def test_the_last_token_is_only_predicted() -> None:
    assert row_of(Encoded((1, 2), (3, 4), 0, False)) == (1, 2, 3)
    assert row_of(Encoded((1,), (2,), 0, False)) == (1,)
