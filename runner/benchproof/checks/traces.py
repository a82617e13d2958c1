"""Checks of a record against the files beside it: contents, journals, requests, answers."""

from collections.abc import Mapping
from typing import Any

from benchproof.checks.claims import hold
from benchproof.checks.evidence import PARTS, Evidence, Unread, part_of
from benchproof.checks.passes import AskedDoc
from benchproof.checks.tallies import no_fault
from benchproof.schema.canonical import chain, sha256, text_sha256
from benchproof.schema.response import Generated, Loglikelihood, Response
from benchproof.store.files import file_sha256
from benchproof.store.folder import PLAN, SPEC
from benchproof.store.journal import JournalFile, attempt_name, attempt_number, digest_of_answers

SUFFIXES = (".journal", ".jsonl.zst")


def paths(e: Evidence) -> str:
    """Every file that a run leaves is named, once, by a path inside the folder; no link, no stranger beside it."""
    names = [file.path for file in e.record.files]
    hold(len(set(names)) == len(names), "a file is named twice")
    for name in names:
        hold(not (reason := e.unsafe(name)), reason)
    wanted = [PLAN, SPEC, *(e.task_file("requests", pin.task) for pin in e.plan.ask.tasks)]
    wanted += [e.task_file("samples", task) for task in e.scored]
    wanted += [attempt.journal for attempt in e.record.observed.attempts]
    missing = [name for name in wanted if name not in e.listed]
    hold(not missing, f"the record names no file {', '.join(missing[:3])}")
    for part in PARTS:
        there = sorted((e.folder / part).glob("*")) if e.at_hand(part) else []
        strange = [
            path.name for path in there if path.name.endswith(SUFFIXES) and f"{part}/{path.name}" not in e.listed
        ]
        hold(not strange, f"{part}/ holds {', '.join(strange[:3])}, which the record does not name")
    return f"{len(names)} files"


def present(e: Evidence) -> str:
    """No file is missing from a part of the run folder that is there."""
    here = [name for name in e.listed if e.at_hand(part_of(name))]
    missing = [name for name in here if not e.unsafe(name) and not (e.folder / name).exists()]
    hold(not missing, f"missing: {', '.join(missing[:5])}{' …' * (len(missing) > 5)}")
    away = ", ".join(sorted({part_of(name) for name in e.listed} - {part_of(name) for name in here}))
    if not here:
        raise Unread("no file of the run is at hand")
    return f"{len(here)} of {len(e.listed)} files{f'; not at hand: {away}' if away else ''}"


def files(e: Evidence) -> str:
    """Size and sha256 of every file at hand are the record's."""
    count = 0
    for name, said in e.listed.items():
        try:
            path = e.open(name)
        except Unread as stopped:
            if stopped.owner == "files":
                raise
            continue  # absent or unsafe: that is for `present` and `paths`
        found = path.stat().st_size, file_sha256(path)
        hold(found == (said.size, said.sha256), f"{name} is not the file that the record names")
        count += 1
    if not count:
        raise Unread("no file of the run is at hand")
    return f"{count} of {len(e.listed)}"


def plan_file(e: Evidence) -> str:
    """plan.json is the plan of the record."""
    hold(sha256(e.open(PLAN).read_bytes()) == e.record.plan_id, "plan.json is another plan")
    return ""


def spec_file(e: Evidence) -> str:
    """spec.yaml is the spec that was asked, byte for byte."""
    hold(sha256(e.open(SPEC).read_bytes()) == e.record.asked.sha256, "spec.yaml is another spec")
    return ""


def docs(e: Evidence) -> str:
    """As many docs as the plan's, in order, each with its requests; all of the split are the plan's data."""
    no_fault(e.asked, "docs")
    for pin in e.plan.ask.tasks:
        found, name = e.asked[pin.task].docs, e.task_file("requests", pin.task)
        hold(e.listed[name].rows == len(found), f"{name} has {len(found)} rows, the record says {e.listed[name].rows}")
        if pin.n_docs < pin.dataset.n_docs:
            continue  # the plan's digests are over the whole split
        data = _chain(pin.task, [doc.sha256 for doc in found])
        hold(data == pin.dataset.docs_sha256, f"{pin.task}: the docs are not the data set that the plan pins")
        categories = e.plan.task_mark(pin.task).categories_sha256
        if categories is not None:
            there = chain([text_sha256(doc.category or "") for doc in found])
            hold(there == categories, f"{pin.task}: the categories are not those that the plan pins")
    whole = sum(pin.n_docs == pin.dataset.n_docs for pin in e.plan.ask.tasks)
    return (
        f"{sum(len(asked.docs) for asked in e.asked.values())}; {whole} of {len(e.asked)} tasks have their whole split"
    )


