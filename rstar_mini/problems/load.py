"""Load problems from the shipped files, from a JSONL file, or from a dataset of the Hugging Face Hub."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from rstar_mini.code_cot import CODE, END_ANSWER, boxed_answer
from rstar_mini.errors import UserError
from rstar_mini.paths import data_file
from rstar_mini.types import Problem

GENERATED = ("train", "validation", "test")
CONFIGS = {"openai/gsm8k": "main"}  # datasets that cannot be loaded without naming a configuration
INSTEAD = "use 'generated' or a .jsonl file with 'question' and 'answer'"


def load_problems(
    source: str,
    split: str = "train",
    limit: int | None = None,
    families: Sequence[str] | None = None,
    levels: Sequence[int] | None = None,
) -> list[Problem]:
    """The problems of a source, in its order, cut to `limit` after the choice of families and levels.

    `source` is "generated" (the shipped splits train, validation and test), a path that ends in .jsonl (`split` plays
    no part), or a dataset of the Hub such as "openai/gsm8k", "HuggingFaceH4/MATH-500" or "AI-MO/NuminaMath-CoT". Rows
    have `question` or `problem`, and `answer` or a `solution` with a boxed answer; an answer that ends in "#### 42" is
    cut to its final answer.

    Raises:
        UserError: no such source or split, a broken or incomplete row, no problem left, or a limit below 1.
    """
    if limit is not None and limit < 1:
        raise UserError(f"limit {limit} is below 1; leave it out to load every problem")
    if source == "generated":
        rows = _read_jsonl(_generated(split))
    elif source.endswith(".jsonl"):
        rows = _read_jsonl(Path(source))
    else:
        rows = _read_hub(source, split)
    chosen = (row for row in rows if _wanted(row, families, levels))
    problems = list(islice(chosen, limit))
    if not problems:
        raise UserError(f"{source}: no problem with families {families or 'any'} and levels {levels or 'any'}")
    return problems


def _wanted(problem: Problem, families: Sequence[str] | None, levels: Sequence[int] | None) -> bool:
    """Problems that carry no family or level, as most sources' do, pass every choice of them."""
    right_family = families is None or problem.family is None or problem.family in families
    return right_family and (levels is None or problem.level is None or problem.level in levels)


def _generated(split: str) -> Path:
    if split not in GENERATED:
        raise UserError(f"the generated problems have no split '{split}'; use one of {', '.join(GENERATED)}")
    return data_file(f"{split}.jsonl")


def _read_jsonl(path: Path) -> Iterator[Problem]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read as UTF-8 text ({error})"
        raise UserError(f"{path}: {reason}; give a JSONL file with 'question' and 'answer' on each line") from error
    if not any(line.strip() for line in lines):
        raise UserError(f"{path}: the file is empty; each line needs 'question' and 'answer'")
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _problem(_row(line, f"{path}, line {number}"), f"{path.stem}-{number}", f"{path}, line {number}")


def _row(line: str, place: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{place}: not valid JSON ({error.msg}, column {error.colno}); mend or remove the line"
        ) from error
    if not isinstance(row, dict):
        raise UserError(f'{place}: not a JSON object; write {{"question": ..., "answer": ...}}')
    return row


def _read_hub(name: str, split: str) -> Iterator[Problem]:
    for number, row in enumerate(_hub_rows(name, split)):
        if _final_answer(row):  # proofs have no final answer to check a trajectory against
            yield _problem(row, f"{name.split('/')[-1]}-{number}", f"{name}, row {number}")


def _hub_rows(name: str, split: str) -> Iterable[dict[str, Any]]:
    from datasets import load_dataset

    from rstar_mini.hub import Repo

    folder = Repo(name, "dataset").snapshot()
    try:
        rows: Iterable[dict[str, Any]] = load_dataset(str(folder), CONFIGS.get(name), split=split)
    except Exception as error:  # every format of a data set has its own errors
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"cannot read '{name}' (split '{split}') from the Hub: {reason}; {INSTEAD}") from error
    return rows


def _problem(row: dict[str, Any], default_id: str, place: str) -> Problem:
    question = _text(row.get("question") or row.get("problem"))
    answer = _final_answer(row)
    for key, value in (("question", question), ("answer", answer)):
        if not value:
            raise UserError(f"{place}: '{key}' is missing or empty; each problem needs a question and a final answer")
    solution = _text(row.get("solution"))
    return Problem(
        id=_text(row.get("id")) or _text(row.get("unique_id")) or default_id,
        question=question,
        answer=answer,
        level=_level(row.get("level")),
        family=_text(row.get("family")) or None,
        solution=solution if solution.startswith(CODE) else None,  # prose solutions are not in our format
        unseen=row.get("unseen") is True,
        agreement=row.get("agreement"),
    )


def _text(value: object) -> str:
    """Strings and numbers as stripped text; anything else counts as missing."""
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _final_answer(row: dict[str, Any]) -> str:
    """The final answer: after "####" as in GSM8K, else the whole answer, else what the solution boxes."""
    answer = _text(row.get("answer"))
    if "####" in answer:
        return answer.rsplit("####", 1)[1].strip().replace(",", "")
    return answer or boxed_answer(_text(row.get("solution")) + END_ANSWER) or ""


def _level(value: object) -> int | None:
    """The number of a level such as 3 or "Level 3"; None without one."""
    found = re.search(r"\d+", _text(value))
    return int(found[0]) if found else None
