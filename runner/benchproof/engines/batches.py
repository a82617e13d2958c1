"""The batch plan: requests -> ops. Pure: token ids and settings in, batches out; no torch, no model.

An op never changes with what is in memory or already answered, so resume, shards and audits repeat its bits.
Later plans over shared prefixes are another function here, with another name in `EnginePin.batching`.
"""

from collections.abc import Callable, Sequence
from itertools import groupby

from benchproof.errors import BadInput
from benchproof.ports import Op
from benchproof.schema.request import Encoded, Request

BATCHING = "length-sorted/1"


def row_of(encoded: Encoded) -> tuple[int, ...]:
    """What the model reads for a log-likelihood: everything but the last token, which is only predicted."""
    return (encoded.context + encoded.continuation)[:-1]


def make_ops(
    requests: Sequence[Request],
    encoded: Sequence[Encoded],
    *,
    token_budget: int,
    generation_batch: int,
    bytes_of: Callable[[Op], int],
) -> list[Op]:
    """All ops, those of one task together, longest rows first; the op that needs most memory comes first of all.

    Log-likelihoods: requests that agree in all but the last token share a row, as stock does; a forward has
    at most `token_budget` tokens, padding counted. Generations: `generation_batch` rows of equal settings.
    Raises BadInput if one row alone exceeds the budget.
    """
    ops: list[Op] = []
    order = list(range(len(requests)))
    for (task, kind), group in groupby(order, key=lambda i: (requests[i].task, requests[i].kind)):
        members = list(group)
        batches = (
            _likelihood_batches(members, encoded, token_budget, task)
            if kind == "loglikelihood"
            else _generation_batches(members, requests, encoded, generation_batch)
        )
        ops += [Op(0, kind, task, tuple(batch), cost) for batch, cost in batches]
    if ops:
        first = max(range(len(ops)), key=lambda i: (bytes_of(ops[i]), -i))
        ops.insert(0, ops.pop(first))
    return [Op(index, op.kind, op.task, op.requests, op.cost) for index, op in enumerate(ops)]


def _likelihood_batches(
    members: Sequence[int], encoded: Sequence[Encoded], budget: int, task: str
) -> list[tuple[list[int], int]]:
    rows: dict[tuple[int, ...], list[int]] = {}
    for i in members:
        rows.setdefault(row_of(encoded[i]), []).append(i)
    batches: list[tuple[list[int], int]] = []
    batch: list[int] = []
    width = height = 0
    for row in sorted(rows, key=lambda row: (-len(row), row)):
        if len(row) > budget:
            raise BadInput(
                f"a request of {len(row)} tokens does not fit into a batch of {budget}",
                where=f"task {task}",
                do=f"set engine.token_budget to at least {len(row)}",
            )
        if height and (height + 1) * width > budget:
            batches.append((batch, height * width))
            batch, height = [], 0
        if not height:
            width = len(row)
        batch += rows[row]
        height += 1
    if height:
        batches.append((batch, height * width))
    return batches


def _generation_batches(
    members: Sequence[int], requests: Sequence[Request], encoded: Sequence[Encoded], size: int
) -> list[tuple[list[int], int]]:
    ordered = sorted(
        members, key=lambda i: (repr(requests[i].generation), -len(encoded[i].context), encoded[i].context)
    )
    batches = []
    for _, group in groupby(ordered, key=lambda i: requests[i].generation):
        rows = list(group)
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            settings = requests[batch[0]].generation
            longest = max(len(encoded[i].context) for i in batch)
            batches.append((batch, len(batch) * (longest + (settings.max_gen_toks if settings else 0))))
    return batches
