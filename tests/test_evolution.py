"""A whole small run: what it leaves on disk, that it can be repeated to the byte, and how it refuses."""

import json

import pytest
from small_runs import SMALL, Stop, digests

import rstar_mini
from rstar_mini.errors import UserError
from rstar_mini.evolution.harvest import harvest
from rstar_mini.evolution.run import Run
from rstar_mini.evolution.shards import round_budget, search_shard, unsolved
from rstar_mini.files import read_jsonl
from rstar_mini.policy import ScriptedPolicy
from rstar_mini.progress import Silent
from rstar_mini.recipes import load_recipe
from rstar_mini.recipes.schema import Round
from rstar_mini.sandbox import Sandbox
from rstar_mini.search import Budget, Expander, search
from rstar_mini.types import Problem


def test_a_run_leaves_trees_trajectories_pairs_models_and_metrics(run):
    for number in (1, 2):
        folder = run.round(number)
        assert len(run.trees(number)) >= 12 and run.pairs(number)
        assert (folder / "policy" / "model.safetensors").exists() and (folder / "ppm" / "model.safetensors").exists()
    metrics = run.metrics()
    assert [row["round"] for row in metrics] == [0, 1, 2]
    assert metrics[1]["coverage"]["all"]["n"] == 12
    assert sum(row["n"] for level, row in metrics[1]["coverage"].items() if level != "all") == 12
    systems = metrics[2]["evaluation"]["systems"]
    assert set(systems) == {"greedy", "vote", "mcts"}
    assert systems["vote"]["tokens"] >= systems["mcts"]["tokens"] > systems["greedy"]["tokens"]


def test_trajectories_and_pairs_load_as_data_sets(run):
    from datasets import Dataset

    rows = [json.loads(line) for line in (run.round(1) / "trajectories.jsonl").read_text().splitlines()]
    assert {"prompt", "completion"} <= set(Dataset.from_list(rows).column_names)
    pairs = [json.loads(line) for line in (run.round(1) / "pairs.jsonl").read_text().splitlines()]
    assert {"chosen", "rejected", "prefix", "weight"} <= set(Dataset.from_list(pairs).column_names)


def test_unsolved_problems_are_listed(run):
    solved = {tree.problem.id for tree in run.trees(2) if tree.solved}
    assert {p.id for p in run.unsolved(2)} | solved == {tree.problem.id for tree in run.trees(2)}
    assert not {p.id for p in run.unsolved(2)} & solved


def test_going_on_with_a_finished_run_changes_nothing(run):
    before = digests(run.path)
    rstar_mini.evolve("tiny", run.path, overrides=SMALL)
    assert digests(run.path) == before


@pytest.mark.slow  # a round; by default a run in object storage is interrupted and compared (test_remote.py)
def test_a_run_interrupted_after_a_shard_ends_like_one_that_was_not(run, tmp_path):
    """And gone on with: the same bytes everywhere; its second round is left out."""
    with pytest.raises(KeyboardInterrupt):
        rstar_mini.evolve("tiny", tmp_path / "b", 1, SMALL, Stop("round 1: search", 8))
    assert {file.name.split(".")[0] for file in (tmp_path / "b" / "round-1" / "trees").iterdir()} == {"shard-0000"}
    made = rstar_mini.evolve("tiny", tmp_path / "b", 1, SMALL)
    assert made.last_round == 1 and digests(made.path).items() <= digests(run.path).items()


@pytest.mark.slow
def test_a_run_interrupted_after_a_shard_of_heldout_problems_ends_like_one_that_was_not(tmp_path):
    """All rounds, with two shards of held-out problems each."""
    changes = [*SMALL, "evaluation.limit=12"]
    with pytest.raises(KeyboardInterrupt):
        rstar_mini.evolve("tiny", tmp_path / "b", None, changes, Stop("round 1, seed 0: held-out problems", 5))
    made = tmp_path / "b" / "evaluation" / "round-1-seed-0-n-12"
    assert {file.name.split(".")[0] for file in made.iterdir()} <= {"shard-0000"}
    rstar_mini.evolve("tiny", tmp_path / "b", overrides=changes)
    whole = rstar_mini.evolve("tiny", tmp_path / "whole", overrides=changes)
    assert digests(tmp_path / "b") == digests(whole.path)


