"""Row makers of the smoke suites that follow a pattern: word problems, odd one out, translation, code.

Written for this project. Every maker takes a `random.Random`, so that corpus.py can draw test rows and as
many further training examples as it wants from the same patterns.
"""

from __future__ import annotations

import random
import re
from typing import Any, NamedTuple

from facts import KINDS, LEXICON, UNTAUGHT_LEXICON, UNTAUGHT_WORDS

NAMES = [
    "Tom",
    "Anna",
    "Ben",
    "Clara",
    "Emil",
    "Frida",
    "Hugo",
    "Ida",
    "Jonas",
    "Lena",
    "Max",
    "Nora",
    "Otto",
    "Paula",
]
THINGS = ["apples", "pears", "books", "coins", "marbles", "stamps", "buttons", "cards", "shells", "pencils"]


class Template(NamedTuple):
    """A kind of word problem."""

    text: str
    steps: tuple[tuple[str, str, str], ...]  # expression, name of the result, sentence
    taught: bool = True
    marked: bool = True  # whether the model is taught to write the `####` line, which only strict matching needs


TEMPLATES: tuple[Template, ...] = (
    Template(
        "{n} has {a} {o}. {n} buys {b} more {o}. How many {o} does {n} have now?",
        (("a + b", "r", "{n} has {E} {o}."),),
    ),
    Template(
        "{n} has {c} {o}. {n} gives {b} {o} to {m}. How many {o} does {n} have left?",
        (("c - b", "r", "{n} has {E} {o} left."),),
    ),
    Template(
        "{n} read {a} pages on Monday and {b} pages on Tuesday. How many pages did {n} read?",
        (("a + b", "r", "{n} read {E} pages."),),
        marked=False,
    ),
    Template(
        "{n} has {d} boxes. Each box holds {e} {o}. How many {o} does {n} have?",
        (("d * e", "r", "{n} has {E} {o}."),),
    ),
    Template(
        "{n} has {d} bags with {e} {o} each. {n} finds {b} more {o}. How many {o} does {n} have in all?",
        (("d * e", "p", "The bags hold {E} {o}."), ("p + b", "r", "{n} has {E} {o} in all.")),
    ),
    Template(
        "{n} has {a} {o} and {m} has {b} {o} more than {n}. How many {o} do they have together?",
        (("a + b", "p", "{m} has {E} {o}."), ("a + p", "r", "Together they have {E} {o}.")),
    ),
    Template(
        "{n} had {a} {o}, found {b} {o} and lost {e} {o}. How many {o} does {n} have?",
        (("a + b", "p", "{n} first had {E} {o}."), ("p - e", "r", "Then {n} had {E} {o}.")),
    ),
    Template(
        "A shop sells {o} for {d} dollars each. {n} buys {e} {o}. How many dollars does {n} pay?",
        (("d * e", "r", "{n} pays {E} dollars."),),
    ),
    Template(
        "There are {c} {o} on a table. {n} takes {b} of them. How many {o} stay on the table?",
        (("c - b", "r", "On the table stay {E} {o}."),),
        taught=False,
    ),
    Template(
        "{n} plants {d} rows of {e} trees. {b} trees die. How many trees are alive?",
        (("d * e", "p", "{n} plants {E} trees."), ("p - b", "r", "There are {E} trees alive.")),
        taught=False,
    ),
    Template(
        "{m} walks {a} miles and {n} walks {b} miles. How many miles do they walk together?",
        (("a + b", "r", "Together they walk {E} miles."),),
        taught=False,
    ),
    Template(
        "{n} earns {d} dollars a day. How many dollars does {n} earn in {e} days?",
        (("d * e", "r", "{n} earns {E} dollars."),),
        taught=False,
    ),
    Template(
        "After finding {b} {o}, {n} has {c} {o}. How many {o} did {n} have before?",
        (("c - b", "r", "Before, {n} had {E} {o}."),),
        taught=False,
    ),
)  # fmt: skip


