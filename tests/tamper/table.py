"""The tamper table: how a record could be forged, and the one check that refuses it. No row, no field.

Each forgery redoes every hash that a clever author would redo, so that the named check stands alone between it and a
believer; `besides` names checks that see it too. Numbers are those of the threat model's table.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchproof.schema.canonical import digest
from tamper import forge
from tamper.forge import in_bytes, in_journal, in_plan, in_record, in_rows

GSM, MMLU = "mini_gsm8k", "mini_mmlu_kitchen_science"


@dataclass(frozen=True, slots=True)
class Row:
    """One forgery. base: the run that it starts from (see test_tamper)."""

    name: str
    check: str
    forge: Callable[[Path], Any]
    base: Literal["golden", "newest", "honest", "unprotected"] = "golden"
    besides: frozenset[str] = field(default_factory=frozenset)
    code: int = 1

    def __str__(self) -> str:
        return f"{self.check}: {self.name}"


def besides(*names: str) -> frozenset[str]:
    return frozenset(names)


def _score(record: forge.Json, **changes: Any) -> None:
    """Of the second result: GSM8K's headline, which is in no group."""
    record["results"][1] |= changes


def _best_stays(responses: list[Any]) -> None:
    """A log-likelihood that was not the best is a little lower."""
    responses[0][0] = repr(float(responses[0][0]) - 0.125)


def _lower_first(frames: forge.Rows) -> None:
    answer = next(r for frame in frames for r in frame.get("responses", []) if r["r"].startswith("55451c47"))
    answer["ll"] = repr(float(answer["ll"]) - 0.125)


def _seal_attempt(frames: forge.Rows) -> None:
    frames.insert(2, {"op": 99, "responses": frames[1]["responses"]})


def _stranger(frames: forge.Rows) -> None:
    answer = frames[1]["responses"][0] | {"r": "0" * 64}
    frames.insert(2, {"op": 99, "responses": [answer]})


def _new_doc(rows: forge.Rows) -> None:
    rows[0]["doc"]["n"] = 99
    rows[0]["doc_sha256"] = forge.sha(rows[0]["doc"])


def _new_doc_in_samples(folder: Path, value: forge.Json) -> None:
    doc = {"n": 99, "q": "kinds 0?"}
    in_rows("samples", "kinds", lambda rows: rows[0].update(doc_sha256=forge.sha(doc)))(folder)
    forge.redo_files(folder, value)


def _broken(value: forge.Json) -> None:
    value["left_out"].append({"task": "ghost", "code": "task_broken", "detail": "gone"})
    warned = {"code": "left_out", "severity": "serious", "where": "ghost", "message": "gone", "count": None}
    value["warnings"].append(warned | {"total": None})
    value["status"] = "limited"


def _sandboxed(value: forge.Json) -> None:
    value["observed"]["sandbox"]["tier"] = "landlock"
    forge.without_warning(value, "no_sandbox")


def _unhold(value: forge.Json) -> None:
    value["observed"]["sandbox"]["probes"][1]["seen"] = "done"


def _itself(folder: Path) -> None:
    value = forge.read_record(folder)
    value["supersedes"] = ["ab" * 32]
    forge.write_record(folder, value, record_id="ab" * 32)


def _requests_digest(value: forge.Json) -> None:
    value["observed"]["requests_digest"] = "ab" * 32


def _uncut(value: forge.Json) -> None:
    next(item for item in value["observed"]["tokens"] if item["task"] == "write")["cut_short"] = 0
    forge.without_warning(value, "cut_short")


def _headline(value: forge.Json) -> None:
    value["results"][1]["headline"], value["results"][2]["headline"] = False, True


def _untold(value: forge.Json) -> None:
    unknown = {"unknown": "not_exposed", "detail": "?"}
    _score(value, stderr=unknown)
    value["unknowns"].append({"path": "results[1].stderr", "code": "not_exposed", "detail": "?"})


def _hotter(value: forge.Json) -> None:
    value["effective"]["ask"]["tasks"][1]["generation"].update(temperature="0.7")
    forge.redo_ids(value)


