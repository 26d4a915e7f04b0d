"""New problems: what counts as one, which are kept, and that a run makes them once and searches them."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from small_runs import SMALL, Until, digests

import rstar_mini
from rstar_mini.errors import UserError
from rstar_mini.evolution.models import Models
from rstar_mini.policy import Request, ScriptedPolicy
from rstar_mini.policy.endpoint import EndpointPolicy
from rstar_mini.problems.decontaminate import Contamination
from rstar_mini.problems.synthesize import REWRITE, most_agreed, new_problems, question_in, rewrite
from rstar_mini.progress import Silent
from rstar_mini.prompts import Prompt
from rstar_mini.recipes import load_recipe
from rstar_mini.sandbox import Sandbox
from rstar_mini.search import Expander, sample
from rstar_mini.types import Problem

END = "<end_of_answer>"
CLEAN = Contamination({})


def test_the_prompt_shows_a_problem_and_asks_for_another() -> None:
    text = Prompt(REWRITE)("Is {this} a set?")
    assert text.endswith("Problem: Is {this} a set?\nNew problem:")
    assert text.count(END) == 2, "the examples show how a new problem ends"


@pytest.mark.parametrize(
    ("text", "question"),
    [
        (f" How many are 2 and 3?\n{END}", "How many are 2 and 3?"),
        ("How many are 2 and", None),
        ("How many are 2 and 3?\n\nNow the solution: 2 and", "How many are 2 and 3?"),
        ("How many?\n\n<code>\nprint(5)\n<end_of_step>", "How many?"),
        (f" {END}", None),
        ("How many are 2 and 3?<end_of_step>", None),
        (f"How many?\n<code>\nprint(5)\n{END}", None),
        (f"How many?\n\nProblem: And 3?\nNew problem: Or 4?{END}", None),
    ],
)
def test_a_new_problem_is_one_question_that_has_ended(text: str, question: str | None) -> None:
    assert question_in(text) == question


def test_every_text_is_kept_or_counted() -> None:
    seeds = [Problem("s1", "What is 1 + 1?", "2"), Problem("s2", "What is 2 + 2?", "4")]
    held = Contamination({"held": [Problem("t", "What is 9 + 9?", "18")]})
    texts = ["What is 3 + 3?", "what is 2+2", "What is 9 + 9?", "What is  3 + 3", "What is 4 + 4?"]
    written = [("s1", text + END) for text in texts] + [("s2", "What is")]
    problems, counts = new_problems(written, seeds, held)
    assert [(p.id, p.question, p.answer) for p in problems] == [
        ("s1-new-1", "What is 3 + 3?", ""),
        ("s1-new-5", "What is 4 + 4?", ""),
    ]
    assert counts == {"asked": 6, "duplicate": 2, "contaminated": 1, "malformed": 1}


def test_each_seed_is_rewritten_as_often_as_asked() -> None:
    writer = ScriptedPolicy(lambda question, _: [f"{question} again{END}", f"{question} anew{END}"])
    texts = rewrite([Problem("a", "A", "1"), Problem("b", "B", "1")], writer, 3, 1.0, "0")
    assert [[step.text for step in steps] for steps in texts] == [
        [f"{name} {word}{END}" for word in ("again", "anew", "again")] for name in "AB"
    ]


def solver(*printed: str) -> ScriptedPolicy:
    """Solves in one step: each printed thing in turn, then its box."""

    def script(question: str, text: str) -> list[str]:
        if not text:
            return [f"<code>\nprint({code})\n<end_of_code>" for code in printed]
        found = re.search("<output>(.*?)<", text)
        assert found
        return [f"<answer>\\boxed{{{found[1]}}}{END}"]

    return ScriptedPolicy(script)


@pytest.mark.parametrize(
    ("printed", "agreed"),
    [
        (["1", "2", "2.0", "3", "2"], ("2", 6)),  # of ten samples; equal numbers agree however they are written
        (["1", "nonsense", "1 / 0", "nonsense", "1 / 0"], ("1", 2)),  # code that fails has no vote
        (["nonsense"], ("", 0)),
    ],
)
def test_votes_are_counted_over_samples_that_ran(printed: list[str], agreed: tuple[str, int]) -> None:
    with Sandbox() as box:
        expander = Expander(solver(*printed), box, seed="s", ground_truth=False)
        [tree] = sample([Problem("p", "q", "")], expander, 10, 1.0)
    assert most_agreed(tree) == agreed


def test_an_endpoint_is_asked_with_the_prompt_and_for_as_many_tokens_as_a_problem_needs(tmp_path) -> None:
    changes = ["policy.engine=endpoint", "policy.url=http://localhost:1/v1", "policy.served_model=teacher"]
    models = Models(load_recipe("tiny", changes), tmp_path)
    with closing(models.searching_policy(1, Prompt(REWRITE), 200)) as writer:
        assert isinstance(writer, EndpointPolicy)
        body = writer.body(Request(Problem("s", "What is 1 + 1?", "2"), (), 1, 0), 1.0, 7)
    assert body["prompt"].endswith("Problem: What is 1 + 1?\nNew problem:") and body["max_tokens"] == 200


SYNTHESIS = [
    "problems.limit=24",
    "search.shard=8",
    "evaluation.limit=1",
    "synthesis={limit: 20, per_problem: 2, samples: 4, agree: 3}",
]


class Scripted:
    """Models whose round 1 is recited: two new questions for each, and only one of them finds agreement."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def __call__(
        self, models: Models, number: int, prompt: Prompt | None = None, max_tokens: int | None = None
    ) -> ScriptedPolicy:
        self.opened.append("writer" if prompt else f"round {number}")
        if prompt:
            assert (prompt.template, max_tokens) == (REWRITE, 256)
            return ScriptedPolicy(lambda question, _: [f"{question} Think twice.{END}", f"{question} Count{END}"])
        return ScriptedPolicy(self.solve)

    @staticmethod
    def solve(question: str, text: str) -> list[str]:
        printed = "7788" if question.endswith("Count") else "7778"
        return solver(*printed).script(question, text)


