"""How a question becomes the text that the policy continues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PLAIN = "{question}\n"
PAPER = "<|user|>:\n{question}\n<|assistant|>: Let's think step by step and solve the problem with code.\n"
TEMPLATES = {"plain": PLAIN, "paper": PAPER}
"""`paper` is the zero-shot prompt of rounds 2-4 and of test time; `plain` is the shortest one that works, for tiny models."""

INSTRUCTION = (
    "Solve each question with short steps of Python. Every step is a comment that says what it does and the code that does it. "
    "The last code step prints the answer.\n\n"
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A template with `{question}`, preceded by worked (question, solution) pairs when the model has to be shown the format."""

    template: str = PLAIN
    shots: Sequence[tuple[str, str]] = ()

    def __call__(self, question: str) -> str:
        """The text before the first step."""
        shown = "".join(self.template.format(question=q) + solution + "\n\n" for q, solution in self.shots)
        return (INSTRUCTION + shown if shown else "") + self.template.format(question=question)