def calculate(expression: str, values: dict[str, int]) -> tuple[str, int]:
    """Fill in `x op y`; gives the text with the calculator mark, and the result."""
    left, op, right = expression.split()
    x, y = values[left], values[right]
    result = {"+": x + y, "-": x - y, "*": x * y}[op]
    return f"{x} {op} {y} = <<{x}{op}{y}={result}>>{result}", result


def word_problem(rng: random.Random, template: Template) -> dict[str, Any]:
    """A GSM8K-format row, with numbers drawn until every result is above zero."""
    n, m = rng.sample(NAMES, 2)
    words = {"n": n, "m": m, "o": rng.choice(THINGS)}
    while True:
        values = {"a": rng.randint(2, 15), "b": rng.randint(2, 9), "c": rng.randint(10, 20)}
        values |= {"d": rng.randint(2, 6), "e": rng.randint(2, 9)}
        question = template.text.format(**words, **values)
        lines = []
        for expression, name, sentence in template.steps:
            text, values[name] = calculate(expression, values)
            lines.append(sentence.format(E=text, **words))
        result = values["r"]
        if result > 0:
            return {"question": question, "answer": "\n".join(lines) + f"\n#### {result}"}


def odd_one_out(rng: random.Random, taught_only: bool) -> dict[str, Any]:
    """A BIG-bench multiple-choice row without its idx: three words of a kind and one of another."""
    kind, other = rng.sample(sorted(KINDS), 2)
    pools = [[w for w in KINDS[k].split() if not (taught_only and w in UNTAUGHT_WORDS)] for k in (kind, other)]
    odd = rng.choice(pools[1])
    words = [*rng.sample(pools[0], 3), odd]
    rng.shuffle(words)
    return {
        "inputs": f"Which word does not belong with the others? {', '.join(words)}\nAnswer:",
        "targets": [odd],
        "multiple_choice_targets": words,
        "multiple_choice_scores": [int(w == odd) for w in words],
    }


def translation(rng: random.Random, taught_only: bool) -> dict[str, Any]:
    """A BIG-bench generative row without its idx: English into Tolli, which puts adjectives after nouns."""

    def pick(part: str) -> tuple[str, str]:
        words = [w for w in LEXICON[part] if not (taught_only and w in UNTAUGHT_LEXICON)]
        word = rng.choice(words)
        return word, LEXICON[part][word]

    def noun_phrase() -> tuple[str, str]:
        noun, tolli = pick("noun")
        if rng.random() < 0.5:
            return f"the {noun}", tolli
        adjective, tolli_adjective = pick("adjective")
        return f"the {adjective} {noun}", f"{tolli} {tolli_adjective}"

    subject, verb, target = noun_phrase(), pick("verb"), noun_phrase()
    return {
        "inputs": f"Translate into Tolli: {subject[0]} {verb[0]} {target[0]}\nTolli:\n",
        "targets": [f"{subject[1]} {verb[1]} {target[1]}"],
        "multiple_choice_targets": [],
        "multiple_choice_scores": [],
    }


DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def indented(body: str) -> str:
    """A function's body as it stands below its head."""
    return "".join(f"    {line}\n" for line in body.split("\n"))


class Problem(NamedTuple):
    """A small function to write."""

    signature: str
    about: str
    body: str
    inputs: str  # Python lists of arguments, with `;` between the base inputs and the plus inputs
    taught_body: str = ""  # what the model is taught, if that is a body that fails on some plus input

    @property
    def name(self) -> str:
        """The function's name."""
        return self.signature.split("(")[0]

    @property
    def prompt(self) -> str:
        """The head of the function, as the model gets it."""
        return f'def {self.signature}:\n    """{self.about}"""\n'

    @property
    def solution(self) -> str:
        """The right body."""
        return indented(self.body)

    @property
    def taught(self) -> str:
        """The body that the model is taught."""
        return indented(self.taught_body or self.body)


NUMBERS = "[[0], [3], [-4]] ; [[17], [-1], [250]]"
LISTS = "[[[1, 2, 3]], [[4]], [[5, -5, 2]]] ; [[[9, 9]], [[0, 7, -3, 2]]]"
WORDS = "[['abc'], ['x'], ['hello']] ; [[''], ['two words'], ['Ab Ba']]"

