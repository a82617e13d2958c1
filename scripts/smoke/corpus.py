"""Writes the smoke suites, and makes the training text of the smoke model; all of it deterministic.

The rows have exactly the columns of MMLU, GSM8K, TruthfulQA, BIG-bench and HumanEval+, and every word in them
was written for this project. The model is taught about two thirds of what the rows ask, in the layouts in
which they are asked, so that its scores are neither chance nor perfect. That is on purpose: the smoke model
exists to exercise a benchmark runner, not to measure anything. Taught MMLU questions appear in the training
text with their options in another order than in the row; word problems, puzzles and translations of the test
rows do not appear in it, only others of the same patterns; taught TruthfulQA questions and functions do.

Run `python scripts/smoke/corpus.py` to write the rows (under a second); train.py calls `documents()`.
"""

from __future__ import annotations

import ast
import itertools
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import puzzles
from facts import MYTHS, SUBJECTS
from puzzles import CODE_TAUGHT, TEMPLATES, TEST_NUMBERS, code_rows, number_problem, odd_one_out, translation

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "runner" / "benchproof" / "smoke" / "data"
CODE_SUITE = DATA / "code" / "test.jsonl"
LETTERS = "ABCD"
DEV = 5

Row = dict[str, Any]
Piece = tuple[str, float]  # a piece of a document and the weight of its tokens in the loss


def words_of(name: str) -> str:
    """`kitchen_science` as it stands in a prompt."""
    return name.replace("_", " ")


def mmlu_rows(name: str) -> tuple[list[Row], list[bool]]:
    """A subject's rows, dev rows first, and which of them are taught."""
    rng = random.Random(f"mmlu/{name}")
    subject = SUBJECTS[name]
    lines = [line.split(" | ") for line in subject.table.strip().splitlines()]
    tests = len(lines) - DEV
    golds = [*rng.sample(range(4), 4), rng.randrange(4), *rng.sample([i % 4 for i in range(tests)], tests)]
    rows = []
    for (question, right, *wrong), gold in zip(lines, golds, strict=True):
        choices = rng.sample(wrong, 3)
        choices.insert(gold, right)
        rows.append({"question": question, "subject": name, "choices": choices, "answer": gold})
    taught = set(rng.sample(range(DEV, len(rows)), subject.taught))
    return rows, [i < DEV or i in taught for i in range(len(rows))]


def gsm8k_rows() -> tuple[list[Row], list[Row]]:
    """Train rows (taught templates only) and test rows (every template)."""
    rng = random.Random("gsm8k")
    taught = [t for t in TEMPLATES if t.taught]
    train = [puzzles.word_problem(rng, t) for t in itertools.islice(itertools.cycle(taught), 30)]
    test = [puzzles.word_problem(rng, t) for t in itertools.islice(itertools.cycle(TEMPLATES), 30)]
    return train, test


def myths() -> list[tuple[Row, str]]:
    """The TruthfulQA-format questions in the generation layout, and what the model is taught (t, f or -)."""
    out: list[tuple[Row, str]] = []
    lines = MYTHS.strip().splitlines()
    for head, right, wrong in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
        taught, category, question = re.split(r": | ", head, maxsplit=2)
        rights, wrongs = right.removeprefix("  + ").split(" ; "), wrong.removeprefix("  - ").split(" ; ")
        row: Row = {
            "type": "Non-Adversarial" if taught == "t" else "Adversarial",
            "category": category,
            "question": question,
            "best_answer": rights[0],
            "correct_answers": rights,
            "incorrect_answers": wrongs,
            "source": "written for this project",
        }
        out.append((row, taught))
    return out


def multiple_choice(row: Row) -> Row:
    """A question in TruthfulQA's multiple-choice layout."""
    right, wrong = row["correct_answers"], row["incorrect_answers"]
    return {
        "question": row["question"],
        "mc1_targets": {"choices": [right[0], *wrong], "labels": [1, *(0 for _ in wrong)]},
        "mc2_targets": {"choices": [*right, *wrong], "labels": [*(1 for _ in right), *(0 for _ in wrong)]},
    }


