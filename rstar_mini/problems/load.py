"""Load problems from the shipped files, from a JSONL file, or from a dataset of the Hugging Face Hub."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from rstar_mini.answers.extract import boxed_answer, marked_answer
from rstar_mini.code_cot import CODE
from rstar_mini.errors import UserError
from rstar_mini.paths import data_file
from rstar_mini.problems.files import check_card, is_local, read_rows
from rstar_mini.problems.sets import BOXED, SETS, Columns, config_of, fitting
from rstar_mini.types import Problem

SPLITS = ("train", "validation", "test")
# What the names of the files of a shipped source begin with. Problems of two files come in turns.
SHIPPED = {"generated": ("",), "puzzles": ("puzzles-",), "mixed": ("", "puzzles-")}
_MAX_LEVEL = 999_999
INSTEAD = "use 'generated' or a .jsonl file with 'question' and 'answer'"


def load_problems(
    source: str,
    split: str = "train",
    limit: int | None = None,
    families: Sequence[str] | None = None,
    levels: Sequence[int] | None = None,
) -> list[Problem]:
    """The problems of a source, in its order, cut to `limit` after the choice of families and levels.

    `source` is "generated", "puzzles" or "mixed", which has both in turns (the shipped splits train, validation and
    test), a path that ends in .jsonl, .json or .parquet (`split` plays no part), the short name of a known set
    (`rstar_mini.problems.sets.SETS`, such as "gsm8k"), a dataset of the Hub such as "AI-MO/NuminaMath-1.5", or a folder
    with the files of one. Rows have the columns of a known set, or `question` or `problem` and `answer` or a `solution`
    with a boxed answer; an answer that ends in "#### 42" is cut to its final answer. A level is a whole number:
    "Level 3" is 3, and so is a difficulty of 3.5.

    Raises:
        UserError: no such source or split, a broken or incomplete row, no problem left, or a limit below 1.
    """
    return read_problems(source, split, limit, families, levels)[0]


def hub_name(source: str) -> str | None:
    """The Hub's name of a source of problems; None for one that is not there."""
    if source in SHIPPED or is_local(source):
        return None
    return SETS[source].hub if source in SETS else source


def read_problems(
    source: str,
    split: str = "train",
    limit: int | None = None,
    families: Sequence[str] | None = None,
    levels: Sequence[int] | None = None,
) -> tuple[list[Problem], int]:
    """What `load_problems` gives, and how many rows it passed over because they have no final answer.

    Such rows, proofs above all, leave nothing to check a trajectory against. A row of a JSONL file is one of them when
    its answer is there and empty, or its solution states none; without either it is a broken row.
    """
    if limit is not None and limit < 1:
        raise UserError(f"limit {limit} is below 1; leave it out to load every problem")
    problems: list[Problem] = []
    without_answer = 0
    parts = [(p for p in part if p is None or _wanted(p, families, levels)) for part in _read(source, split)]
    for problem in _in_turns(parts):
        if problem is None:
            without_answer += 1
        else:
            problems.append(problem)
        if len(problems) == limit:
            break
    _check_ids(source, problems)
    if not problems:
        proofs = f"; rows without a final answer: {without_answer}" if without_answer else ""
        raise UserError(f"{source}: no problem with families {families or 'any'} and levels {levels or 'any'}{proofs}")
    return problems, without_answer


def _check_ids(source: str, problems: Sequence[Problem]) -> None:
    """Solutions are kept under the problem's id, so each must be its own.

    Raises:
        UserError: some ids come twice.
    """
    counts = Counter(problem.id for problem in problems)
    if twice := [name for name, count in counts.items() if count > 1]:
        named = ", ".join(map(repr, twice[:5])) + (", ..." if len(twice) > 5 else "")
        raise UserError(f"{source}: {len(twice)} ids belong to several problems: {named}; give each problem its own id")


def _in_turns(parts: Sequence[Iterator[Problem | None]]) -> Iterator[Problem | None]:
    """One of each part after the other, as long as it lasts."""
    ended = object()
    for turn in zip_longest(*parts, fillvalue=ended):
        yield from (each for each in turn if each is not ended)  # type: ignore[misc]  # the rest are problems


def _read(source: str, split: str) -> list[Iterator[Problem | None]]:
    """Problem by problem, the parts of a source apart; None stands for a row without a final answer."""
    if source in SHIPPED:
        return [_read_file(path) for path in _shipped(source, split)]
    if is_local(source) and not Path(source).is_dir():
        return [_read_file(Path(source))]
    return [_read_hub(source, split)]


def _wanted(problem: Problem, families: Sequence[str] | None, levels: Sequence[int] | None) -> bool:
    """Problems that carry no family or level, as most sources' do, pass every choice of them."""
    right_family = families is None or problem.family is None or problem.family in families
    return right_family and (levels is None or problem.level is None or problem.level in levels)