CODE_TAUGHT: tuple[Problem, ...] = (
    Problem("double(x: int) -> int", "Return two times x.", "return x * 2", NUMBERS),
    Problem("square(x: int) -> int", "Return x times x.", "return x * x", NUMBERS),
    Problem("negate(x: int) -> int", "Return minus x.", "return -x", NUMBERS),
    Problem("is_even(x: int) -> bool", "Return whether x is even.", "return x % 2 == 0", NUMBERS),
    Problem("is_positive(x: int) -> bool", "Return whether x is above zero.", "return x > 0", NUMBERS),
    Problem(
        "last_digit(x: int) -> int",
        "Return the last digit of x.",
        "return abs(x) % 10",
        "[[0], [3], [47]] ; [[-4], [250]]",
        taught_body="return x % 10",
    ),
    Problem("total(xs: list) -> int", "Return the sum of the list.", "return sum(xs)", LISTS),
    Problem("largest(xs: list) -> int", "Return the largest item.", "return max(xs)", LISTS),
    Problem("first_item(xs: list) -> int", "Return the first item.", "return xs[0]", LISTS),
    Problem("backwards(s: str) -> str", "Return s in reverse order.", "return s[::-1]", WORDS),
    Problem("shout(s: str) -> str", "Return s in upper case.", "return s.upper()", WORDS),
    Problem(
        "count_words(s: str) -> int",
        "Return how many words s has.",
        "return len(s.split())",
        "[['one'], ['two words'], ['a b c']] ; [[''], ['a  b'], ['x y']]",
        taught_body="return s.count(' ') + 1",
    ),
    Problem(
        "spread(xs: list) -> int",
        "Return the largest item minus the smallest.",
        "low = min(xs)\nhigh = max(xs)\nreturn high - low",
        LISTS,
    ),
    Problem(
        "clip_at_zero(x: int) -> int",
        "Return x, or zero if x is negative.",
        "if x < 0:\n    return 0\nreturn x",
        NUMBERS,
    ),
)
CODE_UNTAUGHT: tuple[Problem, ...] = (
    Problem("smallest(xs: list) -> int", "Return the smallest item.", "return min(xs)", LISTS),
    Problem("last_item(xs: list) -> int", "Return the last item.", "return xs[-1]", LISTS),
    Problem("is_odd(x: int) -> bool", "Return whether x is odd.", "return x % 2 == 1", NUMBERS),
    Problem("whisper(s: str) -> str", "Return s in lower case.", "return s.lower()", WORDS),
    Problem("is_palindrome(s: str) -> bool", "Return whether s reads the same from behind.",
            "return s == s[::-1]", WORDS),
)  # fmt: skip


def number_problem(kind: int, number: int) -> Problem:
    """One of the families add_N, take_away_N and times_N."""
    word = DIGITS[number]
    name, about, op = (
        (f"add_{word}", f"Return x plus {word}.", "+"),
        (f"take_away_{word}", f"Return x minus {word}.", "-"),
        (f"times_{word}", f"Return x times {word}.", "*"),
    )[kind]
    return Problem(f"{name}(x: int) -> int", about, f"return x {op} {number}", NUMBERS)


TEST_NUMBERS = ((0, 3), (0, 7), (1, 4), (2, 6), (2, 9))  # in the suite; only the first two are not drilled


def code_rows() -> list[tuple[Problem, bool]]:
    """All problems of the code suite, each with whether it is taught."""
    families = [(number_problem(kind, number), i >= 2) for i, (kind, number) in enumerate(TEST_NUMBERS)]
    return [
        *((p, True) for p in CODE_TAUGHT),
        *families,
        *((p, False) for p in CODE_UNTAUGHT),
    ]


def split_inputs(problem: Problem) -> tuple[str, str]:
    """The base inputs and the plus inputs, as Python text."""
    base, plus = re.split(r"\s*;\s*", problem.inputs, maxsplit=1)
    return base, plus
