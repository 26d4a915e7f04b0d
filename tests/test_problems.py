"""Generated problems and the loaders."""

import contextlib
import importlib
import io
import json
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from random import Random

import pytest

from rstar_mini.code_cot import program, split_steps
from rstar_mini.errors import UserError
from rstar_mini.hub import Repo
from rstar_mini.paths import cache_dir, data_file
from rstar_mini.problems import FAMILIES, families, generate, load_problems, write_splits
from rstar_mini.problems.__main__ import main
from rstar_mini.problems.generate import CORE, SIZES
from rstar_mini.problems.story import Clause
from rstar_mini.types import Problem

SPLITS = ("train", "validation", "test")
CELLS = [(family, level) for family in FAMILIES for level in range(1, 6)]


@pytest.fixture(scope="module")
def shipped() -> dict[str, list[Problem]]:
    return {split: load_problems("generated", split) for split in SPLITS}


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


def run(code: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {})  # our own generated programs
    return out.getvalue().strip()


@pytest.mark.parametrize("heldout", [False, True])
def test_a_worked_solution_round_trips_runs_and_gives_the_answer(heldout: bool) -> None:
    for family, level in CELLS:
        problem = generate(family, level, Random(f"{family}/{level}"), heldout)
        assert problem.solution is not None
        steps = split_steps(problem.solution)
        assert "".join(step.full_text for step in steps) == problem.solution
        assert run(program(steps)) == problem.answer == steps[-1].answer
        assert steps[-2].output == f"\n<output>{problem.answer}<end_of_output>\n"


def test_the_level_is_the_number_of_computing_steps() -> None:
    for family, level in CELLS:
        problem = generate(family, level, Random(f"{family}/{level}/steps"))
        assignments = re.findall(r"^([a-z_]+) = (?!symbols)", problem.solution or "", flags=re.M)
        assert len(assignments) == len(set(assignments)) == level


def test_a_step_quotes_the_sentences_that_it_reads() -> None:
    quoting = [cell for cell in CELLS if cell[0] not in ("sequences", "probability")]
    for family, level in quoting:
        problem = generate(family, level, Random(f"{family}/{level}/quotes"))
        comments = re.findall(r"^# (.*)$", problem.solution or "", flags=re.M)
        quotations = [comment for comment in comments if comment[-1] in ".?"]
        assert quotations and all(
            sentence in problem.question for comment in quotations for sentence in re.split(r"(?<=[.?]) ", comment)
        )
        assert all(len(comment.split()) <= 6 for comment in comments if comment not in quotations)


def test_the_same_draw_gives_the_same_problem_and_another_draw_another() -> None:
    first, again, other = (generate("money", 4, Random(seed)) for seed in ("a", "a", "b"))
    assert first == again
    assert first.question != other.question


def test_unknown_families_and_levels_are_refused() -> None:
    with pytest.raises(UserError, match="no family 'magic'; use one of inventory"):
        generate("magic", 1, Random("x"))
    with pytest.raises(UserError, match="no level 6"):
        generate("money", 6, Random("x"))


def test_every_clause_has_enough_phrasings_and_holds_some_out() -> None:
    names = [f"{families.__name__}.{info.name}" for info in pkgutil.iter_modules(families.__path__)]
    modules = [importlib.import_module(name) for name in [*names, "rstar_mini.problems.tell"]]
    clauses = [(name, value) for module in modules for name, value in vars(module).items() if isinstance(value, Clause)]
    assert len(clauses) > 100
    for name, value in clauses:
        assert len(set(value.seen)) >= 3, name
        assert value.unseen, name
    seen = {_shape(text) for _, value in clauses for text in value.seen}
    assert not [text for _, value in clauses for text in value.unseen if _shape(text) in seen]


def _shape(phrasing: str) -> str:
    """The phrasing with every person alike and every object alike."""
    return re.sub(r"\{(o|s)[23]?\}", "{thing}", re.sub(r"\{[A-Z]\}", "{person}", phrasing)).lower()