def _chain(task: str, digests: list[str]) -> str:
    try:
        return chain(digests)
    except ValueError:
        hold(False, f"{task}: a doc's hash is no digest")
        raise


def doc_hashes(e: Evidence) -> str:
    """Each doc is what its hash says; of HumanEval's, requests/ holds a part, and the hash is over the whole."""
    no_fault(e.asked, "doc-hashes")
    skipped = [pin.task for pin, own in zip(e.plan.ask.tasks, e.own_hashes, strict=True) if not own]
    if len(skipped) == len(e.asked):
        raise Unread(f"{', '.join(skipped)}: the hashes are over rows of which requests/ holds a part")
    return f"all but those of {', '.join(skipped)}, of which requests/ holds a part" if skipped else ""


def request_hashes(e: Evidence) -> str:
    """The prompts, continuations and settings in requests/ are those that the answers' keys were made from."""
    return no_fault(e.asked, "request-hashes")


def settings(e: Evidence) -> str:
    """Each request is asked as the plan says: kind, repeats, generation settings."""
    return no_fault(e.asked, "settings")


def requests_digest(e: Evidence) -> str:
    """The digest over all request hashes in (task, doc, choice, repeat) order."""
    found = chain([key for key, _ in _ordered(e)])
    said = e.record.observed.requests_digest
    hold(found == said, f"it is {found[:12]}, the record says {said[:12]}")
    return found[:12]


def tokens(e: Evidence) -> str:
    """Counts of requests, docs, prompt tokens; of truncated and merged prompts, and of those without a BOS."""
    said = {item.task: item for item in e.record.observed.tokens}
    names = [pin.task for pin in e.plan.ask.tasks]
    hold(list(said) == names and len(e.record.observed.tokens) == len(names), "counts are not one for each task")
    for task, item in said.items():
        for name, count in e.asked[task].counts.items():
            told = name != "no_bos" or e.record.schema_minor > 0  # rows of minor 0 do not have it
            same = getattr(item, name) == count or not told
            hold(same, f"{task}: {name} is {count}, the record says {getattr(item, name)}")
        hold(0 <= item.no_bos <= item.requests, f"{task}: no_bos is {item.no_bos}")
    return f"{sum(item.requests for item in said.values())} requests"


def journal_chain(e: Evidence) -> str:
    """Every frame of every journal holds the hash of all before it."""
    return f"{sum(file.frames for file in e.journals.values())} frames"


def journal_heads(e: Evidence) -> str:
    """What the record says of each attempt is what its journal says: head, counts, times, environment, engine."""
    said = {attempt["journal"]: attempt for attempt in e.raw["observed"]["attempts"]}
    held = {name: file for name, file in e.journals.items() if file.header}
    hold(said.keys() == held.keys(), "the attempts are not those that have a journal")
    for name, file in held.items():
        for key, found in _attempt(name, file).items():
            hold(said[name].get(key) == found, f"{name}: {key} differs from what the record says")
    heads = {parent.get("journal_heads") for parent in _rescored(e)} - {",".join(file.head for file in held.values())}
    hold(not heads, "the journal is not the one that the record says it was rescored from")
    return f"{len(held)} attempts"


def _attempt(name: str, file: JournalFile) -> dict[str, Any]:
    cut_off = {"unknown": "not_exposed", "detail": "the attempt was cut off before it could say"}
    end = file.end or {"ended": cut_off, "engine": file.header.get("loaded"), "during": cut_off}
    return {
        "number": attempt_number(file.path),
        "journal": name,
        "head": file.head,
        "frames": file.frames,
        "responses": file.responses,
        "torn_bytes": file.torn,
        "started": file.header.get("started"),
        "ended": end.get("ended"),
        "environment": file.header.get("environment"),
        "during": end.get("during"),
        "engine": end.get("engine"),
        "adopted_from": file.header.get("adopted_from"),
    }