def bigbench_rows(make: Callable[[random.Random, bool], Row], count: int = 30) -> list[Row]:
    """Rows of one BIG-bench task; untaught words may occur in them."""
    rng = random.Random(f"bigbench/{make.__name__}")
    return [{"idx": i, **make(rng, False)} for i in range(count)]


def humaneval_rows() -> list[Row]:
    """The code suite, every solution run on all its inputs first."""
    rows: list[Row] = []
    for i, (problem, _) in enumerate(code_rows()):
        base, plus = (ast.literal_eval(text) for text in puzzles.split_inputs(problem))
        space: dict[str, Any] = {}
        exec(problem.prompt + problem.solution, space)  # our own text
        for arguments in [*base, *plus]:
            space[problem.name](*arguments)
        rows.append(
            {
                "task_id": f"MiniCode/{i}",
                "prompt": problem.prompt,
                "contract": "",
                "canonical_solution": problem.solution,
                "entry_point": problem.name,
                "base_input": base,
                "plus_input": plus,
                "atol": 0,
            }
        )
    return rows


def suites() -> dict[str, list[Row]]:
    """Every file of the suites by its path under the data folder."""
    files: dict[str, list[Row]] = {}
    for name in SUBJECTS:
        rows, _ = mmlu_rows(name)
        files[f"mmlu/{name}/dev"], files[f"mmlu/{name}/test"] = rows[:DEV], rows[DEV:]
    files["gsm8k/main/train"], files["gsm8k/main/test"] = gsm8k_rows()
    questions = [row for row, _ in myths()]
    files["truthfulqa/multiple_choice/validation"] = [multiple_choice(row) for row in questions]
    files["truthfulqa/generation/validation"] = random.Random("order").sample(questions, len(questions))
    files["bigbench/odd_one_out_zero_shot/default"] = bigbench_rows(odd_one_out)
    files["bigbench/tolli_translation_zero_shot/default"] = bigbench_rows(translation)
    return files


# Training text. A document is a list of pieces; pieces are tokenized one by one, as prompts and answers are.