def few(monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    """Let each split have so many problems."""
    for split in SPLITS:
        monkeypatch.setitem(SIZES, split, n)


def test_the_shipped_files_begin_as_the_command_writes_them(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    few(monkeypatch, 300)
    write_splits(tmp_path, 0)
    made, there = ((folder / "train.jsonl").read_bytes() for folder in (tmp_path, data_file("train.jsonl").parent))
    assert there.startswith(made) and made.count(b"\n") == 300


@pytest.mark.slow  # makes 20,000 problems
def test_the_shipped_files_are_what_the_command_writes(tmp_path) -> None:
    write_splits(tmp_path, 0)
    for split in SPLITS:
        made, there = (path.read_bytes() for path in (tmp_path / f"{split}.jsonl", data_file(f"{split}.jsonl")))
        assert made == there
        assert len(there) < 3_500_000


def test_levels_are_even_and_core_families_come_twice_as_often(shipped: dict[str, list[Problem]]) -> None:
    assert {split: len(rows) for split, rows in shipped.items()} == {"train": 10500, "validation": 1050, "test": 8820}
    for split, each in {"train": 100, "validation": 10, "test": 84}.items():
        cells = Counter((row.family, row.level) for row in shipped[split])
        assert cells == {(family, level): each * (1 + (family in CORE)) for family, level in CELLS}
    solved = Counter((row.family, row.level) for row in shipped["train"] if row.solution)
    assert solved == {(family, level): 5 * (1 + (family in CORE)) for family, level in CELLS}
    assert not any(row.solution for split in ("validation", "test") for row in shipped[split])


def test_shipped_solutions_agree_with_their_answers(shipped: dict[str, list[Problem]]) -> None:
    rows = [row for row in shipped["train"] if row.solution]
    for row in rows[::7]:
        assert run(program(split_steps(row.solution or ""))) == row.answer


def test_no_question_comes_twice_not_even_under_other_names(shipped: dict[str, list[Problem]]) -> None:
    names = {name.lower() for name in importlib.import_module("rstar_mini.problems.story").NAMES}
    masked = [
        " ".join("someone" if word in names else word for word in re.findall(r"[a-z]+|\d+", row.question.lower()))
        for rows in shipped.values()
        for row in rows
    ]
    assert len(set(masked)) == len(masked)


def test_held_out_phrasings_occur_in_the_test_split_alone(shipped: dict[str, list[Problem]]) -> None:
    assert not any(row.unseen for split in ("train", "validation") for row in shipped[split])
    assert sum(row.unseen for row in shipped["test"]) >= 0.3 * len(shipped["test"])
    held = re.compile(r"\bThan [A-Z]\w+,|\bIn the end,|\bTogether, ")  # openings that only held-out phrasings have
    assert any(held.search(row.question) for row in shipped["test"] if row.unseen)
    seen = [row for rows in shipped.values() for row in rows if not row.unseen]
    assert not any(re.search(r"\bThan [A-Z]\w+,", row.question) for row in seen)


def test_the_test_split_has_no_word_that_training_lacks(shipped: dict[str, list[Problem]]) -> None:
    known = {split: set().union(*(words(row.question) for row in rows)) for split, rows in shipped.items()}
    assert known["test"] <= known["train"]
    assert known["validation"] <= known["train"]
    assert len(known["train"]) <= 600


def test_questions_are_short_and_some_carry_a_number_that_does_not_matter(shipped: dict[str, list[Problem]]) -> None:
    rows = [row for split in SPLITS for row in shipped[split]]
    assert all(15 <= len(row.question.split()) <= 65 for row in rows)
    longer = [row.question for row in shipped["train"] if (row.level or 0) >= 2]
    idle = sum(
        bool(re.search(r"birthday|windows|children|lives|reads|has \d+ friends", question)) for question in longer
    )
    assert 0.05 < idle / len(longer) < 0.15  # one half or more of the 15 %, the rest look like the story


def test_families_levels_and_limit_choose(shipped: dict[str, list[Problem]]) -> None:
    rows = load_problems("generated", "test", limit=3, families=["money", "ages"], levels=[2, 5])
    wanted = [row for row in shipped["test"] if row.family in ("money", "ages") and row.level in (2, 5)]
    assert rows == wanted[:3]
    with pytest.raises(UserError, match="no problem with families"):
        load_problems("generated", families=["magic"])


def test_bad_limits_and_splits_are_refused() -> None:
    with pytest.raises(UserError, match="limit 0 is below 1"):
        load_problems("generated", limit=0)
    with pytest.raises(UserError, match="no split 'dev'; use one of train, validation, test"):
        load_problems("generated", "dev")


def test_jsonl_rows_of_other_sources_load(tmp_path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(
        '{"question": "What is 6 * 7?", "answer": "6 * 7 = <<6*7=42>>42\\n#### 42", "source": "x"}\n\n'
        '{"id": "b", "question": "And 1000 + 234?", "answer": "#### 1,234", "level": "Level 3"}\n'
        '{"question": "Half of 1?", "answer": 0.5, "solution": "It is one half."}\n',
        encoding="utf-8",
    )
    first, second, third = load_problems(str(path))
    assert first == Problem("mine-1", "What is 6 * 7?", "42")
    assert (second.id, second.answer, second.level) == ("b", "1234", 3)
    assert (third.id, third.answer, third.solution) == ("mine-4", "0.5", None)


def test_written_problems_load_unchanged(tmp_path) -> None:
    problem = Problem(
        "p-1", "How many?", "3/8", 2, "probability", generate("ages", 1, Random("s")).solution, True, 0.75
    )
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps(problem.to_json()) + "\n", encoding="utf-8")
    assert load_problems(str(path)) == [problem]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        ('{"question": "a", "answer": "1"}\n{"question": \n', "line 2: not valid JSON"),
        ("[1, 2]\n", "line 1: not a JSON object"),
        ('{"answer": "1"}\n', "line 1: 'question' is missing or empty"),
        ('{"question": "  ", "answer": "1"}\n', "line 1: 'question' is missing or empty"),
        ('{"question": "a", "answer": "1"}\n{"question": "b"}\n', "line 2: 'answer' is missing or empty"),
        ('{"question": "a", "answer": "so we guess ####"}\n', "line 1: 'answer' is missing or empty"),
        ('{"question": "a", "answer": ["1"]}\n', "line 1: 'answer' is missing or empty"),
    ],
)
def test_a_bad_jsonl_file_is_refused_with_its_line(tmp_path, text: str, message: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=rf"bad\.jsonl.*{message}"):
        load_problems(str(path))