def journal_plan(e: Evidence) -> str:
    """Each journal answers this very ask: ask id, plan id, requests digest, shard and attempt."""
    plans = {e.record.plan_id, *(parent.get("plan_id") for parent in _rescored(e))}
    for name, file in e.journals.items():
        if not file.header:
            continue  # cut off before its header: it holds nothing
        shard, of, attempt = file.header["shard"], file.header["of"], file.header["attempt"]
        hold(file.header.get("ask_id") == e.record.ask_id, f"{name} answers another ask")
        hold(file.header.get("plan_id") in plans, f"{name} answers another plan")
        same = file.header.get("requests_digest") == e.record.observed.requests_digest
        hold(same, f"{name} answers other requests")
        hold(file.path.name == attempt_name(shard, of, attempt), f"{name} says that it is attempt {attempt}")
    return ""


def answers(e: Evidence) -> str:
    """Each request has one answer of its kind, as possible as answers are; no answer is to anything else."""
    found, asked = e.answers, dict(_ordered(e))
    missing = [key for key in asked if key not in found]
    hold(not missing, f"{len(missing)} of {len(asked)} requests have no answer")
    hold(len(found) == len(asked), f"{len(found) - len(asked)} answers are to requests that were not asked")
    for key, length in asked.items():
        fault = _impossible(found[key], length)
        hold(not fault, f"the answer to request {key[:12]} {fault}")
    return f"{len(found)}"


def _impossible(answer: Response, length: int | None) -> str:
    if isinstance(answer, Loglikelihood):
        if length is None:
            return "is a log-likelihood, and a text was asked for"
        if answer.n_tokens != length:
            return f"is over {answer.n_tokens} tokens, its continuation has {length}"
        return "is a log-likelihood above 0" if answer.loglikelihood > 0.01 * max(length, 1) else ""
    return "is a text, and a log-likelihood was asked for" if length is not None else ""


def answers_digest(e: Evidence) -> str:
    """The digest over all answers in (task, doc, choice, repeat) order: what the author commits to."""
    order = [key for key, _ in _ordered(e)]
    if any(key not in e.answers for key in order):
        raise Unread("answers are missing", "answers")
    found, said = digest_of_answers(e.answers[key] for key in order), e.record.observed.answers_digest
    hold(found == said, f"it is {found[:12]}, the record says {said[:12]}")
    return found[:12]


def endings(e: Evidence) -> str:
    """How many texts were cut short or never came to an answer, and how many docs have equal best choices."""
    ties = {(w.where, w.count, w.total) for w in e.record.warnings if w.code == "ties"}
    expected = set()
    for item in e.record.observed.tokens:
        docs = e.asked[item.task].docs
        given = [[e.answers[request.hash] for request in doc.requests if request.hash in e.answers] for doc in docs]
        texts = [answer for group in given for answer in group if isinstance(answer, Generated)]
        counts = sum(text.stop == "length" for text in texts), sum(not text.answered for text in texts)
        hold(counts == (item.cut_short, item.unanswered), f"{item.task}: cut short, unanswered: {counts}")
        tied = sum(map(_tied, given))
        if tied and item.task in e.scored:
            expected.add((item.task, tied, len(docs)))
    odd = next(iter(ties ^ expected), None)
    hold(odd is None, f"{odd[0]}: ties of best choices are not as the warnings say" if odd else "")
    return ""


def _tied(answers: list[Response]) -> bool:
    totals = [answer.loglikelihood for answer in answers if isinstance(answer, Loglikelihood)]
    return len(totals) > 1 and totals.count(max(totals)) > 1


def _ordered(e: Evidence) -> list[tuple[str, int | None]]:
    """(request hash, tokens of its continuation) in (task, doc id, choice, repeat) order."""
    found = []
    everything: Mapping[str, list[AskedDoc]] = {task: asked.docs for task, asked in e.asked.items()}
    for task in sorted(everything):
        for doc in sorted(everything[task], key=lambda doc: doc.doc_id):
            ordered = sorted(doc.requests, key=lambda request: (request.choice, request.repeat))
            found += [(request.hash, request.tokens) for request in ordered]
    return found


def _rescored(e: Evidence) -> list[dict[str, str]]:
    """What the record was rescored from: its journals answer that plan."""
    return [parent for parent in e.record.parents if parent.get("relation") == "rescore"]