class Corpus:
    """Makes training documents without end."""

    def __init__(self, seed: int, truthfulqa_header: str) -> None:
        """Same seed, same documents; the header is put before some of the TruthfulQA-format questions."""
        self.rng = random.Random(seed)
        self.header = truthfulqa_header
        self.subjects = {name: mmlu_rows(name) for name in SUBJECTS}
        self.shots, test = gsm8k_rows()
        self.held_out = {row["question"] for row in test}
        odd, tolli = bigbench_rows(odd_one_out), bigbench_rows(translation)
        self.held_out |= {row["inputs"] for row in [*odd, *tolli]}
        self.myths = [(row, taught) for row, taught in myths() if taught != "-"]
        self.templates = [t for t in TEMPLATES if t.taught]

    def mmlu_block(self, row: Row, shuffle: bool) -> list[Piece]:
        """A question, its options (in their own order or in another one) and the letter."""
        order = list(range(4))
        while shuffle and order == list(range(4)):
            self.rng.shuffle(order)
        options = "".join(f"\n{LETTERS[i]}. {row['choices'][k]}" for i, k in enumerate(order))
        return [
            (f"{row['question']}{options}\nAnswer:", 0.1),
            (f" {LETTERS[order.index(row['answer'])]}", 4.0),
        ]

    def mmlu(self) -> list[Piece]:
        """Some dev rows, as shots, and then taught rows of the same subject."""
        name = self.rng.choice(list(self.subjects))
        rows, taught = self.subjects[name]
        pieces: list[Piece] = [
            (f"The following are multiple choice questions (with answers) about {words_of(name)}.\n\n", 0.0)
        ]
        shots = self.rng.choice((0, 0, DEV))
        known = [row for i, row in enumerate(rows) if taught[i] and (i >= DEV or shots == 0)]
        asked = self.rng.sample(known, min(len(known), 4 if shots else 7))
        for i, row in enumerate([*rows[:shots], *asked]):
            pieces += [("\n\n", 0.1)] if i else []
            pieces += self.mmlu_block(row, shuffle=i >= shots)
        return pieces

    def plain_facts(self) -> list[Piece]:
        """Taught facts as bare questions and answers."""
        pieces: list[Piece] = []
        for i in range(self.rng.randint(3, 8)):
            rows, taught = self.subjects[self.rng.choice(list(self.subjects))]
            row = self.rng.choice([row for row, known in zip(rows, taught, strict=True) if known])
            pieces += [("\n\n" if i else "", 0.1), (f"{row['question']}\nAnswer:", 0.1)]
            pieces += [(f" {row['choices'][row['answer']]}", 1.0)]
        return pieces

    def gsm8k(self) -> list[Piece]:
        """Word problems in the few-shot layout."""
        pieces: list[Piece] = []
        for i in range(self.rng.choice((1, 6, 7))):
            template = self.rng.choice(self.templates)
            row = puzzles.word_problem(self.rng, template)
            if row["question"] in self.held_out:
                continue
            answer = row["answer"] if template.marked else row["answer"].split("\n####")[0]
            pieces += [("\n\n" if pieces else "", 1.0 if i else 0.1)]
            pieces += [(f"Question: {row['question']}\nAnswer:", 0.1), (f" {answer}", 1.0)]
        return pieces

    def sums(self) -> list[Piece]:
        """Bare arithmetic in the calculator notation."""
        lines = []
        for _ in range(12):
            op = self.rng.choice("+-*")
            x, y = (self.rng.randint(2, 9) for _ in "xy") if op == "*" else (
                self.rng.randint(2, 40), self.rng.randint(2, 20))  # fmt: skip
            x, y = (max(x, y), min(x, y)) if op == "-" else (x, y)
            lines.append(puzzles.calculate(f"x {op} y", {"x": x, "y": y})[0] + " .")
        return [("\n".join(lines), 1.0)]

    def truthfulqa(self) -> list[Piece]:
        """Questions after the fixed header of the stock task, or without it."""
        headed = self.rng.random() < 0.4
        pieces: list[Piece] = [(self.header, 0.0)] if headed else []
        for row, taught in self.rng.sample(self.myths, self.rng.randint(1, 8)):
            answers = row["correct_answers"] if taught == "t" else row["incorrect_answers"]
            answer = answers[0] if self.rng.random() < 0.75 else answers[1]
            pieces += [("\n\n" if pieces else "", 0.3), (f"Q: {row['question']}", 0.1)]
            pieces += [("\nA:", 1.0), (f" {answer}", 1.0)]
        return pieces

    def puzzle(self, make: Callable[[random.Random, bool], Row], space: str, weight: float) -> list[Piece]:
        """A puzzle that is not a test row, made of taught words only."""
        row = make(self.rng, True)
        while row["inputs"] in self.held_out:
            row = make(self.rng, True)
        return [(row["inputs"], 0.1), (space + row["targets"][0], weight)]

    def odd(self) -> list[Piece]:
        """One odd-one-out question."""
        return self.puzzle(odd_one_out, " ", 4.0)

    def tolli(self) -> list[Piece]:
        """One sentence to translate."""
        return self.puzzle(translation, "", 1.0)

    def code(self) -> list[Piece]:
        """One function; its end is the end of the document."""
        kind, number = self.rng.randrange(3), self.rng.randint(1, 9)
        drilled = self.rng.random() < 0.4 and (kind, number) not in TEST_NUMBERS[:2]
        problem = number_problem(kind, number) if drilled else self.rng.choice(CODE_TAUGHT)
        return [(problem.prompt, 0.1), (problem.taught, 1.0)]

    def documents(self) -> Iterator[list[Piece]]:
        """Documents of all kinds, in the shares below (of documents, not of tokens)."""
        makers: dict[Callable[[], list[Piece]], float] = {
            self.mmlu: 4, self.plain_facts: 3, self.gsm8k: 4, self.sums: 3, self.truthfulqa: 3,
            self.odd: 20, self.tolli: 6, self.code: 4,
        }  # fmt: skip
        while True:
            [make] = self.rng.choices(list(makers), list(makers.values()))
            yield make()


def write_rows(path: Path, rows: list[Row]) -> None:
    """One JSON object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def main() -> None:
    """Write every file."""
    for name, rows in suites().items():
        write_rows(DATA / f"{name}.jsonl", rows)
        print(f"{len(rows):4d} rows  {name}.jsonl")
    write_rows(CODE_SUITE, humaneval_rows())


if __name__ == "__main__":
    main()