@pytest.mark.slow
def test_search_on_heldout_problems_can_be_left_out_after_some_rounds(tmp_path):
    small = [*SMALL, "problems.limit=8", "evaluation.limit=4", "evaluation.greedy_only=[1]"]
    rstar_mini.evolve("tiny", tmp_path / "r", overrides=small)
    systems = [set(row["evaluation"]["systems"]) for row in rstar_mini.load_run(tmp_path / "r").metrics()]
    assert systems == [{"greedy", "vote"}, {"greedy"}, {"greedy", "vote", "mcts"}]
    full = rstar_mini.evaluate_run(tmp_path / "r", seeds=1, limit=4, rounds=[1])
    assert set(full["rounds"][0]["seeds"][0]["systems"]) == {"greedy", "vote", "mcts"}


def test_a_run_of_another_recipe_is_refused_and_left_alone(run):
    before = digests(run.path)
    with pytest.raises(UserError, match=r"search.c: 2.0 -> 1.5"):
        rstar_mini.evolve("tiny", run.path, overrides=[*SMALL, "search.c=1.5"])
    with pytest.raises(UserError, match="belongs to another recipe"):  # before it looks for weights, which may be large
        rstar_mini.evolve("tiny", run.path, overrides=[*SMALL, "policy.base=no/such-model"])
    assert digests(run.path) == before


