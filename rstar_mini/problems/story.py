"""A word problem while it is told: clauses with several phrasings, what is known so far, and the solving steps."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from random import Random

from rstar_mini.code_cot import write_solution

Value = int | Fraction
NAMES = (
    "Adam", "Alice", "Amir", "Anna", "Ben", "Carla", "David", "Ella", "Emma", "Felix", "Grace", "Hugo", "Ivan",
    "Jack", "Lena", "Lucy", "Mark", "Mia", "Nina", "Omar", "Paul", "Rosa", "Sara", "Tom",
)  # fmt: skip
OBJECTS = (
    "ball", "banana", "bead", "button", "cake", "card", "coin", "cookie", "cup", "doll", "flower", "hat",
    "kite", "lemon", "marble", "nut", "pear", "pen", "pencil", "plate", "plum", "ring", "rock", "shell", "spoon",
    "stamp", "sticker", "toy",
)  # fmt: skip


class DeadEndError(Exception):
    """The story cannot go on with round numbers; the generator tells another one."""


@dataclass(frozen=True, slots=True)
class Clause:
    """The phrasings of one kind of sentence; `unseen` ones are kept for the test split."""

    seen: tuple[str, ...]
    unseen: tuple[str, ...]


def clause(text: str) -> Clause:
    """A clause from one phrasing a line; the lines that begin with `~` are held out of training."""
    lines = [line.strip() for line in text.strip().splitlines()]
    held = tuple(line[1:].strip() for line in lines if line.startswith("~"))
    return Clause(tuple(line for line in lines if not line.startswith("~")), held)


def noun(singular: str) -> tuple[str, str]:
    """An object's singular and plural."""
    return singular, singular + "s"


class Story:
    """What has been said and computed so far.

    `steps` are the computing steps as (comment, code), and `quoted` counts the sentences that their comments have
    quoted; `setup` comes before them and computes nothing, such as an import. `slots` fills the braces of the
    phrasings: `A` is the person the story is about now, `C` a helper, `D` a bystander, `E` one who comes in at the end,
    `s`/`o` one object and many, `s2`/`o2` and `s3`/`o3` other kinds of objects.
    """

    def __init__(self, rng: Random, heldout: bool) -> None:
        self.rng = rng
        self.heldout = heldout
        self.unseen = False
        self.sentences: list[str] = []
        self.quoted = 0
        self.setup: list[tuple[str, str]] = []
        self.steps: list[tuple[str, str]] = []
        self.values: dict[str, Value] = {}
        self.people = rng.sample(NAMES, 9)
        (s, o), (s2, o2), (s3, o3) = map(noun, rng.sample(OBJECTS, 3))
        self.slots: dict[str, str] = {"s": s, "o": o, "s2": s2, "o2": o2, "s3": s3, "o3": o3}
        self.slots |= {role: self.people.pop() for role in "ACDE"}

    def say(self, says: Clause, **slots: object) -> None:
        """Add one sentence (or a few) in a phrasing drawn at random."""
        held = self.heldout and self.rng.random() < 0.4
        self.unseen = self.unseen or held
        text = self.rng.choice(says.unseen if held else says.seen)
        text = text.format_map(self.slots | {name: str(value) for name, value in slots.items()})
        self.sentences.append(text[0].upper() + text[1:])

    def step(self, comment: str, names: str, expression: str, value: Value | None = None) -> str:
        """Add a computing step and return its variable, the first of `names` that is free.

        `value` is needed only where the expression is more than arithmetic.
        """
        name = next((name for name in names.split() if name not in self.values), None)
        if name is None:
            raise DeadEndError
        self.values[name] = self.value(expression) if value is None else value
        self.steps.append((comment.format_map(self.slots), f"{name} = {expression}"))
        return name

    def quote(self, step: int) -> None:
        """Let the comment of a step be all that was said since the last quotation."""
        self.steps[step] = (" ".join(self.sentences[self.quoted :]), self.steps[step][1])
        self.quoted = len(self.sentences)

    def value(self, expression: str) -> Value:
        """What an arithmetic expression over the variables so far is worth."""
        result: Value = eval(expression, {"Fraction": Fraction}, self.values)  # our own text, never a model's
        return result

    @property
    def question(self) -> str:
        """The problem's text."""
        return " ".join(self.sentences)

    def solution(self) -> str:
        """The worked solution in the format of `code_cot`."""
        return write_solution(self.setup + self.steps, list(self.values)[-1], str(self.answer))

    @property
    def answer(self) -> Value:
        """The value of the last step."""
        return list(self.values.values())[-1]