def _other_model(value: forge.Json) -> None:
    value["effective"]["ask"]["model"]["content"].update(config_sha256="ab" * 32)
    forge.redo_ids(value)


def _other_packages(value: forge.Json) -> None:
    value["effective"]["mark"]["packages"].update(numpy="9")
    value["plan_id"] = digest(value["effective"])


def _other_parent(value: forge.Json) -> None:
    value["parents"] = [{"relation": "rescore", "plan_id": value["plan_id"], "journal_heads": "ab" * 32}]


def _no_bos(value: forge.Json) -> None:
    value["observed"]["tokens"][0]["no_bos"] = 1
    warned = {"code": "no_bos", "severity": "warn", "where": MMLU, "message": "no BOS", "count": 1, "total": 12}
    value["warnings"].append(warned)


def _late_start(value: forge.Json) -> None:
    value["created"] = "2099-01-02T00:00:00Z"
    value["observed"]["started"] = "2099-01-01T00:00:00Z"


TABLE = (
    Row("33: finished before it started, recorded after both", "times", in_record(_late_start)),
    Row(
        "more merged prompts than are warned of",
        "warnings",
        in_record(lambda v: v["observed"]["tokens"][0].update(merged=1)),
        besides=besides("tokens"),
    ),
    Row(
        "docs are asked in another order",
        "docs",
        in_rows("requests", GSM, lambda rows: rows.reverse()),
        besides=besides("row-requests"),
    ),
    Row(
        "a file of the same size",
        "files",
        in_bytes(lambda b: b.replace(b"#", b";", 1), "spec.yaml", redo=False),
        besides=besides("spec-file"),
    ),
    Row("rescored from another journal", "journal-heads", in_record(_other_parent), "newest"),
    Row("a missing BOS that no request has", "tokens", in_record(_no_bos), "newest"),
    Row(
        "9: an aggregate is 0.001 better",
        "aggregates",
        in_record(lambda v: _score(v, value="0.6676666666666666")),
        besides=besides("results"),
    ),
    Row("9: one more right answer is claimed", "aggregates", in_record(lambda v: _score(v, value="1.0"))),
    Row("9: a group's score", "groups", in_record(lambda v: v["results"][3].update(value="0.6666666666666666"))),
    Row(
        "9: a group's score, pooled",
        "groups",
        in_record(lambda v: v["results"][-2].update(value="0.4444444444444444")),
        "honest",
    ),
    Row("9: a category's score", "aggregates", in_record(lambda v: v["results"][3].update(value="1.0")), "honest"),
    Row("10: a standard error is smaller", "aggregates", in_record(lambda v: _score(v, stderr="0.01"))),
    Row(
        "10: a standard error is not told",
        "aggregates",
        in_record(_untold),
    ),
    Row("12: a row is removed", "rows", in_rows("samples", GSM, lambda rows: rows.pop(), forge.redo_scores)),
    Row("13: a row stands twice", "rows", in_rows("samples", GSM, lambda rows: rows.append(rows[-1]))),
    Row(
        "14: two rows are swapped",
        "rows",
        in_rows("samples", GSM, lambda rows: rows.reverse()),
        besides=besides("row-requests"),
    ),
    Row(
        "15: a byte of the journal",
        "journal-chain",
        in_bytes(lambda b: b[:2000] + bytes([b[2000] ^ 1]) + b[2001:], "journal/shard-000-of-001.attempt-0.journal"),
    ),
    Row(
        "16: the journal ends at an earlier border",
        "journal-heads",
        in_journal(lambda frames: frames.pop(), heads=False),
    ),
    Row(
        "16: and its head is redone",
        "answers",
        in_journal(lambda frames: frames.pop(2)),
        besides=besides("row-answers"),
    ),
    Row("17: a frame is inserted", "journal-heads", in_journal(_seal_attempt, heads=False)),
    Row(
        "18: an answer is changed, the chain redone",
        "journal-heads",
        in_journal(_lower_first, heads=False),
        besides=besides("answers-digest", "row-answers"),
    ),
    Row("18: and its head", "answers-digest", in_journal(_lower_first), besides=besides("row-answers")),
    Row(
        "19: a plan field: temperature",
        "plan-id",
        in_record(_hotter),
        besides=besides("settings"),
    ),
    Row(
        "19: a plan field: dtype",
        "plan-id",
        in_record(lambda v: v["effective"]["ask"]["engine"].update(dtype="bfloat16")),
    ),
    Row(
        "19: and every id of it",
        "plan-file",
        in_record(_other_packages),
        besides=besides("journal-plan"),
    ),
    Row(
        "21: the model's hash",
        "plan-id",
        in_record(_other_model),
    ),
    Row(
        "21: the model's hash, and the plan's ids",
        "ids",
        in_plan(
            lambda p: p["ask"]["model"]["content"].update(config_sha256="ab" * 32),
            lambda v: v["ids"][0].update(measurement_id="ab" * 32),
        ),
    ),
    Row(
        "22: the data set's revision",
        "plan-id",
        in_record(lambda v: v["effective"]["ask"]["tasks"][0]["dataset"].update(commit="ab" * 20)),
    ),
    Row("23: no sandbox is called one", "sandbox", in_record(_sandboxed), "unprotected"),
    Row(
        "23: no sandbox, and no warning of it",
        "warnings",
        in_record(lambda v: forge.without_warning(v, "no_sandbox")),
        "unprotected",
    ),
    Row(
        "23: the probes are gone", "sandbox", in_record(lambda v: v["observed"]["sandbox"].update(probes=[])), "honest"
    ),
    Row("23: a probe did not hold", "sandbox", in_record(_unhold), "honest"),
    Row(
        "24: the controls are gone", "controls", in_record(lambda v: v["observed"]["sandbox"].pop("controls")), "honest"
    ),
    Row(
        "24: a control came out otherwise",
        "controls",
        in_record(lambda v: v["observed"]["sandbox"]["controls"][1].update(seen="pass")),
        "honest",
    ),
    Row(
        "25: a key stands twice",
        "strict-json",
        in_bytes(lambda b: b.replace(b'"status":"smoke"', b'"status":"smoke","status":"complete"')),
    ),
    Row("26: a score is NaN", "strict-json", in_bytes(lambda b: b.replace(b'"value":"1.0"', b'"value":NaN', 1))),
    Row(
        "26: a score is the word nan",
        "results",
        in_record(lambda v: _score(v, value="nan")),
        besides=besides("aggregates"),
    ),
    Row("27: a BOM", "strict-json", in_bytes(lambda b: b"\xef\xbb\xbf" + b)),
    Row("27: UTF-16", "strict-json", in_bytes(lambda b: b.decode().encode("utf-16"))),
    Row("28: an unknown field", "schema", in_record(lambda v: v.update(approved=True))),
    Row("30: it supersedes itself", "supersedes", _itself, besides=besides("record-id")),
    Row("30: it supersedes what is no record", "supersedes", in_record(lambda v: v.update(supersedes=["the old one"]))),
    Row("31: a file is a link", "paths", forge.replace_link),
    Row("31: a path leads outside", "paths", forge.outside),
    Row("31: a file is not named", "paths", in_record(lambda v: v["files"].pop(0))),
    Row("32: the digest of the answers is gone", "schema", in_record(lambda v: v["observed"].pop("answers_digest"))),
    Row(
        "33: finished before it started",
        "times",
        in_record(lambda v: v["observed"].update(started="2099-01-01T00:00:00Z")),
    ),
    Row("33: no moment", "times", in_record(lambda v: v["observed"].update(started="yesterday"))),
    Row("34: a file is missing", "present", lambda folder: (folder / "requests" / f"{GSM}.jsonl.zst").unlink(), code=3),
    Row("another way to write the same", "canonical", in_bytes(lambda b: b.replace(b'":"', b'": "', 1))),
    Row(
        "a name, and not the id",
        "record-id",
        in_bytes(
            lambda b: b.replace(b'"model_name":"benchproof smoke model"', b'"model_name":"benchproof large model"')
        ),
    ),
    Row(
        "a task counts in a group that it is not in",
        "plan",
        in_plan(lambda p: p["mark"]["groups"][0]["tasks"].append("ghost")),
    ),
    Row("the margin is wider after the run", "asked", in_record(lambda v: v.update(margin_points="5.0"))),
    Row("a smoke run is called complete", "status", in_record(lambda v: v.update(status="complete"))),
    Row("a task is left out that was never in", "left-out", in_record(_broken), "honest"),
    Row("two attempts are claimed", "attempts", in_record(lambda v: v["observed"].update(resumed=True))),
    Row("an unknown is not listed", "unknowns", in_record(lambda v: v["unknowns"].pop())),
    Row("a warning is gone", "warnings", in_record(lambda v: forge.without_warning(v, "limited"))),
    Row("a warning is milder", "warnings", in_record(lambda v: v["warnings"][1].update(severity="info")), "honest"),
    Row("the better score is the headline", "results", in_record(_headline)),
    Row("a score is gone", "aggregates", in_record(lambda v: v["results"].pop(3)), "honest"),
    Row(
        "a file is another, its digest is not",
        "files",
        in_bytes(lambda b: b + b"\0", "samples/mini_gsm8k.jsonl.zst", redo=False),
    ),
    Row("a plan file of another run", "plan-file", in_bytes(lambda b: b.replace(b"float32", b"float16"), "plan.json")),
    Row("a spec that was not asked", "spec-file", in_bytes(lambda b: b + b"# more\n", "spec.yaml")),
    Row(
        "a question is another, with its hash",
        "docs",
        in_rows("requests", "kinds", _new_doc, _new_doc_in_samples),
        "honest",
    ),
    Row(
        "a question is another",
        "doc-hashes",
        in_rows("requests", GSM, lambda rows: rows[0]["doc"].update(question="1 + 1?")),
    ),
    Row(
        "a prompt is another",
        "request-hashes",
        in_rows("requests", GSM, lambda rows: rows[0]["contexts"][0].update(text="1 + 1?")),
    ),
    Row(
        "the plan promises fewer tokens than were asked for",
        "settings",
        in_plan(lambda p: p["ask"]["tasks"][1]["generation"].update(max_gen_toks=8)),
    ),
    Row(
        "the requests' digest, here and in the journal",
        "requests-digest",
        in_journal(lambda f: f[0].update(requests_digest="ab" * 32), more=_requests_digest),
    ),
    Row("fewer tokens were read", "tokens", in_record(lambda v: v["observed"]["tokens"][0].update(prompt_tokens=1))),
    Row("the journal of another plan", "journal-plan", in_journal(lambda f: f[0].update(plan_id="ab" * 32))),
    Row(
        "another machine than the journal says",
        "journal-heads",
        in_record(lambda v: v["observed"]["attempts"][0]["environment"][0].update(value="aarch64")),
    ),
    Row("an answer to nothing that was asked", "answers", in_journal(_stranger)),
    Row("no text was cut short", "endings", in_record(_uncut), "honest"),
    Row("no doc had equal choices", "endings", in_record(lambda v: forge.without_warning(v, "ties")), "honest"),
    Row("another target", "row-requests", in_rows("samples", GSM, lambda rows: rows[0].update(target="#### 1"))),
    Row(
        "another response in the row",
        "row-answers",
        in_rows("samples", MMLU, lambda rows: _best_stays(rows[0]["responses"])),
    ),
    Row("another pick", "picks", in_rows("samples", MMLU, lambda rows: rows[0].update(filtered={"none": [0]}))),
    Row(
        "a value above 1",
        "values",
        in_rows("samples", GSM, lambda rows: rows[0]["metrics"]["strict-match"].update(exact_match="2.0")),
    ),
    Row(
        "a value is infinite",
        "values",
        in_rows("samples", GSM, lambda rows: rows[0]["metrics"]["strict-match"].update(exact_match="1e999")),
    ),
    Row(
        "a value is no number",
        "values",
        in_rows("samples", GSM, lambda rows: rows[0]["metrics"]["strict-match"].update(exact_match="nan")),
    ),
)