def test_a_folder_that_is_not_a_run_is_left_alone(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(UserError, match="is not a run"):
        rstar_mini.evolve("tiny", tmp_path)
    with pytest.raises(UserError, match="is not a run"):
        rstar_mini.load_run(tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == ["precious.txt"]


@pytest.mark.parametrize(("rounds", "message"), [(0, "rounds 1 to 2"), (3, "rounds 1 to 2")])
def test_rounds_outside_the_recipe_are_refused(tmp_path, rounds, message):
    with pytest.raises(UserError, match=message):
        rstar_mini.evolve("tiny", tmp_path / "x", rounds, SMALL)
    assert not (tmp_path / "x").exists()


def test_solve_uses_the_last_round_of_a_run(run):
    solution = rstar_mini.solve("Tom has 3 boxes with 8 pens in each box. How many pens does Tom have now?", run.path)
    assert solution.source == f"round 2 of {run.path}"
    assert solution.tree.problem.question.startswith("Tom has 3 boxes") and solution.tree.rollouts


def test_an_empty_question_is_refused():
    with pytest.raises(UserError, match="question is empty"):
        rstar_mini.solve("  ")


def test_evaluation_over_seeds_is_kept_and_pooled(run):
    result = rstar_mini.evaluate_run(run.path, seeds=2, limit=4, rounds=[1])
    [row] = result["rounds"]
    rights = [seed["systems"]["vote"]["correct"] for seed in row["seeds"]]
    assert row["pooled"]["systems"]["vote"]["correct"] == pytest.approx(sum(rights) / 2)
    assert row["pooled"]["n"] == 4, "seeds of one problem are not independent problems"
    assert rstar_mini.evaluate_run(run.path, seeds=2, limit=4, rounds=[1]) == result
    with pytest.raises(UserError, match="round 7 .* is not finished"):
        rstar_mini.evaluate_run(run.path, rounds=[7])


def test_the_papers_round_recipe():
    """Section 3.4: terminal-guided twice, PPM-augmented twice; more rollouts, then new seeds, in round 4 only."""
    rounds = load_recipe("paper").rounds
    assert [r.annotation for r in rounds] == ["terminal", "terminal", "ppm", "ppm"]
    assert [r.candidates for r in rounds] == [5, 8, 8, 16] and [r.rollouts for r in rounds] == [8, 16, 16, 16]
    assert [r.extra_rollouts for r in rounds] == [0, 16, 16, 16]
    assert [r.unsolved_rollouts for r in rounds] == [[], [], [], [64, 128]] and [r.new_seeds for r in rounds] == [
        0,
        0,
        0,
        2,
    ]


def test_unsolved_problems_get_more_rollouts_then_new_seeds():
    easy, hard = Problem("easy", "q", "4"), Problem("hard", "q", "no")

    def script(question: str, text: str) -> list[str]:
        if not text:
            return [f"<code>\nprint({i})\n<end_of_code>" for i in range(4, 8)]
        return [f"<answer>\\boxed{{{text.split('<output>')[1][0]}}}<end_of_answer>"]

    settings = Round(annotation="terminal", candidates=4, rollouts=1, unsolved_rollouts=[2], new_seeds=2)
    with Sandbox() as box:
        expander = Expander(ScriptedPolicy(script), box, seed="s")
        trees = search_shard([easy, hard], expander, settings, round_budget(load_recipe("tiny"), settings), Silent())
    assert [(tree.problem.id, tree.rollouts) for tree in trees] == [("easy", 1), ("hard", 3), ("hard", 2), ("hard", 2)]
    assert [tree.problem.id for tree in unsolved(trees)] == ["hard"]


def test_answers_that_nobody_can_judge_are_counted_and_listed(tmp_path):
    problem = Problem("p", "How long?", "5 kg")

    def script(question: str, text: str) -> list[str]:
        return ["<answer>\\boxed{5 cm}<end_of_answer>"] if text else ["<code>\nprint(5)\n<end_of_code>"]

    run = Run.create(tmp_path / "run", load_recipe("tiny", SMALL))
    with Sandbox() as box:
        trees = search([problem], Expander(ScriptedPolicy(script), box, seed="s"), Budget(candidates=2, rollouts=2))
    run.write_jsonl(run.round(1) / "trees" / "shard-0000.jsonl.gz", (tree.to_json() for tree in trees))
    assert harvest(run, 1, [problem])["undecided"] == 1
    [row] = read_jsonl(run.round(1) / "undecided.jsonl")
    assert row == {"problem": "p", "gold": "5 kg", "predicted": "5 cm", "times": 1}


def test_what_an_earlier_round_has_solved_is_learnt_from_again(tmp_path):
    """Search is luck: a later round may miss what an earlier one found."""
    first, second = Problem("first", "4?", "4"), Problem("second", "5?", "5")

    def writes(digit: int) -> ScriptedPolicy:
        def script(question: str, text: str) -> list[str]:
            return (
                [f"<answer>\\boxed{{{digit}}}<end_of_answer>"] if text else [f"<code>\nprint({digit})\n<end_of_code>"]
            )

        return ScriptedPolicy(script)

    run = Run.create(tmp_path / "run", load_recipe("tiny", SMALL))
    counts = []
    for number, digit in ((1, 4), (2, 5), (3, 6)):
        with Sandbox() as box:
            trees = search([first, second], Expander(writes(digit), box, seed="s"), Budget(candidates=1, rollouts=1))
        run.write_jsonl(run.round(number) / "trees" / "shard-0000.jsonl.gz", (tree.to_json() for tree in trees))
        counts.append(harvest(run, number, [first, second]))
    learnt = [[row["problem"]["id"] for row in read_jsonl(run.round(n) / "trajectories.jsonl")] for n in (1, 2, 3)]
    assert learnt == [["first"], ["second", "first"], ["second", "first"]]
    assert [(row["trajectories"], row["carried"]) for row in counts] == [(1, 0), (1, 1), (0, 2)]
    assert [row["coverage"]["all"]["correct"] for row in counts] == [1, 1, 0]
