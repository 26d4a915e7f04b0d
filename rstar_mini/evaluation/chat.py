"""What a pretrained model can do before it learns anything: its own chat template and words, an answer picked out.

A model that cannot write code-augmented steps yet may solve the problems all the same. Measured from few-shot code
alone, learning the format would look like learning mathematics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rstar_mini.answers import Verdict, compare
from rstar_mini.answers.extract import said_answer
from rstar_mini.evaluation.systems import Outcome
from rstar_mini.policy import Policy, Request
from rstar_mini.policy.base import Propose
from rstar_mini.types import Problem

if TYPE_CHECKING:
    from rstar_mini.evolution.models import Models

ASK = "{question}\nThink step by step, and put the final answer within \\boxed{{}}."
WORDS = 512  # tokens of a reply at most


def in_its_own_words(models: Models) -> Policy:
    """The base as it came, with `ASK` in its own chat template."""
    return models.policy(0, models.own_words, WORDS)


def chat_answers(problems: Sequence[Problem], policy: Policy) -> Outcome:
    """One greedy reply to each problem from a policy whose prompt is `ASK` in its chat template."""
    replies = Propose.propose(policy, [Request(problem, (), 1, 0) for problem in problems], 0.0)
    outcome = Outcome()
    for problem, [reply] in zip(problems, replies, strict=True):
        outcome.correct.append(float(compare(said_answer(reply.text), problem.answer) is Verdict.EQUAL))
        outcome.tokens += reply.tokens
    return outcome