def _shipped(source: str, split: str) -> list[Path]:
    if split not in SPLITS:
        raise UserError(f"the {source} problems have no split '{split}'; use one of {', '.join(SPLITS)}")
    return [data_file(f"{part}{split}.jsonl") for part in SHIPPED[source]]


def _read_file(path: Path) -> Iterator[Problem | None]:
    for number, place, row in read_rows(path):
        yield None if _unanswered(row) else _problem(row, f"{path.stem}-{number}", place)


def _unanswered(row: dict[str, Any]) -> bool:
    """Whether the row says itself that it has no final answer; see `read_problems`."""
    columns = fitting(tuple(row))
    has_place = columns.answer in row or columns.solution in row
    answer = row.get(columns.answer)
    return has_place and (not answer or _is_nan(answer)) and not _final_answer(row, columns)


def _read_hub(name: str, split: str) -> Iterator[Problem | None]:
    hub = name
    known = None if is_local(name) else SETS.get(name)
    if known:
        if split not in known.splits:
            raise UserError(f"the problem set {name} has no split '{split}'; use {' or '.join(known.splits)}")
        hub, split = known.hub, known.splits[split]
    for number, row in enumerate(_hub_rows(hub, split)):
        if _final_answer(row, fitting(tuple(row))):
            yield _problem(row, f"{name.split('/')[-1]}-{number}", f"{name}, row {number}")
        else:
            yield None


def _hub_rows(name: str, split: str) -> Iterable[dict[str, Any]]:
    from datasets import load_dataset

    from rstar_mini.hub import Repo

    config = config_of(name)
    folder = Path(name) if Path(name).is_dir() else Repo(name, "dataset", config=config).snapshot()
    check_card(Path(folder))
    try:
        rows: Iterable[dict[str, Any]] = load_dataset(str(folder), config, split=split)
    except Exception as error:  # every format of a data set has its own errors
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"cannot read '{name}' (split '{split}') from the Hub: {reason}; {INSTEAD}") from error
    return rows


def _problem(row: dict[str, Any], default_id: str, place: str) -> Problem:
    columns = fitting(tuple(row))
    question = " ".join(filter(None, (_text(row.get(name)) for name in columns.question)))
    answer = _final_answer(row, columns)
    for key, value in (("question", question), ("answer", answer)):
        if not value:
            raise UserError(f"{place}: '{key}' is missing or empty; each problem needs a question and a final answer")
    solution = _text(row.get(columns.solution))
    problem = Problem(
        id=_text(row.get("id")) or _text(row.get("unique_id")) or default_id,
        question=question,
        answer=answer,
        level=_level(row.get(columns.level), place),
        family=_text(row.get(columns.family)) or None,
        solution=solution if solution.startswith(CODE) else None,  # prose solutions are not in our format
        unseen=row.get("unseen") is True,
        agreement=row.get("agreement"),
    )
    for value in (problem.id, question, answer, problem.family or "", solution):
        _check_text(value, place)
    return problem


def _check_text(text: str, place: str) -> None:
    """Half a character, as broken exports have them, can be neither tokenised nor written.

    Raises:
        UserError: the text has one.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):04x}"
        raise UserError(f"{place}: {half} is half a character, which is no text; mend or remove the row") from error


def _text(value: object) -> str:
    """Strings and numbers as stripped text; anything else counts as missing, and so does NaN."""
    text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    return "" if _is_nan(text) else text


def _is_nan(value: object) -> bool:
    return str(value).strip().lower() == "nan"


def _final_answer(row: dict[str, Any], columns: Columns) -> str:
    """The final answer as `Columns` says where it stands, "" without one."""
    answer = row.get(columns.answer)
    if columns.listed and isinstance(answer, list):
        return ", ".join(_text(item).strip("$") for item in answer)
    if "####" in _text(answer):
        return marked_answer(_text(answer), "####")
    return _text(answer) or _stated(_text(row.get(columns.solution)), columns.mark)


def _stated(solution: str, mark: str) -> str:
    """The final answer that a worked solution states."""
    return (boxed_answer(solution) or "") if mark == BOXED else marked_answer(solution, mark)


def _level(value: object, place: str) -> int | None:
    """The whole number of a level such as 3, 3.5 or "Level 3"; None without one.

    Raises:
        UserError: it is no level, such as a number of many digits.
    """
    if value != value:  # NaN, which stands for none in tables
        return None
    if isinstance(value, float):
        if not 0 <= value <= _MAX_LEVEL:
            raise UserError(f"{place}: the level {value:g} is not from 0 to {_MAX_LEVEL}; mend or remove it")
        return int(value)
    found = re.search(r"\d+", _text(value))
    if found and len(found[0]) > len(str(_MAX_LEVEL)):
        raise UserError(f"{place}: a level of {len(found[0])} digits; mend or remove it")
    return int(found[0]) if found else None
