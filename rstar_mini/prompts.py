"""How a question becomes the text that the policy continues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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

The smaller the model, the more of them it needs to keep to the format at all (README, "SmolLM2 on SVAMP").
"""


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
        UserError: the tokenizer has no chat template.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise UserError(f"{tokenizer.name_or_path} has no chat template; use policy.prompt plain or paper")
    turns = []
    for question, solution in shots:
        turns += [("user", ask.format(question=question)), ("assistant", solution)]
    turns.append(("user", ask.format(question="{question}")))
    if shots:
        turns[0] = ("user", INSTRUCTION + turns[0][1])
    messages = [{"role": role, "content": content} for role, content in turns]
    text: str = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return Prompt(text.replace("{", "{{").replace("}", "}}").replace("{{question}}", "{question}"))