def test_missing_and_unreadable_files_are_refused(tmp_path) -> None:
    with pytest.raises(UserError, match=r"none\.jsonl: no such file"):
        load_problems(str(tmp_path / "none.jsonl"))
    (tmp_path / "odd.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"odd\.jsonl: cannot be read as UTF-8"):
        load_problems(str(tmp_path / "odd.jsonl"))


HUB_ROWS = {
    "openai/gsm8k": [{"question": "How many?", "answer": "3 + 4 = 7\n#### 7"}],
    "HuggingFaceH4/MATH-500": [
        {
            "problem": "Find x.",
            "solution": "So \\boxed{\\frac{1}{2}}.",
            "answer": "\\frac{1}{2}",
            "level": 4,
            "unique_id": "t/9",
        }
    ],
    "AI-MO/NuminaMath-CoT": [
        {"problem": "Prove it.", "solution": "By induction.", "level": "Level 5"},
        {"problem": "Find y.", "solution": "First 3, so $\\boxed{\\frac{3}{8}}$.", "level": "Level 2"},
    ],
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None, str]]:
    """The Hub, replaced by a few rows of the same form; holds the calls. tests/test_hub.py has a mirror of it."""
    datasets = pytest.importorskip("datasets")
    calls = []

    def load(name: str, config: str | None = None, *, split: str):
        calls.append((name, config, split))
        return datasets.Dataset.from_list(HUB_ROWS[name])

    monkeypatch.setattr(Repo, "snapshot", lambda self: self.name)
    monkeypatch.setattr(datasets, "load_dataset", load)
    return calls


def test_hub_columns_are_mapped(hub) -> None:
    assert load_problems("openai/gsm8k", "test") == [Problem("gsm8k-0", "How many?", "7")]
    assert hub == [("openai/gsm8k", "main", "test")]
    assert load_problems("HuggingFaceH4/MATH-500", "test") == [Problem("t/9", "Find x.", "\\frac{1}{2}", 4)]
    assert load_problems("AI-MO/NuminaMath-CoT") == [Problem("NuminaMath-CoT-1", "Find y.", "\\frac{3}{8}", 2)]


def test_a_hub_that_cannot_be_reached_is_named_with_a_way_out() -> None:
    with pytest.raises(
        UserError, match="offline .*the data set 'no/such' is not on this machine; run rstar-mini fetch"
    ):
        load_problems("no/such", "test")


def test_a_data_set_that_cannot_be_read_is_named_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")

    def load(*_: object, **__: object):
        raise ValueError("Unknown split 'test'.\nand a long story")

    monkeypatch.setattr(Repo, "snapshot", lambda self: self.name)
    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(UserError) as caught:
        load_problems("no/such", "test")
    assert str(caught.value) == (
        "cannot read 'no/such' (split 'test') from the Hub: Unknown split 'test'.; "
        "use 'generated' or a .jsonl file with 'question' and 'answer'"
    )


def test_importing_problems_is_light() -> None:
    heavy = {"torch", "datasets", "transformers", "sympy"}
    code = f"import sys, rstar_mini.problems; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_command_writes_three_files(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    few(monkeypatch, 60)
    monkeypatch.setattr("sys.argv", ["problems", "--out", str(tmp_path / "new"), "--seed", "1"])
    main()
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "test.jsonl",
        "train.jsonl",
        "validation.jsonl",
    ]
    assert not data_file("test.jsonl").read_bytes().startswith((tmp_path / "new" / "test.jsonl").read_bytes())


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("RSTAR_MINI_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
