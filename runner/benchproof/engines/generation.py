"""Text from a model: stop strings, and sampling that does not depend on batch neighbours."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import LogitsProcessor, StoppingCriteria

from benchproof.schema.request import Generation
from benchproof.schema.spec import ThinkingAsk

LOOKBACK = 2  # tokens beyond a stop string's own: it may come in another tokenization, or begin inside a token


def cut(text: str, until: Sequence[str]) -> str:
    """The text cut at each stop string in turn, as lm-eval cuts it: one that overlaps another may not be the first."""
    for stop in until:
        text = text.split(stop)[0]
    return text


def after_thinking(text: str, thinking: ThinkingAsk) -> tuple[str, bool]:
    """The answer after the last end of thinking, and whether there was one; whole texts where nothing thinks."""
    if thinking.end_token is None:
        return text, True
    if thinking.end_token in text:
        return text.split(thinking.end_token)[-1].lstrip(), True
    return ("" if thinking.count_truncated else text), False


class StopAtStrings(StoppingCriteria):  # type: ignore[misc]  # transformers' base is untyped
    """Ends a row once its new text holds a stop string.

    Never before its first, so the cut text is the same whenever the rest of the batch ends. Where the model
    thinks, a stop string counts only after the end of thinking, which is full of blank lines, and after the blank
    lines that follow it: `after_thinking` strips them.
    `lengths` holds the number of new tokens of each row that has ended.
    """

    def __init__(
        self,
        tokenizer: Any,
        until: Sequence[str],
        prompt_length: int,
        rows: int,
        eos: Sequence[int],
        thinking_end: str | None = None,
    ) -> None:
        self._tokenizer, self._until, self._start = tokenizer, list(until), prompt_length
        self._thinking_end = thinking_end
        marks = [*until, *([thinking_end] if thinking_end else [])]
        longest = max((len(tokenizer.encode(mark, add_special_tokens=False)) for mark in marks), default=0)
        self._window = longest + LOOKBACK
        self._eos = set(eos)
        self.lengths: list[int | None] = [None] * rows
        self._answers_from = [None if thinking_end else 0] * rows  # new tokens before the answer; None: it thinks
        self._blank = [bool(thinking_end)] * rows  # nothing of the answer but white space yet

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """[rows] of bool: which rows have ended."""
        new = input_ids.shape[1] - self._start
        fresh = input_ids[:, self._start :]
        waiting = [row for row, length in enumerate(self.lengths) if length is None]
        begins = [max(new - self._window, self._answers_from[row] or 0) for row in waiting]
        tails = [fresh[row, begin:].tolist() for row, begin in zip(waiting, begins, strict=True)]
        texts = self._tokenizer.batch_decode(tails) if waiting else []
        for row, begin, tail, text in zip(waiting, begins, tails, texts, strict=True):
            if tail and tail[-1] in self._eos:
                self.lengths[row] = new
            elif self._answers_from[row] is None:
                if str(self._thinking_end) in text:
                    self._answers_from[row] = new
            elif self._blank[row] and not text.strip():
                self._answers_from[row] = new
            else:
                answer = text.lstrip() if self._thinking_end and begin == self._answers_from[row] else text
                self._blank[row] = False
                if any(stop in answer for stop in self._until):
                    self.lengths[row] = new
        return torch.tensor([length is not None for length in self.lengths], device=input_ids.device)


class GumbelNoise(LogitsProcessor):  # type: ignore[misc]  # transformers' base is untyped
    """Turns greedy decoding into sampling: argmax(logits / T + Gumbel noise) is a draw from softmax(logits / T).

    Each row has its own generator, so a sample depends on its seed and never on its batch neighbours.
    Source: Gumbel 1954; the test compares frequencies with softmax.
    """

    def __init__(self, settings: Generation, seeds: Sequence[int]) -> None:
        self._settings = settings
        self._generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores [rows, vocabulary] whose argmax is the sample."""
        scores = self._warped(scores.float() / self._settings.temperature)
        noise = torch.stack(
            [torch.empty(scores.shape[1]).exponential_(generator=generator) for generator in self._generators]
        )
        return scores - noise.to(scores.device).log()

    def _warped(self, scores: torch.Tensor) -> torch.Tensor:
        """top-k, then top-p, as transformers orders them."""
        if self._settings.top_k is not None:
            k = min(self._settings.top_k, scores.shape[1])
            floor = torch.topk(scores, k)[0][:, -1:]
            scores = scores.masked_fill(scores < floor, -torch.inf)
        if self._settings.top_p is not None:
            ordered, index = torch.sort(scores, dim=-1, descending=False)
            gone = ordered.softmax(dim=-1).cumsum(dim=-1) <= 1 - self._settings.top_p
            gone[:, -1] = False
            scores = scores.masked_fill(gone.scatter(1, index, gone), -torch.inf)
        return scores
