"""The paper's experiments at a small scale: what they measure, that they go on, and how they are shown."""

import json
import re
import shutil

import pytest
from small_runs import SMALL, Until, digests
from typer.testing import CliRunner

from rstar_mini.cli import app
from rstar_mini.code_cot import split_steps, write_solution
from rstar_mini.errors import UserError
from rstar_mini.evaluation.claims import Claim, Verdict
from rstar_mini.evaluation.systems import Outcome, Samples, score_ends
from rstar_mini.experiments import NAMES, experiments, policies, reproduce, scaling, side_by_side, worlds
from rstar_mini.experiments.page import page_files
from rstar_mini.experiments.preferences import any_prefix
from rstar_mini.experiments.reflection import abandoned, kind
from rstar_mini.experiments.results import Grid, Result, claim_of, claim_of_marks, counted, marked, measured
from rstar_mini.experiments.writing import in_words
from rstar_mini.files import read_json
from rstar_mini.policy import ScriptedPolicy
from rstar_mini.ppm.pairs import Pair
from rstar_mini.recipes import load_recipe
from rstar_mini.sandbox import Sandbox
from rstar_mini.search import Expander, Selection, sample
from rstar_mini.types import Problem, Step, Trajectory

FIRST, SECOND = Outcome([1, 1, 0, 0], 80), Outcome([1, 0, 0, 0], 120)


def result() -> Result:
    grid = Grid("Right (%)", ("greedy", "mcts"), {"base": (measured([FIRST, SECOND]), None)})
    claim = claim_of("search over greedy", "3, 6", 11.0, [FIRST, FIRST], [SECOND, SECOND], "of four problems")
    return Result("rounds", "Rounds", "tiny", (0, 1), "rstar-mini reproduce rounds", (3,), (grid,), (claim,))


def test_a_cell_is_over_problems_and_shows_its_seeds():
    cell = measured([FIRST, SECOND])
    assert (cell.percent, cell.n, cell.by_seed, cell.tokens) == (37.5, 4, (50.0, 25.0), 25.0)
    assert cell.low < 37.5 < cell.high
    assert cell.high - cell.low == pytest.approx(counted(1.5, 4, []).high - counted(1.5, 4, []).low)


def test_systems_are_compared_by_problem_and_shown_by_seed():
    claim = claim_of("first over second", "3", 1.0, [FIRST, SECOND], [SECOND, SECOND])
    assert claim.ours and claim.ours[0] == 0.125 and claim.ours[1] < 0 < claim.ours[2] < 0.6
    assert claim.by_seed == (0.25, 0.0) and claim.verdict is Verdict.OPEN


def test_marks_count_each_problem_once_and_compare_those_that_have_both():
    a = [{"p": [1, 1, 1, 0], "q": [1]}, {"p": [0, 0]}]
    b = [{"p": [0], "r": [1]}, {"p": [0], "r": [0]}]
    cell = marked(a)
    assert cell and (cell.n, cell.percent, cell.by_seed) == (2, 68.75, (87.5, 0.0))
    claim = claim_of_marks("a over b", "-", None, a, b)
    assert claim.ours and claim.ours[0] == 0.375 and claim.by_seed == (0.75, 0.0)
    under_one_seed = claim_of_marks("a over b", "-", None, [{"p": [1]}, {}], [{"p": [0]}, {"p": [1]}])
    assert under_one_seed.ours and under_one_seed.ours[0] == 1.0, "the second seed has nothing to compare with"
    assert marked([{}, {}]) is None
    assert claim_of_marks("a over b", "-", None, a, [{}, {}]).verdict is Verdict.UNMEASURED


@pytest.mark.parametrize(
    ("ours", "by_seed", "verdict"),
    [
        ((0.02, 0.01, 0.03), (), Verdict.HOLDS),
        ((0.02, 0.01, 0.03), (0.03, 0.01), Verdict.HOLDS),
        ((0.02, 0.01, 0.03), (0.05, -0.01), Verdict.OPEN),
        ((-0.02, -0.03, -0.01), (-0.03, -0.01), Verdict.FAILS),
        ((-0.02, -0.03, -0.01), (-0.05, 0.01), Verdict.OPEN),
        ((0.0, -0.01, 0.01), (0.01, -0.01), Verdict.OPEN),
    ],
)
def test_a_verdict_needs_the_interval_and_every_seed_on_one_side(ours, by_seed, verdict):
    assert Claim("a over b", "3", 1.0, ours, by_seed=by_seed).verdict is verdict


def test_results_are_the_same_from_json_and_verdicts_follow_from_the_intervals():
    row = json.loads(json.dumps(result().to_json()))
    assert Result.from_json(row) == result()
    assert row["claims"][0]["verdict"] == str(Verdict.OPEN)
    row["claims"][0] |= {"ours": [0.1, 0.05, 0.2], "verdict": "does not hold at this scale"}
    assert Result.from_json(row).claims[0].verdict is Verdict.HOLDS


