"""A word problem while it is being told: clauses with several phrasings, the facts so far, and the steps that solve it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from random import Random

from rstar_mini.code_cot import CODE, END_ANSWER, END_CODE, END_STEP, output_block

NAMES = (
    "Adam Alice Amir Anna Ben Carla David Ella Emma Felix Grace Hugo Ivan Jack Lena Lucy Mark Mia Nina Omar Paul Rosa "
    "Sara Tom"
).split()
OBJECTS = (
    "ball banana bead book button cake card coin cookie cup doll flower hat lemon kite marble nut "
    "pear pen pencil plate plum ring rock shell spoon stamp sticker toy"
).split()


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


def noun(entry: str) -> tuple[str, str]:
    """Singular and plural of an entry of `OBJECTS`."""
    singular, _, plural = entry.partition(":")
    return singular, plural or singular + "s"


class Story:
    """What has been said and computed so far.

    `slots` fills the braces of the phrasings: `A` is the person the story is about now, `C` a helper, `D` a bystander,
    `s`/`o` one object and many, `s2`/`o2` another kind of object.
    """

    def __init__(self, rng: Random, heldout: bool) -> None:
        self.rng = rng
        self.heldout = heldout
        self.unseen = False
        self.sentences: list[str] = []
        self.steps: list[tuple[str, str]] = []
        self.values: dict[str, int | Fraction] = {}
        self.people = rng.sample(NAMES, 8)
        (s, o), (s2, o2) = (noun(entry) for entry in rng.sample(OBJECTS, 2))
        self.slots: dict[str, str] = {"s": s, "o": o, "s2": s2, "o2": o2}
        self.slots |= {"A": self.people.pop(), "C": self.people.pop(), "D": self.people.pop()}

    def say(self, says: Clause, **slots: object) -> None:
        """Add one sentence (or a few) in a phrasing drawn at random."""
        held = self.heldout and self.rng.random() < 0.6
        self.unseen = self.unseen or held
        text = self.rng.choice(says.unseen if held else says.seen)
        text = text.format_map(self.slots | {name: str(value) for name, value in slots.items()})
        self.sentences.append(text[0].upper() + text[1:])

    def step(self, comment: str, names: str, expression: str, value: int | Fraction | None = None, setup: str = "") -> str:
        """Add a computing step and return its variable, the first of `names` that is free.

        `value` is needed only where the expression is more than arithmetic; `setup` holds lines that come before it.
        """
        name = next((name for name in names.split() if name not in self.values), None)
        if name is None:
            raise DeadEndError
        self.values[name] = self.value(expression) if value is None else value
        self.steps.append((comment.format_map(self.slots), f"{setup}{name} = {expression}"))
        return name

    def value(self, expression: str) -> int | Fraction:
        """What an arithmetic expression over the variables so far is worth."""
        result: int | Fraction = eval(expression, {"Fraction": Fraction}, self.values)  # our own text, never a model's
        return result

    @property
    def question(self) -> str:
        """The problem's text."""
        return " ".join(self.sentences)

    def solution(self) -> str:
        """The worked solution in the format of `code_cot`."""
        last = self.steps[-1][1].splitlines()[-1].split(" = ")[0]
        answer = str(self.values[last])
        code = [f"# {comment}\n{line}\n{END_STEP}" for comment, line in self.steps]
        code.append(f"# Now print the final answer\nprint({last})\n{END_CODE}")
        return f"{CODE}\n" + "\n".join(code) + output_block(answer) + f"<answer>The answer is \\boxed{{{answer}}}{END_ANSWER}"

    @property
    def answer(self) -> int | Fraction:
        """The value of the last step."""
        return list(self.values.values())[-1]
