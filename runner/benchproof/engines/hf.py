"""The reference engine: transformers, batches from the plan, log-softmax in fp32 unless the spec mirrors stock."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from benchproof.engines import determinism, loading
from benchproof.engines.batches import row_of
from benchproof.engines.front import NO_THINKING, HfFront, quantisation_of
from benchproof.engines.generation import GumbelNoise, StopAtStrings, after_thinking, cut
from benchproof.errors import BadInput, BenchproofError, MachineError
from benchproof.ports import ModelFiles, Op, Progress
from benchproof.schema.observed import Determinism, EngineObserved
from benchproof.schema.request import Encoded, Generation, Request
from benchproof.schema.response import Generated, Loglikelihood, Response, Stop
from benchproof.schema.spec import EngineAsk, ModelAsk, ThinkingAsk
from benchproof.schema.unknown import Unknown


class HfEngine(HfFront):
    """Implements ports.Engine."""

    def __init__(
        self,
        files: ModelFiles,
        model: ModelAsk,
        engine: EngineAsk,
        device: str,
        seed: int,
        *,
        thinking: ThinkingAsk = NO_THINKING,
        rehash: bool = False,
    ) -> None:
        super().__init__(files, model, engine, checked_device(device), thinking=thinking, rehash=rehash)
        self._seed = seed
        self._model: Any = None
        self._determinism: list[Determinism] = []
        self._forward_tokens = self._generated_tokens = 0

    def free_bytes(self) -> int | None:
        """See ports.Engine.free_bytes: of the GPU, of all GPUs together, or of the machine."""
        if not self.device.startswith("cuda"):
            return _available_memory()
        devices = range(torch.cuda.device_count()) if self.engine_ask.device_map == "balanced" else [self.device]
        return sum(torch.cuda.mem_get_info(device)[0] for device in devices)

    def load(self, progress: Progress) -> None:
        """See ports.Engine.load."""
        pin = self.pin()
        self._determinism = determinism.ask(pin.deterministic)
        determinism.seed_everything(self._seed)
        with progress.phase(f"loading the model on {self.device}"), self._memory("loading the weights", "engine.dtype"):
            self._model = loading.load(
                self.files,
                pin,
                self.device,
                self.remote,
                pickled=self.pickled,
                quantisation=quantisation_of(self.config),
            ).eval()
        self._eos = _eos_ids(self._model, self.tokenizer)
        # transformers fills what a request leaves open from here; the plan says that nothing of it is applied.
        self._model.generation_config = GenerationConfig()

    def answer(self, op: Op, requests: Sequence[Request], encoded: Sequence[Encoded]) -> list[Response]:
        """See ports.Engine.answer."""
        asked = [requests[i] for i in op.requests]
        ids = [encoded[i] for i in op.requests]
        if op.kind == "loglikelihood":
            with self._memory(f"a batch of {op.cost} tokens", "engine.token_budget"), torch.inference_mode():
                return list(self._loglikelihoods(asked, ids))
        with self._memory(f"a batch of {len(asked)} generations", "engine.generation_batch"), torch.inference_mode():
            return self._generations(asked, ids)

    def observed(self) -> EngineObserved:
        """See ports.Engine.observed."""
        model = self._model
        cuda = self.device.startswith("cuda")
        return EngineObserved(
            model_class=type(model).__name__,
            dtype_loaded=str(model.dtype).removeprefix("torch."),
            parameters_loaded=sum(p.numel() for p in model.parameters()),
            device="cuda" if cuda else "cpu",
            device_layers=loading.layers(model),
            attention=str(model.config._attn_implementation),
            threads=torch.get_num_threads(),
            determinism=self._determinism,
            forward_tokens=self._forward_tokens,
            generated_tokens=self._generated_tokens,
            peak_bytes=torch.cuda.max_memory_allocated(self.device)
            if cuda
            else Unknown(unknown="not_applicable", detail="the allocator's peak is counted on CUDA only"),
        )

    # ------------------------------------------------------------ likelihood

    def _loglikelihoods(self, asked: Sequence[Request], ids: Sequence[Encoded]) -> Iterator[Loglikelihood]:
        """Right-padded rows; the head only on positions that some request reads. Causal, so padding moves nothing."""
        rows = {row: index for index, row in enumerate(dict.fromkeys(row_of(item) for item in ids))}
        batch = torch.full((len(rows), max(len(row) for row in rows)), self.pad_id)
        for tokens, index in rows.items():
            batch[index, : len(tokens)] = torch.tensor(tokens)
        # A continuation of n tokens is predicted at the last n positions of its row.
        spans = [(rows[row_of(e)], len(row_of(e)) - len(e.continuation), len(row_of(e))) for e in ids]
        positions = sorted({p for _, start, end in spans for p in range(start, end)})
        slot = {position: index for index, position in enumerate(positions)}
        logits = self._logits(batch.to(self.device), positions)
        dtype = torch.float32 if self.engine_ask.softmax_dtype == "float32" else logits.dtype
        scores = torch.log_softmax(logits, dim=-1, dtype=dtype)
        greedy = scores.argmax(dim=-1).cpu()
        self._forward_tokens += batch.numel()
        for request, item, (row, start, end) in zip(asked, ids, spans, strict=True):
            wanted = torch.tensor(item.continuation)
            slots = [slot[p] for p in range(start, end)]
            values = scores[row, slots, wanted.to(self.device)]
            total = float(values.sum())
            if total != total or total in (float("inf"), float("-inf")):
                raise MachineError(
                    f"the model's log-likelihood is {total}",
                    where=f"task {request.task}, doc {request.doc_id}",
                    do="use `dtype: float32`; if it stays, the weights are broken",
                )
            yield Loglikelihood(request.hash, total, bool((greedy[row, slots] == wanted).all()), len(wanted))

    def _logits(self, batch: torch.Tensor, positions: Sequence[int]) -> torch.Tensor:
        """Logits [rows, len(positions), vocabulary], from the head applied to these positions alone if it can be."""
        keep = torch.tensor(positions, device=batch.device)
        if not self._keeps:
            every: torch.Tensor = self._model(input_ids=batch, use_cache=False).logits
            return every[:, keep.to(every.device)]
        logits: torch.Tensor = self._model(input_ids=batch, use_cache=False, logits_to_keep=keep).logits
        if logits.shape[1] != len(positions):
            raise RuntimeError(f"asked for logits at {len(positions)} positions, its forward gave {logits.shape[1]}")
        return logits

    # ------------------------------------------------------------ generation

    def _generations(self, asked: Sequence[Request], ids: Sequence[Encoded]) -> list[Response]:
        """Left-padded rows through transformers' own `generate`, neutral but for what the request says."""
        settings = asked[0].generation
        if settings is None:
            raise BadInput("a generation request without settings", where=f"task {asked[0].task}", do="report this")
        width = max(len(item.context) for item in ids)
        batch = torch.full((len(ids), width), self.pad_id)
        mask = torch.zeros_like(batch)
        for index, item in enumerate(ids):
            batch[index, width - len(item.context) :] = torch.tensor(item.context)
            mask[index, width - len(item.context) :] = 1
        until = self._until(settings)
        think = self.thinking.end_token
        stops = StopAtStrings(self.tokenizer, until, width, len(ids), self._eos, think)
        processors = LogitsProcessorList()
        if settings.temperature > 0:
            processors.append(GumbelNoise(settings, [int(request.seed or 0) for request in asked]))
        out = self._model.generate(
            input_ids=batch.to(self.device),
            attention_mask=mask.to(self.device),
            generation_config=GenerationConfig(
                max_new_tokens=settings.max_gen_toks,
                do_sample=False,
                pad_token_id=self.pad_id,
                eos_token_id=self._eos,
                use_cache=True,
            ),
            stopping_criteria=StoppingCriteriaList([stops]),
            logits_processor=processors,
        )[:, width:].cpu()
        self._forward_tokens += batch.numel() + out.numel()
        return [
            self._generated(r, row, length, until)
            for r, row, length in zip(asked, out.tolist(), stops.lengths, strict=True)
        ]

    def _generated(self, request: Request, row: list[int], length: int | None, until: Sequence[str]) -> Generated:
        tokens = row if length is None else row[:length]
        self._generated_tokens += len(tokens)
        ended = bool(tokens) and tokens[-1] in self._eos
        raw = self.tokenizer.decode(tokens, skip_special_tokens=True)
        stop: Stop = "eos" if ended else "length" if length is None else "until"
        answer, answered = after_thinking(self._thought(tokens, raw), self.thinking)
        return Generated(request.hash, tuple(tokens), raw, cut(answer, until), stop, answered)

    def _thought(self, tokens: list[int], raw: str) -> str:
        """The text in which the end of thinking is looked for: with special tokens if the marker is one."""
        end = self.thinking.end_token
        if end is None or end in raw:
            return raw
        token = self.tokenizer.convert_tokens_to_ids(end)  # of a text that is no token: the unknown token, or None
        if token not in tokens or self.tokenizer.convert_ids_to_tokens(token) != end:
            return raw
        at = len(tokens) - tokens[::-1].index(token)
        head, tail = tokens[:at], tokens[at:]
        return f"{self.tokenizer.decode(head)}{self.tokenizer.decode(tail, skip_special_tokens=True)}"

    def _until(self, settings: Generation) -> list[str]:
        """The task's stop strings and, as lm-eval adds it, the text of EOS."""
        eos = self.tokenizer.decode([self.tokenizer.eos_token_id], skip_special_tokens=False)
        return [*settings.until] if not eos or eos in settings.until else [*settings.until, eos]

    @contextmanager
    def _memory(self, what: str, setting: str) -> Iterator[None]:
        """Running out of memory, and a kernel that fails, as errors that name the setting. Never a smaller batch."""
        try:
            yield
        except (torch.cuda.OutOfMemoryError, MemoryError) as error:
            raise MachineError(
                f"{what} does not fit into memory", where=f"engine hf on {self.device}", do=f"lower {setting}"
            ) from error
        except (RuntimeError, IndexError, TypeError) as error:
            if "out of memory" in str(error) or "can't allocate memory" in str(error):
                raise MachineError(
                    f"{what} does not fit into memory", where=f"engine hf on {self.device}", do=f"lower {setting}"
                ) from error
            raise MachineError(
                f"the engine failed: {_first_line(error)}",
                where=f"engine hf on {self.device}",
                do="run again with --debug",
            ) from error
        except Exception as error:
            if isinstance(error, BenchproofError) or not self._class.__module__.startswith("transformers_modules"):
                raise
            raise MachineError(
                f"the model's own code failed: {type(error).__name__}: {_first_line(error)}",
                where=f"engine hf on {self.device}",
                do="run again with --debug; the code is the model's, not benchproof's",
            ) from error


def checked_device(device: str) -> str:
    """A device that exists. Raises MachineError (5) for a GPU that is not there, BadInput (2) for no device."""
    kind, _, index = device.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdigit()):
        raise BadInput(f"unknown device {device!r}", where="--device", do="give cpu, cuda or cuda:N")
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not count:
            raise MachineError("no GPU: torch sees no CUDA device", where=f"--device {device}", do="give --device cpu")
        if int(index or 0) >= count:
            raise MachineError(
                f"no GPU {index}: torch sees {count}", where=f"--device {device}", do=f"give cuda:0 to cuda:{count - 1}"
            )
    return device


def best_device() -> str:
    """The first GPU if there is one, else the CPU; the run says which."""
    return "cuda:0" if torch.cuda.is_available() else "cpu"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _available_memory() -> int | None:
    """MemAvailable: what can be had without swapping; None where /proc does not say."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _eos_ids(model: Any, tokenizer: Any) -> list[int]:
    """The ids that end a text: the checkpoint's own list, else the tokenizer's."""
    ids = model.generation_config.eos_token_id
    ids = tokenizer.eos_token_id if ids is None else ids
    return [int(i) for i in (ids if isinstance(ids, list) else [ids]) if i is not None]
