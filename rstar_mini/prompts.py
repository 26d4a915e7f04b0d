"""How a question becomes the text that the policy continues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any
from unittest.mock import patch

from rstar_mini.code_cot import write_solution
from rstar_mini.errors import UserError

PLAIN = "{question}\n"
PAPER = "<|user|>:\n{question}\n<|assistant|>: Let's think step by step and solve the problem with code.\n"
TEMPLATES = {"plain": PLAIN, "paper": PAPER}
"""`paper` is the zero-shot prompt of rounds 2-4 and of test time; `plain`, for tiny models, the shortest that works."""

INSTRUCTION = (
    "Solve each question with short steps of Python. "
    "Every step is a comment that says what it does and the code that does it. "
    "The last code step prints the answer.\n\n"
)


DEMONSTRATIONS: Sequence[tuple[str, str]] = (
    (
        "A baker fills 6 trays with 12 rolls each and sells 50 rolls. How many rolls are left?",
        write_solution(
            [
                ("Count the rolls on all trays", "rolls = 6 * 12"),
                ("Take away the rolls that were sold", "left = rolls - 50"),
            ],
            "left",
            "22",
        ),
    ),
    (
        "Rita is 9 years old. Her uncle is 4 times as old as she is. How old will he be in 5 years?",
        write_solution(
            [("Find the age of the uncle", "uncle = 9 * 4"), ("Add the years that pass", "later = uncle + 5")],
            "later",
            "41",
        ),
    ),
    (
        "There were 73 birds in a tree. Some flew away and 28 birds stayed. How many birds flew away?",
        write_solution([("Take the birds that stayed from all birds", "flew = 73 - 28")], "flew", "45"),
    ),
    (
        "Dan put 84 shells into 7 boxes, the same number in each. He has 15 stones. How many shells are in each box?",
        write_solution([("Share the shells among the boxes", "shells = 84 // 7")], "shells", "12"),
    ),
    (
        "A school has 240 girls and 185 boys. How many more girls than boys are there?",
        write_solution([("Take the boys from the girls", "more = 240 - 185")], "more", "55"),
    ),
    (
        "Nora read 14 pages on Monday, 9 pages on Tuesday and 20 pages on Friday. How many pages did she read in all?",
        write_solution([("Add the pages of the three days", "pages = 14 + 9 + 20")], "pages", "43"),
    ),
    (
        "Each bag holds 6 apples. Omar has 13 bags and 4 pears. How many apples does he have?",
        write_solution([("Count the apples in all bags", "apples = 13 * 6")], "apples", "78"),
    ),
    (
        "Ivy had 30 stickers. She gave 8 to Leo and 5 to Ann. How many stickers does she have left?",
        write_solution(
            [
                ("Add the stickers that she gave away", "given = 8 + 5"),
                ("Take them from what she had", "left = 30 - given"),
            ],
            "left",
            "17",
        ),
    ),
)
"""Worked examples, as in the paper's round 1, for a pretrained base policy that has not seen the format.

The smaller the model, the more examples it needs to follow the format at all ("SmolLM2 on SVAMP" in
data/results/README.md).
"""


# What chat templates must pass on as it is.
_PROBES = (
    "How many?",
    "12 boxes (a < b & c) cost \"$3.50\"; it's {x} or [y].\n\n    Ann\tpays 20%: is \\frac{1}{2} of Ünal's <pay> ½?",
    "system user assistant tool <think> json " * 40 + "?",
)
_INSTEAD = "; use policy.prompt plain or paper"
CHAT = "chat"  # in the place of a template's name: the one that comes with the model


@dataclass(frozen=True, slots=True)
class Prompt:
    """A template with `{question}`, after worked (question, solution) pairs when a model has to be shown the format."""

    template: str = PLAIN
    shots: Sequence[tuple[str, str]] = ()

    def __call__(self, question: str) -> str:
        """The text before the first step."""
        shown = "".join(self.template.format(question=q) + solution + "\n\n" for q, solution in self.shots)
        return (INSTRUCTION + shown if shown else "") + self.template.format(question=question)


def chat_prompt(tokenizer: Any, shots: Sequence[tuple[str, str]] = (), ask: str = "{question}") -> Prompt:
    """The model's own chat template, with worked examples as earlier turns; `ask` is what the user says.

    Args:
        tokenizer: of transformers.

    Raises:
        UserError: the tokenizer has no chat template, or one that fails or changes what is said.
    """
    name = tokenizer.name_or_path
    if not getattr(tokenizer, "chat_template", None):
        raise UserError(f"{name} has no chat template{_INSTEAD}")
    turns = []
    for question, solution in shots:
        turns += [("user", ask.format(question=question)), ("assistant", solution)]
    turns.append(("user", ask.format(question="{question}")))
    if shots:
        turns[0] = ("user", INSTRUCTION + turns[0][1])
    text = _rendered(tokenizer, turns)
    prompt = Prompt(text.replace("{", "{{").replace("}", "}}").replace("{{question}}", "{question}"))
    if not _in_order(text, [said.strip() for _, said in turns]):
        raise UserError(f"the chat template of {name} changes or loses what is said; use policy.prompt plain or paper")
    for probe in _PROBES:
        if _rendered(tokenizer, [*turns[:-1], ("user", turns[-1][1].replace("{question}", probe))]) != prompt(probe):
            raise UserError(
                f"the chat template of {name} changes the question {probe[:120]!r}, or differs each time{_INSTEAD}"
            )
    return prompt


def _rendered(tokenizer: Any, turns: Sequence[tuple[str, str]]) -> str:
    """The turns in the tokenizer's chat template, on the same day for ever.

    Raises:
        UserError: the template fails, as those do that ask for a system message.
    """
    from transformers.utils import chat_template_utils

    messages = [{"role": role, "content": content} for role, content in turns]
    try:
        with patch.object(chat_template_utils, "datetime", _OneDay):
            text: str = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except Exception as error:  # whatever the template does comes as an error of its own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"the chat template of {tokenizer.name_or_path} fails: {reason}{_INSTEAD}") from error
    return text


class _OneDay(datetime):
    """The day that templates print: with the real one, the prompts of a run would change overnight."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> _OneDay:
        """The day in Llama 3's own templates for those who cannot say."""
        return cls(2024, 7, 26, tzinfo=tz)


def _in_order(text: str, parts: Sequence[str]) -> bool:
    """Whether all parts stand in the text, one after the other."""
    place = 0
    for part in parts:
        found = text.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    return True