def test_the_page_shows_ours_beside_the_papers_with_n_seeds_intervals_and_command():
    files = page_files([result()])
    assert page_files([result()]) == files
    page = files["experiments.html"].decode()
    assert "37.5 [" in page and "n = 4; by seed 50.0, 25.0; 25 tokens a problem" in page
    assert (
        "not settled" in page
        and "+11.0" in page
        and "search over greedy (of four problems)" in page
        and "rstar-mini reproduce rounds" in page
    )
    assert "Table 3: The policy alone, greedy, by round" in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert all(files[name].startswith(b"\x89PNG") for name in ("claims.png", "rounds-0.png"))
    assert 'alt="search over greedy: +' in page


class Judge:
    """Prefers answers that are right by their text, and counts what it reads."""

    def __init__(self, liked: str) -> None:
        self.liked, self.forwarded = liked, 0
        self.cache = self

    def score(self, siblings):
        self.forwarded += 10 * len(siblings)
        return [[0.9 if self.liked in step.text else -0.9 for step in steps] for _, _, steps in siblings]


def answers(question: str, text: str) -> list[str]:
    """Three samples of four say 5, one says 4."""
    if "<end_of_code>" not in text:
        return [f"<code>\nprint({n})\n<end_of_code>" for n in (5, 5, 5, 4)]
    number = text.split("<output>")[1][0]
    return [f"<answer>\\boxed{{{number}}}<end_of_answer>"]


def test_best_of_n_takes_what_the_judge_likes_and_counts_what_it_reads():
    problems = [Problem("p", "2 + 2?", "4")]
    with Sandbox() as box:

        def expander(name: str) -> Expander:
            return Expander(ScriptedPolicy(answers), box, None, name, ground_truth=False)

        for liked, right in (("{4}", [1.0]), ("{5}", [0.0])):
            samples = Samples(problems, expander, "best", load_recipe("tiny"), 25, Judge(liked)).until(200)
            outcome = samples.outcome(Selection.PPM)
            assert outcome.correct == right and outcome.tokens >= 200 and outcome.samples == samples.count
            assert samples.outcome(Selection.VOTE).correct == [0.0]
        trees = sample(problems, expander("x"), 8, 1.0, 4)
    judge = Judge("{4}")
    assert score_ends(trees, judge) == judge.forwarded == 30  # the question's two first steps, and what ends each
    assert {end.prior for end in trees[0].terminals()} == {0.9, -0.9}


def steps(*codes: str) -> tuple[Step, ...]:
    """Code steps and, at the end, an answer."""
    texts = [f"{code}\n<end_of_step>" for code in codes[:-1]] + [f"{codes[-1]}\n<end_of_code>"]
    return (*(Step(text) for text in texts), Step("<answer>\\boxed{1}<end_of_answer>", answer="1"))


@pytest.mark.parametrize(
    ("codes", "dropped"),
    [
        (("a = 1", "b = a + 1", "print(b)"), []),
        (("a = 1", "b = 7 * 3", "c = a + 2", "print(c)"), [1]),
        (("a = 1", "a = 2", "print(a)"), [0]),
        (("a = 1", "a = a + 2", "print(a)"), []),
        (("a = 1", "a += 2", "print(a)"), []),
        (("a = 1", "if a > 0:\n    b = 2\nelse:\n    b = a", "print(b)"), []),
        (("# nothing but words", "a = 3", "print(a)"), []),
    ],
)
def test_abandoned_steps_are_those_of_which_nothing_is_printed(codes, dropped):
    assert abandoned(steps(*codes)) == dropped


def test_kinds_of_steps():
    texts = ["a = 2 + 3", "a = 4 - 1", "a = 2 * b", "a = b / 2", "a = 2 * b + 1", "print(a)", "a = 5"]
    kinds = [kind(step) for step in steps(*texts)]
    assert kinds[:5] == ["adds", "subtracts", "multiplies", "divides", "several operations"]
    assert kinds[5:] == ["prints", "names a number", "answers"]


def test_a_solution_in_words_has_its_sums_worked_out():
    text = write_solution(
        [("Count the pens", "pens = 4 * 3"), ("Halve all but one", "all = (pens - 1) / 2")], "all", "5.5"
    )
    told = in_words(Trajectory(Problem("p", "?", "5.5"), tuple(split_steps(text)), (1.0,) * 4, True))
    assert told and told.text.startswith(
        "Count the pens: 4 * 3 = 12.\nHalve all but one: (12 - 1) / 2 = 5.5.\n<answer>"
    )
    assert told.answer == "5.5" and len(told.steps) == 1


@pytest.mark.parametrize("code", ["a = len('abc')", "a = 1 / 0", "a = b + 1"])
def test_what_is_more_than_arithmetic_is_not_told_in_words(code):
    steps = tuple(split_steps(write_solution([("Do it", code)], "a", "1")))
    assert in_words(Trajectory(Problem("p", "?", "1"), steps, (1.0,) * 3, True)) is None


