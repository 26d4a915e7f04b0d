"""Training problems that stand in a test set are found, left out and reported."""

import json
from pathlib import Path

import pytest
from small_runs import SMALL, Until

import rstar_mini
from rstar_mini.errors import UserError
from rstar_mini.evolution.problems import gather
from rstar_mini.problems import load_problems
from rstar_mini.problems.decontaminate import Contamination, decontaminate, ngrams, normalised
from rstar_mini.recipes import load_recipe
from rstar_mini.types import Problem

LONG = "On Monday a ferry carries 48 cars and 3 buses over the lake, and each bus has 29 seats. How many seats is that?"


def problem(name: str, question: str) -> Problem:
    return Problem(name, question, "1")


def against(*questions: str) -> Contamination:
    return Contamination({"held": [problem(f"t{i}", question) for i, question in enumerate(questions)]})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Find  the value of $x$.", "find the value of x"),
        ("What is \\left( 2 \\right) + 10,000?", "What is (2) + 10{,}000 ?"),
        ("Add $\\dfrac{1}{2}\\,$ and 10,\\!000", "add $\\frac{1}{2}$ and 10000"),
        ("Janet’s ducks: 3.5 kg", "Janet's ducks, 3.5\\text{ kg}"),
    ],
)
def test_case_spacing_and_dressing_do_not_matter(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)
    assert against(one).find(other) == {"test_set": "held", "test_problem": "t0", "why": "same text"}


@pytest.mark.parametrize(
    ("one", "other"),
    [("3 + 4?", "3 - 4?"), ("Take 35 from 60", "Take 3.5 from 60"), ("2^10", "210"), ("a < b", "a > b")],
)
def test_numbers_and_signs_do_matter(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)
    assert against(one).find(other) is None


def test_thirteen_words_in_common_are_too_many_and_twelve_are_not() -> None:
    words = LONG.split()
    thirteen, twelve = (f"Yesterday {' '.join(words[:n])} lorries went by." for n in (13, 12))
    assert against(LONG).find(thirteen) == {"test_set": "held", "test_problem": "t0", "why": "13-gram"}
    assert against(LONG).find(twelve) is None


def test_a_short_test_problem_counts_as_a_whole_only() -> None:
    short = "What is the value of x if x + 2 = 5?"
    assert ngrams(short) == []
    assert against(short).find(f"Tell me now: {short} And why?") is None
    assert against(short).find(short.upper()) is not None


def test_the_code_of_drawings_is_no_common_text() -> None:
    drawing = "[asy] draw((0,0)--(1,0)--(1,1)--(0,1)--cycle); label('A', (0,0), SW); label('B', (1,0), SE); [/asy]"
    assert against(f"{drawing} Find the area.").find(f"{drawing} Find the length of the diagonal.") is None


def test_what_is_left_out_is_reported_by_id_and_the_order_is_kept() -> None:
    tests = {"a": [problem("a1", "1 + 1?")], "b": [problem("b1", LONG)]}
    training = [problem("p1", "2 + 2?"), problem("p2", LONG + " Think."), problem("p3", "1 + 1 ?"), problem("p4", "q")]
    clean, report = decontaminate(training, Contamination(tests))
    assert [p.id for p in clean] == ["p1", "p4"]
    assert report == [
        {"problem": "p2", "test_set": "b", "test_problem": "b1", "why": "13-gram"},
        {"problem": "p3", "test_set": "a", "test_problem": "a1", "why": "same text"},
    ]


def test_as_a_whole_only_when_asked_so() -> None:
    tests = {"held": [problem("t0", LONG)]}
    contamination = Contamination(tests, as_wholes=["held"])
    assert contamination.find(LONG + " Think.") is None
    assert contamination.find(LONG.lower()) is not None


def jsonl(path: Path, *questions: str) -> str:
    path.write_text("".join(json.dumps({"question": q, "answer": "1"}) + "\n" for q in questions))
    return str(path)


def test_a_recipe_checks_its_evaluation_set_and_the_sets_that_it_names(tmp_path) -> None:
    mine = jsonl(tmp_path / "mine.jsonl", "1 + 1?", "2 + 2?", LONG, "3 + 3?")
    held, other = jsonl(tmp_path / "held.jsonl", "9 + 9?", "1 + 1"), jsonl(tmp_path / "other.jsonl", LONG + " Think.")
    changes = ["problems.limit=null", "problems.families=null", "problems.levels=null", f"problems.path={mine}"]
    changes += [f"evaluation.path={held}", "evaluation.limit=1"]
    gathered = gather(load_recipe("tiny", changes))
    assert [p.question for p in gathered.training] == ["2 + 2?", LONG, "3 + 3?"]  # beyond the limit of evaluation, too
    assert [p.question for p in gathered.heldout] == ["9 + 9?"]
    gathered = gather(load_recipe("tiny", [*changes, f"problems.decontaminate=[{other}, generated:validation]"]))
    assert [p.question for p in gathered.training] == ["2 + 2?", "3 + 3?"]
    assert gathered.report["test_sets"] == {held: 2, other: 1, "generated:validation": 1050}
    assert gathered.counts == {"training": 2, "heldout": 1, "contaminated": 2, "without_answer": 0}
    assert str(gathered).startswith("2 training problems; 2 left out because they stand in ")
    with pytest.raises(UserError, match="every problem stands in a test set"):
        gather(load_recipe("tiny", [*changes, f"evaluation.path={mine}"]))


def test_families_and_levels_are_those_of_one_source(tmp_path) -> None:
    both = gather(load_recipe("tiny", ["problems.limit=9", "problems.families=[money]", "problems.levels=[2]"]))
    assert {(p.family, p.level) for p in both.training + both.heldout} == {("money", 2)}
    held = tmp_path / "held.jsonl"
    held.write_text('{"question": "9 + 9?", "answer": "18", "level": 5, "family": "sums"}\n')
    other = gather(load_recipe("tiny", ["problems.limit=9", "problems.levels=[2]", f"evaluation.path={held}"]))
    assert [p.question for p in other.heldout] == ["9 + 9?"]


def test_the_default_recipe_loses_no_problem() -> None:
    gathered = gather(load_recipe("tiny"))
    assert gathered.training == load_problems("generated", "train", 2400, *choice())
    assert gathered.report == {"test_sets": {"generated:test": 8820}, "left_out": []}


def choice() -> tuple[list[str] | None, list[int] | None]:
    problems = load_recipe("tiny").problems
    return problems.families, problems.levels


def test_a_run_keeps_the_report_and_the_counts(tmp_path) -> None:
    taken = load_problems("generated", "train", 12, *choice())[3]
    held = jsonl(tmp_path / "held.jsonl", taken.question)
    progress = Until("round 1: search")
    with pytest.raises(KeyboardInterrupt):
        rstar_mini.evolve("tiny", tmp_path / "run", 1, [*SMALL, f"problems.decontaminate=[{held}]"], progress)
    run = rstar_mini.load_run(tmp_path / "run")
    report = json.loads((run.round(0) / "decontamination.json").read_text())
    row = {"problem": taken.id, "test_set": held, "test_problem": "held-1", "why": "same text"}
    assert report == {"test_sets": {"generated:test": 8820, held: 1}, "left_out": [row]}
    assert taken.question not in (run.round(0) / "decontamination.json").read_text()
    assert run.metrics()[0]["problems"] == {"training": 11, "heldout": 4, "contaminated": 1, "without_answer": 0}
    assert f"11 training problems; 1 left out because they stand in generated:test, {held}" in progress.said
    assert progress.stages["round 1: search"] == 11 and run.verify() == []
