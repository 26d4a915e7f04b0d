"""How a question becomes the text that the policy continues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
        "<code>\n# Count the rolls on all trays\nrolls = 6 * 12\n<end_of_step>\n# Take away the rolls that were sold\n"
        "left = rolls - 50\n<end_of_step>\n# Now print the final answer\nprint(left)\n<end_of_code>\n"
        "<output>22<end_of_output>\n<answer>The answer is \\boxed{22}<end_of_answer>",
    ),
    (
        "Rita is 9 years old. Her uncle is 4 times as old as she is. How old will he be in 5 years?",
        "<code>\n# Find the age of the uncle\nuncle = 9 * 4\n<end_of_step>\n# Add the years that pass\n"
        "later = uncle + 5\n<end_of_step>\n# Now print the final answer\nprint(later)\n<end_of_code>\n"
        "<output>41<end_of_output>\n<answer>The answer is \\boxed{41}<end_of_answer>",
    ),
)
"""Two worked examples, as in the paper's round 1, for a pretrained base policy that has not seen the format."""


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
