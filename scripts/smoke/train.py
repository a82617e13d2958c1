"""Trains the smoke model's tokenizer and the smoke model, and writes the model folder.

Run `python scripts/smoke/train.py` (CPU, two threads, fixed seed; about 10 minutes on two idle cores, twice
that and more on busy ones, where OMP_WAIT_POLICY=passive helps). It reads the fixed question header of the
stock TruthfulQA tasks from the installed lm-eval, so that the model has seen it in its place; that header is
masked out of the loss and is not in the tokenizer's training text.

The weights in the package were made in two runs, so a fresh run gives a model that is alike, not the same:
`--steps 1200`, with an older mixture (odd-one-out answers at weight 1 and share 12), and then
`--start <that folder> --seed 11 --steps 500 --rate 2e-3` with the mixture as it is now.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jinja2
import lm_eval
import torch
from corpus import ROOT, Corpus, Piece
from lm_eval.tasks._yaml_loader import load_yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

MODEL = ROOT / "runner" / "benchproof" / "smoke" / "model"
END, PAD = "<|end|>", "<|pad|>"
CONTEXT = 1024
ROW = 704  # tokens of a training row


def truthfulqa_header() -> str:
    """The six fixed questions and answers that every stock TruthfulQA prompt starts with."""
    path = Path(lm_eval.__file__).parent / "tasks" / "truthfulqa" / "truthfulqa_gen.yaml"
    template = load_yaml(path, resolve_func=False)["doc_to_text"]
    return str(jinja2.Template(template).render(question="")).removesuffix("\n\nQ: ")


def train_tokenizer(seed: int, vocabulary: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE over a sample of the corpus; newlines and digits are tokens of their own."""
    sample = Corpus(seed, truthfulqa_header="").documents()
    texts = ("".join(text for text, _ in next(sample)) for _ in range(8000))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split("\n", "isolated"),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END, PAD],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        model_max_length=CONTEXT,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def encode(tokenizer: PreTrainedTokenizerFast, document: list[Piece]) -> tuple[list[int], list[float]]:
    """Token ids and loss weights of a document, with the end token."""
    ids: list[int] = []
    weights: list[float] = []
    for text, weight in document:
        piece = tokenizer.encode(text, add_special_tokens=False)
        ids += piece
        weights += [weight] * len(piece)
    return [*ids, tokenizer.eos_token_id], [*weights, 1.0]


class Row(NamedTuple):
    """Documents packed into ROW tokens, the rest filled with pad tokens."""

    ids: list[int]
    weights: list[float]
    positions: list[int]  # within the document
    owners: list[int]  # the document's number in the row; the padding counts as one more document


def rows(tokenizer: PreTrainedTokenizerFast, corpus: Corpus) -> Iterator[Row]:
    """Training rows: whole documents one after another."""
    row = Row([], [], [], [])
    for document in corpus.documents():
        ids, weights = encode(tokenizer, document)
        ids, weights = ids[:ROW], weights[:ROW]
        if len(row.ids) + len(ids) > ROW:
            fill = ROW - len(row.ids)
            append(row, [tokenizer.pad_token_id] * fill, [0.0] * fill)
            yield row
            row = Row([], [], [], [])
        append(row, ids, weights)


def append(row: Row, ids: list[int], weights: list[float]) -> None:
    """Put one document at the end of the row; its first token is not predicted from the document before."""
    row.owners.extend([row.owners[-1] + 1 if row.owners else 0] * len(ids))
    row.positions.extend(range(len(ids)))
    row.ids.extend(ids)
    row.weights.extend([0.0, *weights[1:]][: len(ids)])


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama of about a million parameters."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.04,
    )
    return LlamaForCausalLM(config)


def train(model: LlamaForCausalLM, stream: Iterator[Row], args: argparse.Namespace) -> None:
    """AdamW with a warm-up and a cosine to zero; the loss is a weighted mean over tokens."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.rate, betas=(0.9, 0.98), weight_decay=0.05)
    causal = torch.ones(ROW - 1, ROW - 1, dtype=torch.bool).tril()
    started = time.monotonic()
    for step in range(args.steps):
        scale = min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * step / args.steps))
        for group in optimizer.param_groups:
            group["lr"] = args.rate * max(scale, 0.01)
        batch = [next(stream) for _ in range(args.batch)]
        ids = torch.tensor([row.ids for row in batch])
        weights = torch.tensor([row.weights for row in batch])[:, 1:]
        positions = torch.tensor([row.positions for row in batch])[:, :-1]
        owners = torch.tensor([row.owners for row in batch])[:, :-1]
        mask = (causal & (owners[:, :, None] == owners[:, None, :]))[:, None]
        logits = model(input_ids=ids[:, :-1], position_ids=positions, attention_mask=mask).logits
        targets = ids[:, 1:].flatten()
        losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets, reduction="none")
        loss = (losses * weights.flatten()).sum() / weights.sum()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % 50 == 0 or step == args.steps - 1:
            print(f"step {step:5d}  loss {loss.item():.4f}  {time.monotonic() - started:6.0f} s", flush=True)


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the folder that `from_pretrained` reads, with float16 weights."""
    folder.mkdir(parents=True, exist_ok=True)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    for key in ("backend", "is_local", "local_files_only"):
        settings.pop(key, None)
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"  # the name that every release of transformers knows
    path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    (folder / "model.safetensors").chmod(0o644)
    parameters = sum(p.numel() for p in model.parameters())
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    print(json.dumps({"parameters": parameters, "vocabulary": len(tokenizer), "bytes": sizes}, indent=1))


def main() -> None:
    """Train and save."""
    parser = argparse.ArgumentParser(description="Train the smoke model and write its folder.")
    parser.add_argument("--out", type=Path, default=MODEL)
    parser.add_argument("--start", type=Path, help="go on from this model folder, with its tokenizer")
    parser.add_argument("--steps", type=int, default=2200)
    parser.add_argument("--batch", type=int, default=4, help="rows a step")
    parser.add_argument("--rate", type=float, default=3e-3, help="highest learning rate")
    parser.add_argument("--vocabulary", type=int, default=1280)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    if args.start is None:
        tokenizer = train_tokenizer(args.seed + 1, args.vocabulary)
        model = new_model(tokenizer)
    else:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(args.start)
        model = LlamaForCausalLM.from_pretrained(args.start, dtype=torch.float32)
    model.train()
    train(model, rows(tokenizer, Corpus(args.seed, truthfulqa_header())), args)
    save(model, tokenizer, args.out)


if __name__ == "__main__":
    main()