def test_pairs_of_any_prefix_keep_to_their_problem():
    pairs = [Pair(Problem(p, "?", "1"), f"{p}{i}:", "good", f"bad{i}", 1.0, 1.0, -1.0) for p in "ab" for i in range(3)]
    mixed = any_prefix(pairs, 0)
    assert all(m.chosen == f"{p.prefix}good" and m.prefix == "" for m, p in zip(mixed, pairs, strict=True))
    assert all(m.rejected.startswith(p.problem.id) for m, p in zip(mixed, pairs, strict=True))
    assert any(m.rejected != p.prefix + p.rejected for m, p in zip(mixed, pairs, strict=True))


def test_an_experiment_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(UserError, match="no experiment 'round'; choose from rounds, ppm"):
        reproduce(["round"], run=tmp_path / "x")
    assert not (tmp_path / "x").exists()
    assert set(experiments()) == set(NAMES)


@pytest.mark.slow
def test_all_experiments_leave_results_and_a_page_and_go_on(tmp_path, monkeypatch):
    """Two seeds of a small run, one after the other; the second time nothing is measured again."""
    monkeypatch.setattr(side_by_side, "worth_it", lambda *_: False)  # or the other processes would pretrain in earnest
    monkeypatch.setattr(policies, "PRETRAINING", policies.PRETRAINING.model_copy(update={"epochs": 0.01}))
    monkeypatch.setattr(worlds, "PROBLEMS", 2)
    changes = [part for change in [*SMALL, "evaluation.limit=4"] for part in ("--set", change)]
    command = ["reproduce", "all", "--run", str(tmp_path / "a"), "--seeds", "2", "--limit", "6", *changes]
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 0, told.output
    assert "PPM over PQM" in told.output
    for name in NAMES:
        found = Result.from_json(read_json(tmp_path / "a" / "experiments" / f"{name}.json"))
        assert found.seeds == (0, 1) and found.claims and f"reproduce {name}" in found.command
        cells = [cell for grid in found.grids for row in grid.rows.values() for cell in row if cell]
        assert cells and all(len(cell.by_seed) == 2 and cell.low <= cell.percent <= cell.high for cell in cells)
    assert (tmp_path / "a" / "experiments" / "experiments.html").exists()
    assert not any(CliRunner().invoke(app, ["verify", str(tmp_path / run)]).exit_code for run in ("a", "a-seed-1"))
    before = digests(tmp_path)
    assert CliRunner().invoke(app, command).exit_code == 0
    assert digests(tmp_path) == before


@pytest.mark.slow
def test_a_policy_with_adapters_learns_from_chosen_solutions_alone(tmp_path):
    """To choose solutions an ORM is trained on the same base: what it has learnt is not in the policy."""
    changes = [*SMALL, "policy.tuning=lora", "policy.lora_rank=4", "evaluation.limit=4"]
    path = tmp_path / "a"
    reproduce(["data"], run=path, seeds=1, limit=4, overrides=changes)
    made = path / "experiments" / "policy-from-step-verified" / "round-1" / "policy"
    first = (made / "adapter_model.safetensors").read_bytes()
    shutil.rmtree(made)
    shutil.rmtree(next((path / "evaluation").glob("policy-from-step-verified*")))
    reproduce(["data"], run=path, seeds=1, limit=4, overrides=changes)  # the ORM is there before
    assert (made / "adapter_model.safetensors").read_bytes() == first


@pytest.mark.slow
def test_seeds_side_by_side_are_stopped_go_on_and_find_what_they_find_one_after_the_other(tmp_path, monkeypatch):
    settings = {"seeds": 2, "limit": 4, "overrides": SMALL}
    stopped, went_on = Until("seed 0: PQM"), Until("")
    with pytest.raises(KeyboardInterrupt):
        reproduce(["judges"], run=tmp_path / "a" / "x", progress=stopped, **settings)
    assert "round 2: search" in stopped.stages
    reproduce(["judges"], run=tmp_path / "a" / "x", progress=went_on, **settings)
    assert "seed 0: PQM" in went_on.stages and "round 2: search" not in went_on.stages
    assert {"seed 0 is done", "seed 1 is done"} <= set(went_on.said)
    monkeypatch.setattr(side_by_side, "worth_it", lambda *_: False)
    reproduce(["judges"], run=tmp_path / "b" / "x", **settings)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


@pytest.mark.slow
def test_what_a_seed_beside_the_first_fails_of_is_said(tmp_path):
    (tmp_path / "x-seed-1").mkdir()
    (tmp_path / "x-seed-1" / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="seed 1: .*x-seed-1 exists and is not a run"):
        reproduce(["rounds"], run=tmp_path / "x", seeds=2, limit=4, overrides=SMALL)
    assert [file.name for file in (tmp_path / "x-seed-1").iterdir()] == ["mine.txt"]


@pytest.mark.slow
def test_an_experiment_of_fewer_problems_takes_as_many_as_are_asked_for(run, monkeypatch):
    monkeypatch.setattr(scaling, "PROBLEMS", 3)
    for limit, n in ((None, 3), (5, 5)):
        [found], _ = reproduce(["scaling"], run=run.path, seeds=1, limit=limit, overrides=SMALL)
        assert {cell.n for row in found.grids[0].rows.values() for cell in row if cell} == {n}
