"""Text -> token ids, with lm-eval's rules for BOS, for the border and for contexts that are too long.

Each distinct string is encoded once, in batches, by the tokenizer's own code: the same strings, the same
tokens, a third of the time.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from benchproof.errors import BadInput
from benchproof.ports import Phase, Progress
from benchproof.schema.request import Encoded, Request

CHUNK = 512  # strings per call: often enough for a progress line


class Tokens:
    """Encodes requests for one tokenizer and context length."""

    def __init__(self, tokenizer: Any, max_length: int) -> None:
        self._tokenizer, self._max_length = tokenizer, max_length
        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        self.prefix_id: int = bos if bos is not None else eos  # stands for an empty context
        self._prefix_text: str = tokenizer.decode([self.prefix_id])
        self._bos_text: str | None = getattr(tokenizer, "bos_token", None)

    def encode(self, requests: Sequence[Request], progress: Progress) -> list[Encoded]:
        """See ports.Engine.encode. Raises BadInput for requests that cannot be asked of this model."""
        likelihoods = [r for r in requests if r.kind == "loglikelihood"]
        generations = [r for r in requests if r.kind == "generate_until"]
        pairs = {(r.context, r.continuation): _pair(r) for r in likelihoods if r.context}
        texts = dict.fromkeys(text for context, whole in pairs.values() for text in (context, whole))
        prompts = dict.fromkeys(r.context for r in generations)
        alone = dict.fromkeys(str(r.continuation) for r in likelihoods if not r.context)
        with progress.phase("tokens", total=len(texts) + len(prompts) + len(alone), unit="texts") as phase:
            ids = self._ids(texts, self._prefix_text, phase)
            prompt_ids = self._ids(prompts, self._bos_text, phase)
            alone_ids = self._ids(alone, None, phase, special=False)
        encoded = []
        for request in requests:
            if request.kind == "generate_until":
                encoded.append(self._generation(request, prompt_ids[request.context]))
            elif request.context:
                context, whole = pairs[request.context, request.continuation]
                encoded.append(self._likelihood(request, ids[context], ids[whole]))
            else:
                encoded.append(self._empty(request, alone_ids[str(request.continuation)]))
        return encoded

    def _ids(
        self, texts: Iterable[str], begins: str | None, phase: Phase, *, special: bool | None = None
    ) -> dict[str, tuple[int, ...]]:
        """Ids of each text. A text that already begins with the BOS text gets no second one."""
        found: dict[str, tuple[int, ...]] = {}
        plain = [t for t in texts if special is False or (begins and t.startswith(begins))]
        rest = sorted(set(texts) - set(plain))
        for group, kwargs in ((plain, {"add_special_tokens": False}), (rest, {})):
            for start in range(0, len(group), CHUNK):
                part = group[start : start + CHUNK]
                for text, ids in zip(part, self._tokenizer(part, **kwargs)["input_ids"], strict=True):
                    found[text] = tuple(ids)
                phase.advance(len(part))
        return found

    def _likelihood(self, request: Request, context: tuple[int, ...], whole: tuple[int, ...]) -> Encoded:
        """The continuation is the tail of the whole's encoding, the context is encoded by itself."""
        continuation = whole[len(context) :]
        return self._fitted(request, context, continuation, merged=whole[: len(context)] != context)

    def _empty(self, request: Request, continuation: tuple[int, ...]) -> Encoded:
        if continuation and continuation[0] == self.prefix_id:
            return self._fitted(request, continuation[:1], continuation[1:], merged=False)
        return self._fitted(request, (self.prefix_id,), continuation, merged=False)

    def _fitted(
        self, request: Request, context: tuple[int, ...], continuation: tuple[int, ...], *, merged: bool
    ) -> Encoded:
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
        return Encoded(context[surplus:] if surplus else context, continuation, surplus, merged)

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
        return Encoded(context[surplus:] if surplus else context, (), surplus, False)


def _pair(request: Request) -> tuple[str, str]:
    """(context, context + continuation); trailing spaces of the context belong to the continuation."""
    return request.context.rstrip(), request.context + str(request.continuation)
