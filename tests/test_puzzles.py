"""Puzzles: one answer, found by luck in few plays; splits apart; solutions that run; and faults that are found."""

import json
import random
import re
from dataclasses import replace

import pytest

from rstar_mini.code_cot import END_STEP, own_stdout, program, split_steps
from rstar_mini.paths import data_file
from rstar_mini.problems import load_problems
from rstar_mini.problems.puzzles.__main__ import main
from rstar_mini.problems.puzzles.follow import Follower, read_puzzles
from rstar_mini.problems.puzzles.generate import (
    DECISIONS,
    FAMILIES,
    LUCKY,
    MOST_LUCK,
    SPLITS,
    WANTED_LUCK,
    draw,
    tell,
    write_puzzles,
)
from rstar_mini.problems.puzzles.puzzle import Puzzle, write_play
from rstar_mini.problems.puzzles.solver import Solver
from rstar_mini.sandbox import Sandbox

SAMPLE = 12  # shipped puzzles of each family and split that are solved by enumeration again


@pytest.fixture(scope="module")
def puzzles():
    return {split: read_puzzles(split) for split in SPLITS}


@pytest.fixture(scope="module")
def problems():
    return {split: load_problems("puzzles", split) for split in SPLITS}


def some(problems, family: str, count: int = SAMPLE):
    chosen = [problem for problem in problems if problem.family == family]
    return random.Random(family).sample(chosen, count)


def play_of(family: str, seed: int = 0, winning: bool = True) -> tuple[Puzzle, str]:
    solver, rng = Solver(FAMILIES[family]), random.Random(seed)
    puzzle = draw(solver, 5, rng)
    return puzzle, write_play(solver.family, puzzle.start, solver.play(puzzle.start, rng, winning))


def every_play(solver: Solver, state, play=()):
    """All legal plays, by a walk that shares nothing with the solver's own counting."""
    if not state.left:
        yield play
    for decision in solver.family.decisions(state) if state.left else []:
        yield from every_play(solver, decision.after, (*play, decision))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("split", SPLITS)
def test_all_winning_plays_of_a_shipped_puzzle_give_its_answer(family, split, problems, puzzles):
    solver = Solver(FAMILIES[family])
    for problem in some(problems[split], family):
        plays = every_play(solver, puzzles[split][problem.id].start)
        answers = {str(play[-1].after.record) for play in plays if play[-1].after.won}
        assert answers == {problem.answer}


@pytest.mark.parametrize("family", FAMILIES)
def test_luck_is_as_the_family_wants_it(family, problems, puzzles):
    solver = Solver(FAMILIES[family])
    for problem in some(problems["test"], family):
        start, answer = puzzles["test"][problem.id].start, int(problem.answer)
        if family in LUCKY:
            assert WANTED_LUCK[0] <= solver.lucky_share(start, answer) <= WANTED_LUCK[1]
        else:
            assert solver.luck(start, answer) <= MOST_LUCK


@pytest.mark.parametrize("family", FAMILIES)
def test_chances_are_those_of_random_play(family, problems, puzzles):
    """Both chances, which choose the puzzles, against plays counted one by one."""
    solver = Solver(FAMILIES[family])
    problem = some(problems["validation"], family, 1)[0]
    start, answer, rng = puzzles["validation"][problem.id].start, int(problem.answer), random.Random(0)
    right = lost = lucky = 0
    for _ in range(4000):
        play = solver.play(start, rng, winning=False)
        end = play[-1].after if play else start
        given = not end.left and end.record == answer
        right += given
        lost += not end.won
        lucky += given and not end.won
    assert right / 4000 == pytest.approx(solver.luck(start, answer), abs=0.03)
    assert lucky / lost == pytest.approx(solver.lucky_share(start, answer), abs=0.03)


def test_no_key_of_a_test_puzzle_is_in_training(puzzles):
    keys = {split: {puzzle.key for puzzle in found.values()} for split, found in puzzles.items()}
    assert {split: len(found) for split, found in keys.items()} == SPLITS
    assert not keys["train"] & (keys["test"] | keys["validation"])
    assert not keys["test"] & keys["validation"]


def test_a_puzzle_told_otherwise_has_the_same_key():
    puzzle, _ = play_of("moves")
    told = {tell(puzzle, random.Random(seed), heldout=False) for seed in range(5)}
    assert len(told) > 1
    assert Puzzle.from_key(json.loads(json.dumps(puzzle.key))) == puzzle


