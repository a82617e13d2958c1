"""Two runs part in the layer where something was changed, and that layer is the one that is named."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchproof.ladder import compare_task, differences, pair_rows
from benchproof.store.rows import Part, Row
from fakes.checks import DriftingEngine, rewrite_record, rewrite_rows, side
from fakes.world import table_run


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return table_run(tmp_path_factory.mktemp("ladder") / "first")[1]


@pytest.fixture
def other(first: Path, tmp_path: Path) -> Path:
    """A copy, to be changed; its record names other files, so that nothing is skipped because digests agree."""
    shutil.copytree(first, tmp_path / "other")
    rewrite_record(tmp_path / "other", lambda value: [f.update(sha256="0" * 64) for f in value["files"]])
    return tmp_path / "other"


def set_in(*path: Any, value: Any) -> Callable[[list[Any]], list[Any]]:
    def change(rows: list[Any]) -> list[Any]:
        holder: Any = rows
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = value
        return rows

    return change


def begin_again(rows: list[Any]) -> list[Any]:
    """The first prompt's first token stands twice."""
    ids = rows[0]["contexts"][0]["ids"]
    rows[0]["contexts"][0]["ids"] = [ids[0], *ids]
    return rows


CHANGES: dict[str, tuple[Part, str, Callable[[list[Any]], list[Any]], str]] = {
    "prompts": ("requests", "choose", set_in(0, "requests", 0, "hash", value="f" * 64), "doc 0"),
    "tokens": ("requests", "choose", begin_again, "doubled BOS"),
    "answers": ("samples", "write", set_in(1, "responses", 0, "text", value="another"), "doc 1"),
    "filtered": ("samples", "write", set_in(2, "filtered", "none", value=["other"]), "filtered.none"),
    "metrics": ("samples", "write", set_in(3, "metrics", "none", "acc", value="1.0"), "metrics.none.acc"),
}


@pytest.mark.parametrize("layer", CHANGES)
def test_the_layer_that_was_changed_is_named_and_shown(first: Path, other: Path, layer: str) -> None:
    part, task, change, word = CHANGES[layer]
    assert compare_task(task, side(first), side(other)).first is None
    rewrite_rows(other, part, task, change)
    found = compare_task(task, side(first), side(other))
    assert found.first == layer
    assert found.layers[layer] == 1
    assert word in "\n".join(found.told)


def test_what_is_not_at_hand_is_not_called_equal(first: Path, other: Path) -> None:
    shutil.rmtree(other / "samples")
    found = compare_task("choose", side(first), side(other))
    assert found.layers == {"prompts": 0, "tokens": 0, "answers": None, "filtered": None, "metrics": None}


def test_equal_digests_of_requests_are_not_read(first: Path, tmp_path: Path) -> None:
    shutil.copytree(first, tmp_path / "twin")
    (tmp_path / "twin" / "requests" / "choose.jsonl.zst").write_bytes(b"never read")
    assert compare_task("choose", side(first), side(tmp_path / "twin")).layers["tokens"] == 0


def test_likelihoods_tell_how_far_they_moved_and_which_picks_were_close(tmp_path: Path) -> None:
    _, a = table_run(tmp_path / "a", DriftingEngine())
    _, b = table_run(tmp_path / "b", DriftingEngine(drift=lambda r: 1e-9 if r.choice else 0.0))
    lls = compare_task("choose", side(a), side(b)).likelihoods
    assert lls is not None
    assert (lls.compared, lls.differing, lls.picks_changed) == (10, 5, 0)
    assert lls.largest == pytest.approx(1e-9)
    _, c = table_run(tmp_path / "c", DriftingEngine(drift=lambda r: -5.0 if r.choice == 0 and r.doc_id == 0 else 0.0))
    far = compare_task("choose", side(a), side(c)).likelihoods
    assert far is not None
    assert far.largest == pytest.approx(5.0)
    assert far.near_ties == far.picks_changed <= 1


def row(doc_id: int, sha: str, value: float = 1.0) -> Row:
    return Row(doc_id, sha, None, 0, ("r",), (["-1.0", True],), {"none": [0]}, {"none": {"acc": value}})


def test_docs_are_paired_by_content_and_not_by_place() -> None:
    pairs, only_there, only_here = pair_rows([row(0, "a"), row(1, "b"), row(2, "c")], [row(0, "b"), row(1, "a")])
    assert [(a.doc_id, b.doc_id) for a, b in pairs] == [(1, 0), (0, 1)]
    assert (only_there, only_here) == (1, 0)


def test_a_doc_that_stands_twice_is_paired_twice() -> None:
    pairs, only_there, only_here = pair_rows([row(0, "a", 0.0), row(1, "a", 1.0)], [row(5, "a", 0.0), row(6, "a", 1.0)])
    assert [(a.doc_id, b.doc_id) for a, b in pairs] == [(0, 5), (1, 6)]
    assert (only_there, only_here) == (0, 0)


def test_differences_name_leaves() -> None:
    found = differences({"a": {"b": 1, "c": [1, 2]}, "d": 4}, {"a": {"b": 2, "c": [1, 3]}, "e": 5}, "x")
    assert [(item.path, item.there, item.here) for item in found] == [
        ("x.a.b", 1, 2),
        ("x.a.c[1]", 2, 3),
        ("x.d", 4, None),
        ("x.e", None, 5),
    ]