@contextmanager
def scripted() -> Iterator[Scripted]:
    with pytest.MonkeyPatch.context() as patch:
        script = Scripted()
        patch.setattr(Models, "searching_policy", lambda *args: script(*args))
        yield script


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> rstar_mini.evolution.run.Run:
    """The first round of a small run with new problems."""
    with scripted() as script:
        run = rstar_mini.evolve("tiny", tmp_path_factory.mktemp("runs") / "a", 1, [*SMALL, *SYNTHESIS])
    assert script.opened == ["writer", "round 1", "round 1"]
    return run


def test_a_run_keeps_new_problems_on_which_enough_samples_agree(synthetic) -> None:
    new = synthetic.synthesized()
    assert len({problem.id for problem in new}) == 20 and {(p.answer, p.agreement) for p in new} == {("7", 0.75)}
    assert all(problem.question.endswith("Think twice.") for problem in new)
    counts = synthetic.metrics()[0]["synthesis"]
    fates = {"malformed": 0, "duplicate": 0, "contaminated": 0, "disagreed": 20, "kept": 20}
    assert counts == {"asked": 40, "sampled": counts["sampled"]} | fates and counts["sampled"] > 0
    assert "synthesis" not in synthetic.metrics()[1]
    assert synthetic.verify() == []


def test_new_problems_are_searched_beside_the_others(synthetic) -> None:
    searched = {tree.problem.id: tree for tree in synthetic.trees(1)}
    new = [tree for tree in searched.values() if tree.problem.agreement is not None]
    assert len(new) == 20 and len(searched) == 44
    assert all(tree.solved for tree in new)
    assert synthetic.metrics()[1]["coverage"]["all"]["n"] == 44


@pytest.mark.slow
def test_an_interrupted_synthesis_goes_on_where_it_stopped(synthetic, tmp_path) -> None:
    class Stop(Silent):
        def stage(self, name: str, total: int) -> None:
            self.answering = "answers" in name

        def advance(self, amount: int = 1) -> None:
            if self.answering:
                raise KeyboardInterrupt

    with scripted(), pytest.raises(KeyboardInterrupt):
        rstar_mini.evolve("tiny", tmp_path / "b", 1, [*SMALL, *SYNTHESIS], Stop())
    folder = tmp_path / "b/round-0"
    assert not (folder / "synthesized.jsonl").exists()
    assert [file.name for file in sorted((folder / "synthesis").iterdir())] == [
        "answers-0000.jsonl",
        "questions-0000.jsonl",
        "questions-0001.jsonl",
        "questions-0002.jsonl",
    ]
    with scripted() as script:
        rstar_mini.evolve("tiny", tmp_path / "b", 1, [*SMALL, *SYNTHESIS])
    assert script.opened == ["round 1", "round 1"], "what was written is not asked for again"
    assert digests(tmp_path / "b") == digests(synthetic.path)


def test_the_base_model_itself_may_write_nothing_usable(tmp_path) -> None:
    progress = Until("round 1: search")
    changes = [*SMALL, "evaluation.limit=2", "synthesis={limit: 4, max_tokens: 16}"]
    with pytest.raises(KeyboardInterrupt):
        rstar_mini.evolve("tiny", tmp_path / "run", 1, changes, progress)
    counts = rstar_mini.load_run(tmp_path / "run").metrics()[0]["synthesis"]
    assert counts["asked"] == 4 == sum(counts[fate] for fate in ("malformed", "duplicate", "disagreed", "kept"))
    assert any(line.startswith("new problems: 4 asked, ") for line in progress.said)


def test_a_key_of_the_section_is_suggested_where_it_belongs() -> None:
    with pytest.raises(UserError, match=r"did you mean synthesis\.samples\?"):
        load_recipe("tiny", ["samples=4"])


def test_more_cannot_agree_than_are_sampled() -> None:
    with pytest.raises(UserError, match="synthesis: agree 5 is more than samples 4"):
        load_recipe("tiny", ["synthesis={samples: 4, agree: 5}"])
    assert load_recipe("tiny", ["synthesis={}"]).synthesis.model_dump() == {
        "limit": None,
        "per_problem": 1,
        "max_tokens": 256,
        "samples": 10,
        "agree": 3,
        "temperature": 1.0,
    }
