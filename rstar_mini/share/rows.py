"""Trajectories and preference pairs as `datasets`, in the formats that TRL's trainers read."""

from __future__ import annotations

from typing import Any

from datasets import Dataset, Features, List, Value

from rstar_mini.evolution.run import Run
from rstar_mini.files import read_jsonl
from rstar_mini.prompts import Prompt
from rstar_mini.types import Problem

_TEXT, _NUMBER, _WHOLE = Value("string"), Value("float64"), Value("int64")
_ABOUT = {"question": _TEXT, "answer": _TEXT, "problem_id": _TEXT, "level": _WHOLE, "family": _TEXT, "round": _WHOLE}
TRAJECTORIES = Features({"prompt": _TEXT, "completion": _TEXT, "qs": List(_NUMBER)} | _ABOUT)
PAIRS = Features(
    {"prompt": _TEXT, "chosen": _TEXT, "rejected": _TEXT, "q_chosen": _NUMBER, "q_rejected": _NUMBER}
    | {"weight": _NUMBER, "final": Value("bool")}
    | _ABOUT
)


def trajectories(run: Run, number: int, prompt: Prompt) -> Dataset:
    """Prompt and completion, the text that the policy of the round was trained on, and the Q-value of each step."""
    rows = []
    for row in read_jsonl(run.round(number) / "trajectories.jsonl"):
        problem = Problem.from_json(row["problem"])
        text = {"prompt": prompt(problem.question), "completion": row["completion"], "qs": row["qs"]}
        rows.append(text | _about(problem, number))
    return Dataset.from_list(rows, features=TRAJECTORIES)


def pairs(run: Run, number: int, prompt: Prompt) -> Dataset:
    """Prompt, chosen and rejected: the pairs of all rounds up to this one, as its PPM has learnt from them.

    The prompt holds the steps that both continue; of whole trajectories (`final`) it is the question alone.
    """
    rows = []
    for earlier in range(1, number + 1):
        for pair in run.pairs(earlier):
            text = {"prompt": prompt(pair.problem.question) + pair.prefix}
            values = {name: getattr(pair, name) for name in PAIRS if hasattr(pair, name)}
            rows.append(text | values | _about(pair.problem, earlier))
    return Dataset.from_list(rows, features=PAIRS)


def _about(problem: Problem, number: int) -> dict[str, Any]:
    return {
        "question": problem.question,
        "answer": problem.answer,
        "problem_id": problem.id,
        "level": problem.level,
        "family": problem.family,
        "round": number,
    }
