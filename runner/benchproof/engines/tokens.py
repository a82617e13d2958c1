"""Text -> token ids, with lm-eval's rules for BOS, for the border and for contexts that are too long.

Each distinct string is encoded once, in batches, by the tokenizer's own code: the same strings, the same
tokens, a third of the time.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from benchproof.errors import BadInput
from benchproof.ports import Progress
from benchproof.schema.request import Encoded, Request

CHUNK = 128  # contexts encoded together: often enough for a progress line, few enough to hold in memory


class Tokens:
    """Encodes requests for one tokenizer and context length."""

    def __init__(self, tokenizer: Any, max_length: int) -> None:
        self._tokenizer, self._max_length = tokenizer, max_length
        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        self.prefix_id: int = bos if bos is not None else eos  # stands for an empty context
        self._bos_id: int | None = bos if bos != eos else None  # one that is also EOS begins no text
        self._prefix_text: str = tokenizer.decode([self.prefix_id])
        self._bos_text: str | None = getattr(tokenizer, "bos_token", None)
        self._ints = list(range(len(tokenizer)))  # one object per id: millions of ids are kept

    def encode(self, requests: Sequence[Request], progress: Progress) -> list[Encoded]:
        """See ports.Engine.encode. Raises BadInput for requests that cannot be asked of this model."""
        groups: dict[tuple[str, str], list[int]] = {}
        for index, request in enumerate(requests):
            groups.setdefault((request.kind, request.context), []).append(index)
        found: dict[int, Encoded] = {}
        keys = list(groups)
        with progress.phase("tokens", total=len(requests), unit="requests") as phase:
            for start in range(0, len(keys), CHUNK):
                members = [i for key in keys[start : start + CHUNK] for i in groups[key]]
                found.update(zip(members, self._encode_part([requests[i] for i in members]), strict=True))
                phase.advance(len(members))
        return [found[i] for i in range(len(requests))]

    def _encode_part(self, requests: Sequence[Request]) -> list[Encoded]:
        """Requests whose contexts are encoded together, each distinct text once."""
        pairs = [_pair(r) if r.kind == "loglikelihood" and r.context else ("", "") for r in requests]
        ids = self._ids((text for pair in pairs if pair[1] for text in pair), self._prefix_text)
        prompts = self._ids((r.context for r in requests if r.kind == "generate_until"), self._bos_text)
        alone = self._ids(
            (str(r.continuation) for r in requests if not r.context and r.continuation), None, special=False
        )
        contexts = {text: self._kept(ids[text]) for text, _ in dict.fromkeys(pairs) if text in ids}
        encoded = []
        for request, (context, whole) in zip(requests, pairs, strict=True):
            if request.kind == "generate_until":
                encoded.append(self._generation(request, self._kept(prompts[request.context])))
            elif request.context:
                encoded.append(self._likelihood(request, contexts[context], ids[whole]))
            else:
                encoded.append(self._empty(request, self._kept(alone[str(request.continuation)])))
        return encoded

    def _ids(self, texts: Iterable[str], begins: str | None, *, special: bool | None = None) -> dict[str, list[int]]:
        """Ids of each text. A text that already begins with the BOS text gets no second one."""
        found: dict[str, list[int]] = {}
        distinct = list(dict.fromkeys(texts))
        plain = [t for t in distinct if special is False or (begins and t.startswith(begins))]
        rest = [t for t in distinct if t not in set(plain)] if plain else distinct
        for group, kwargs in ((plain, {"add_special_tokens": False}), (rest, {})):
            if group:
                encoding = self._tokenizer(group, return_attention_mask=False, **kwargs)
                found.update(zip(group, encoding["input_ids"], strict=True))
        return found

    def _kept(self, ids: Sequence[int]) -> tuple[int, ...]:
        return tuple(self._ints[i] for i in ids)

    def _likelihood(self, request: Request, context: tuple[int, ...], whole: Sequence[int]) -> Encoded:
        """The continuation is the tail of the whole's encoding, the context is encoded by itself."""
        continuation = self._kept(whole[len(context) :])
        return self._fitted(request, context, continuation, merged=tuple(whole[: len(context)]) != context)

    def _empty(self, request: Request, continuation: tuple[int, ...]) -> Encoded:
        if continuation and continuation[0] == self.prefix_id:
            return self._fitted(request, continuation[:1], continuation[1:], merged=False)
        return self._fitted(request, (self.prefix_id,), continuation, merged=False)

    def _fitted(
        self, request: Request, context: tuple[int, ...], continuation: tuple[int, ...], *, merged: bool
    ) -> Encoded:
        if not context:  # stock fails an assertion here; without it the first token would be read before the row
            raise BadInput(
                "the context is nothing but spaces: no token stands before the answer",
                where=f"task {request.task}, doc {request.doc_id}",
                do="leave the task out for this model",
            )
        if not continuation:
            raise BadInput(
                f"the tokenizer joins the answer {request.continuation!r} to its context: nothing is left to score",
                where=f"task {request.task}, doc {request.doc_id}",
                do="use a target delimiter that the tokenizer keeps apart",
            )
        if len(continuation) > self._max_length:
            raise BadInput(
                f"an answer of {len(continuation)} tokens is longer than the model's context of {self._max_length}",
                where=f"task {request.task}, doc {request.doc_id}",
                do="leave the task out for this model",
            )
        surplus = max(len(context) + len(continuation) - (self._max_length + 1), 0)
        return Encoded(context[surplus:], continuation, surplus, merged, self._lacks_bos(request, context))

    def _generation(self, request: Request, context: tuple[int, ...]) -> Encoded:
        settings = request.generation
        room = self._max_length - (settings.max_gen_toks if settings else 0)
        if room <= 0:
            raise BadInput(
                f"max_gen_toks {settings.max_gen_toks if settings else 0} leaves no room for a prompt: "
                f"the model's context is {self._max_length} tokens",
                where=f"task {request.task}",
                do="lower generation.max_gen_toks of this task",
            )
        surplus = max(len(context) - room, 0)
        return Encoded(context[surplus:], (), surplus, False, self._lacks_bos(request, context))

    def _lacks_bos(self, request: Request, context: tuple[int, ...]) -> bool:
        """True if the prompt lacks a BOS that the tokenizer has. Raises BadInput for two: both spoil scores unseen."""
        if self._bos_id is None:
            return False
        if context[:2] == (self._bos_id, self._bos_id):
            raise BadInput(
                "the prompt begins with two BOS tokens: the chat template writes one and the tokenizer adds another",
                where=f"task {request.task}, doc {request.doc_id}",
                do="mend the tokenizer's template, or set `model.chat_template: none`",
            )
        return context[:1] != (self._bos_id,)


def _pair(request: Request) -> tuple[str, str]:
    """(context, context + continuation); trailing spaces of the context belong to the continuation."""
    return request.context.rstrip(), request.context + str(request.continuation)
