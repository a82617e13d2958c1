"""`benchproof init`: writes a commented spec, from a model's name or from lm-eval's words."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from benchproof.cli.lmeval_words import Words

# lm-eval takes several values after these, as `--tasks mmlu gsm8k`; and a value or none after those.
SEVERAL = ("--tasks", "-t", "--model_args", "--model-args", "-a", "--gen_kwargs", "--gen-kwargs")
PERHAPS = ("--apply_chat_template", "--apply-chat-template", "--fewshot_as_multiturn", "--fewshot-as-multiturn")
ELSEWHERE = "lm-eval: taken, not in a spec; init says what to do instead."


class LmEvalWords(TyperCommand):
    """Takes lm-eval's several values, and values that may be left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Joins what lm-eval would read as one."""
        return super().parse_args(ctx, joined(args))


def joined(args: list[str]) -> list[str]:
    """`--tasks a b` -> `--tasks a,b`; `--apply_chat_template` -> `--apply_chat_template=true`."""
    found: list[str] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if word in SEVERAL:
            values: list[str] = []
            while rest and not rest[0].startswith("-") and (word in SEVERAL[:2] or "=" in rest[0] or not values):
                values.append(rest.pop(0).rstrip(","))
            found += [word, ",".join(values)] if values else [word]
        elif word in PERHAPS:
            # Only among lm-eval's own words: `init --apply_chat_template ./model` names a model.
            takes = any(key in args for key in SEVERAL[2:5]) and rest and not rest[0].startswith("-")
            found.append(f"{word}={rest.pop(0) if takes else 'true'}")
        else:
            found.append(word)
    return found


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        cls=LmEvalWords,
        epilog="\b\nExample:\n  benchproof init mistralai/Mistral-7B-v0.1 --suite core -o mistral.yaml\n"
        "  benchproof init --model hf --model_args pretrained=gpt2,dtype=float32 --tasks mmlu,gsm8k --num_fewshot 5\n",
    )(init)


def init(
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="owner/name on the Hub, a local folder, or `smoke`.", show_default=False),
    ] = None,
    suite: Annotated[str | None, typer.Option("--suite", help="Name or path of a suite. [default: core]")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write there instead of to stdout; never overwrites."),
    ] = None,
    model_type: Annotated[str | None, typer.Option("--model", "-M", help="lm-eval: hf.")] = None,
    model_args: Annotated[
        str | None,
        typer.Option("--model_args", "--model-args", "-a", help="lm-eval: pretrained=X,dtype=bfloat16,revision=…"),
    ] = None,
    tasks: Annotated[str | None, typer.Option("--tasks", "-t", help="lm-eval: mmlu,gsm8k")] = None,
    num_fewshot: Annotated[
        int | None, typer.Option("--num_fewshot", "--num-fewshot", "-f", min=0, help="lm-eval: on every task.")
    ] = None,
    limit: Annotated[str | None, typer.Option("--limit", "-L", help="lm-eval: the first N docs of each task.")] = None,
    batch_size: Annotated[str | None, typer.Option("--batch_size", "--batch-size", "-b", help=ELSEWHERE)] = None,
    device: Annotated[str | None, typer.Option("--device", help=ELSEWHERE)] = None,
    output_path: Annotated[str | None, typer.Option("--output_path", "--output-path", help=ELSEWHERE)] = None,
    log_samples: Annotated[bool, typer.Option("--log_samples", "--log-samples", "-s", help=ELSEWHERE)] = False,
    seed: Annotated[str | None, typer.Option("--seed", help="lm-eval: one, or python,numpy,torch,fewshot.")] = None,
    gen_kwargs: Annotated[
        str | None, typer.Option("--gen_kwargs", "--gen-kwargs", help="lm-eval: k=v,k=v, on tasks that generate.")
    ] = None,
    apply_chat_template: Annotated[
        str | None,
        typer.Option(
            "--apply_chat_template", "--apply-chat-template", metavar="[NAME]", help="lm-eval: chat_template: model."
        ),
    ] = None,
    fewshot_as_multiturn: Annotated[
        str | None,
        typer.Option(
            "--fewshot_as_multiturn", "--fewshot-as-multiturn", metavar="[BOOL]", help="lm-eval: fewshot_as_turns."
        ),
    ] = None,
    system_instruction: Annotated[
        str | None, typer.Option("--system_instruction", "--system-instruction", help="lm-eval: system_prompt.")
    ] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust_remote_code", "--trust-remote-code", help=ELSEWHERE)
    ] = False,
    use_cache: Annotated[str | None, typer.Option("--use_cache", "--use-cache", "-c", help=ELSEWHERE)] = None,
    confirm_run_unsafe_code: Annotated[
        bool, typer.Option("--confirm_run_unsafe_code", "--confirm-run-unsafe-code", help=ELSEWHERE)
    ] = False,
    include_path: Annotated[str | None, typer.Option("--include_path", "--include-path", help=ELSEWHERE)] = None,
) -> None:
    """Write a commented spec file.

    Every setting stands there with its default and why it exists.

    Takes lm-eval's words too, and says on stderr which of them it could not carry over.
    """
    from benchproof.cli.lmeval_words import Words

    words = Words(
        model=model_type,
        model_args=model_args,
        tasks=tasks,
        num_fewshot=num_fewshot,
        limit=limit,
        batch_size=batch_size,
        device=device,
        output_path=output_path,
        log_samples=log_samples,
        seed=seed,
        gen_kwargs=gen_kwargs,
        apply_chat_template=apply_chat_template,
        fewshot_as_multiturn=fewshot_as_multiturn,
        system_instruction=system_instruction,
        trust_remote_code=trust_remote_code,
        use_cache=use_cache,
        confirm_run_unsafe_code=confirm_run_unsafe_code,
        include_path=include_path,
    )
    _write(words, model, suite, out)


def _write(words: "Words", model: str | None, suite: str | None, out: Path | None) -> None:
    from benchproof.cli.compose import compose
    from benchproof.cli.lmeval_words import translate
    from benchproof.schema.spec import RunSpec
    from benchproof.spec import parse, resolve_suite
    from benchproof.store.files import write_once

    translated = translate(words, model, suite)
    text = compose(translated.choices)
    resolve_suite(parse(RunSpec, text.encode(), where="the spec that these words make").suite)
    for word, why in translated.notes:
        typer.echo(f"{word}: {why}", err=True)
    if out is None:
        sys.stdout.write(text)
        return
    _refuse_existing(out)
    write_once(out, text.encode())
    typer.echo(f"wrote {out}; next: benchproof plan {out}", err=True)


def _refuse_existing(out: Path) -> None:
    from benchproof.errors import BadInput, MissingInput

    if out.exists():
        raise BadInput("the file exists and is not overwritten", where=str(out), do="give another name with -o")
    if not out.parent.is_dir():
        raise MissingInput("no such folder", where=str(out.parent), do="make it first")
