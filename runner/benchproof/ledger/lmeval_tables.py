"""The tables of an lm-eval 0.4 results file made flat, and its groups as a tree.

Source: lm-evaluation-harness 0.4.0 to 0.4.13, and the variants among published files: rows one level deeper, `groups`
beside or instead of group rows, groups told by `group_subtasks`, by indented aliases, or by nesting alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchproof.errors import BadInput, VerificationFailed
from benchproof.ledger.reading import count, mapping, real
from benchproof.schema.score import Claimed, Key

Table = dict[str, dict[str, Any]]
Members = dict[str, tuple[str, ...]]
DEEPEST = 8  # of groups in groups; stock ones have three levels


@dataclass(frozen=True, slots=True)
class Tables:
    """What the file says of each task or group. members: group -> what is directly in it."""

    rows: Table
    members: Members
    configs: Table
    shots: Mapping[str, Any]
    sizes: Table
    shots_of_all: int | None
    limit: Any  # as the file says it, of all tasks

    def roots(self) -> list[str]:
        """Tasks and groups that are in no other group."""
        inner = {member for members in self.members.values() for member in members}
        return [name for name in dict.fromkeys([*self.members, *self.rows]) if name not in inner and self.within(name)]

    def within(self, name: str) -> list[str]:
        """The name and all below it, as far as there are numbers for them. Raises BadInput for a circle."""
        found: dict[str, None] = {}
        level = [name]
        for _ in range(DEEPEST):
            found.update(dict.fromkeys(level))
            level = list(dict.fromkeys(member for group in level for member in self.members.get(group, ())))
            if not level:
                return [inner for inner in found if inner in self.rows]
        raise BadInput(
            f"group {name!r} is more than {DEEPEST} levels deep",
            where="group_subtasks",
            do="give the file as lm-eval wrote it",
        )

    def leaves(self, name: str) -> list[str]:
        """The tasks of `within`."""
        return [inner for inner in self.within(name) if not self.members.get(inner)]

    def num_fewshot(self, task: str) -> int | None:
        """Of a task, never of a group: a group's own number can be 0 where its tasks say 5."""
        said = (self.shots.get(task), self.configs.get(task, {}).get("num_fewshot"))
        return next((found for value in said if (found := count(value)) is not None), self.shots_of_all)

    def docs(self, name: str) -> int | None:
        """How many docs the numbers of a task or group are over."""
        parts = [self._docs(leaf) for leaf in self.leaves(name)]
        return sum(part for part in parts if part) if parts and all(parts) else None

    def asked(self, task: str) -> tuple[int | None, bool]:
        """The limit as it was asked of a task, in docs, and whether it may have cut something off.

        A limit that a task has fewer docs than is the same as for the others of its group. Where the limit is a share,
        or none is said, the docs that were counted decide.
        """
        limit = count(self.said_limit(task)) or None
        sizes = self.sizes.get(task, {})
        effective, original = count(sizes.get("effective")), count(sizes.get("original"))
        if not effective or not original:
            return limit, limit is not None
        if limit is not None and effective == min(limit, original):
            return limit, effective < original
        return (effective, True) if effective < original else (None, False)

    def said_limit(self, task: str) -> Any:
        """The limit in the file's own words: docs, a share of them below 1, or None."""
        return self.configs.get(task, {}).get("limit") if self.limit is None else self.limit

    def generates(self, task: str) -> bool | None:
        """Whether a task generates text; None where the file does not say."""
        kind = self.configs.get(task, {}).get("output_type")
        return None if kind is None else kind == "generate_until"

    def claims(self) -> Iterator[tuple[Key, Claimed | None]]:
        """Every number of every row; None for a value that is no finite number."""
        for task, row in self.rows.items():
            for key, value in row.items():
                metric, comma, name = key.partition(",")
                if not comma or metric.endswith("_stderr"):
                    continue
                found = real(value)
                error = real(row.get(f"{metric}_stderr,{name}"))
                yield (task, metric, name), None if found is None else Claimed(found, error, self.docs(task))

    def _docs(self, task: str) -> int | None:
        return count(self.sizes.get(task, {}).get("effective")) or count(self.rows.get(task, {}).get("sample_len"))


def tables_of(value: Mapping[str, Any], config: Mapping[str, Any], where: str) -> Tables:
    """The tables of a file. Raises BadInput, and VerificationFailed if `results` and `groups` disagree."""
    rows, nested = _flat(mapping(value, "results", where))
    for name, row in _flat(mapping(value, "groups", where))[0].items():
        known = rows.setdefault(name, row)
        for key in known.keys() & row.keys():
            if real(known[key]) is not None and real(known[key]) != real(row[key]):
                raise VerificationFailed(
                    f"`results` and `groups` give {name!r} two values of {key}",
                    where=where,
                    do="take the file from its source again",
                )
    told = mapping(value, "group_subtasks", where)
    members = {
        group: tuple(str(member) for member in listed if member != group)
        for group, listed in told.items()
        if isinstance(listed, list)
    }
    # In lm-eval's own test layout `tasks` are the configs; elsewhere they are a list of names.
    configs = mapping(value, "tasks" if isinstance(value.get("tasks"), dict) else "configs", where)
    return Tables(
        rows,
        {**(members or _by_alias(rows)), **nested},
        _flat(configs)[0],
        mapping(value, "n-shot", where),
        _flat(mapping(value, "n-samples", where) or mapping(value, "n_samples", where))[0],
        count(value.get("num_fewshot")),
        config.get("limit"),
    )


def _flat(table: Mapping[str, Any]) -> tuple[Table, Members]:
    """Rows by name, those one level deeper too, and what the deeper ones were in."""
    rows: Table = {}
    nested: Members = {}
    for name, row in table.items():
        if not isinstance(row, dict):
            continue
        inner = {key: item for key, item in row.items() if isinstance(item, dict)}
        if inner and len(inner) == len(row):
            rows.update(inner)
            nested[name] = tuple(key for key in inner if key != name)
        else:
            rows[name] = row
    return rows, nested


def _by_alias(rows: Table) -> Members:
    """lm-eval indents the alias of a member, and writes it below its group."""
    members: Members = {}
    above: list[tuple[int, str]] = []
    for name, row in rows.items():
        alias = str(row.get("alias", ""))
        depth = len(alias) - len(alias.lstrip())
        while above and above[-1][0] >= depth:
            above.pop()
        if above:
            members[above[-1][1]] = (*members.get(above[-1][1], ()), name)
        above.append((depth, name))
    return members