def test_held_out_phrasings_are_in_the_test_split_alone(problems):
    assert all(not problem.unseen for split in ("train", "validation") for problem in problems[split])
    unseen = sum(problem.unseen for problem in problems["test"]) / SPLITS["test"]
    assert 0.3 < unseen < 0.4
    trained, tested = (
        {word for problem in problems[split] for word in re.findall(r"[a-z]+", problem.question.lower())}
        for split in ("train", "test")
    )
    assert tested <= trained


def test_the_shipped_files_begin_as_the_command_writes_them(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setattr("rstar_mini.problems.puzzles.generate.SPLITS", {"train": 30})
    monkeypatch.setattr("sys.argv", ["puzzles", "--out", str(tmp_path / "new")])
    main()
    shipped = data_file("puzzles-train.jsonl").read_text(encoding="utf-8")
    assert shipped.startswith((tmp_path / "new" / "puzzles-train.jsonl").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_shipped_files_are_what_the_command_writes(tmp_path):
    write_puzzles(tmp_path, 0)
    for split in SPLITS:
        name = f"puzzles-{split}.jsonl"
        assert (tmp_path / name).read_bytes() == data_file(name).read_bytes()


def test_families_and_levels_come_equally_often(problems):
    for split, size in SPLITS.items():
        cells = [(problem.family, problem.level) for problem in problems[split]]
        assert {cells.count((family, level)) for family in FAMILIES for level in DECISIONS} == {
            size // len(FAMILIES) // len(DECISIONS)
        }


def test_worked_solutions_run_and_show_what_they_say(problems, puzzles):
    worked = [problem for problem in problems["train"] if problem.solution]
    assert {(p.family, p.level) for p in worked} == {(family, level) for family in FAMILIES for level in DECISIONS}
    with Sandbox() as box:
        for problem in worked[::10]:
            steps = split_steps(problem.solution)
            runs = box.run_many([program(steps[: n + 1]) for n in range(len(steps) - 1)])
            ran = [replace(step, execution=run) for step, run in zip(steps, runs, strict=False)]
            for n, step in enumerate(ran):
                assert step.execution.ok, step.execution.error
                assert f"<output>{own_stdout(step, ran[:n]).strip()}<end_of_output>" in step.output
            assert steps[-1].answer == problem.answer
            followed = Follower(puzzles["train"][problem.id]).follow(steps[:-1])
            assert followed.state is not None
            assert followed.state.won


def test_no_step_looks_at_the_goal():
    """Else the sandbox would be the judge."""
    for family in FAMILIES:
        _, text = play_of(family)
        for step in split_steps(text)[:-1]:
            assert not {"assert", "if", "while", "==", "<", ">", "!=", "in"} & set(program([step]).split())


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("now, goal, left, total = ", "now, goal, left, total = 1", "other numbers than the question's"),
        ("# Double\n", "# Add\n", "a comment unlike the code"),
        ("move(now * 2)", "move(now * 3)", "not a legal decision"),
        ("<output>", "<output>9", "a state that the decisions do not lead to"),
        ("print(total)", "print(now)", "another end"),
    ],
)
def test_what_is_not_sound_is_named(old, new, fault):
    puzzle, text = next(
        (puzzle, text) for seed in range(20) for puzzle, text in [play_of("moves", seed)] if "* 2" in text
    )
    assert Follower(puzzle).follow(split_steps(text)[:-1]).fault == ""
    assert Follower(puzzle).follow(split_steps(text.replace(old, new, 1))[:-1]).fault == fault


def test_a_decision_too_many_is_not_sound():
    puzzle, text = play_of("signs")
    steps = split_steps(text)
    last = [step for step in steps if step.text.endswith(END_STEP)][-1]
    assert Follower(puzzle).follow([*steps[:-2], last]).fault == "a decision too many"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_state_is_winnable_exactly_if_a_play_wins_from_it(family):
    puzzle, text = play_of(family, seed=1, winning=False)
    follower = Follower(puzzle)
    steps = [step for step in split_steps(text) if step.text.endswith(END_STEP)]
    for n in range(1, len(steps) + 1):
        state = follower.follow(steps[:n]).state
        plays = list(every_play(follower.solver, state)) if state.left else []
        assert follower.winnable(steps[:n]) == (any(play[-1].after.won for play in plays) or state.won)


def test_the_question_holds_every_number_of_the_puzzle(problems, puzzles):
    for problem in problems["validation"][:100]:
        start = puzzles["validation"][problem.id].start
        numbers = {int(number) for number in "".join(c if c.isdigit() else " " for c in problem.question).split()}
        shown = {start.goal, start.left, *start.numbers} | ({start.now} if problem.family != "coins" else set())
        assert shown <= numbers
