"""The systems compared on held-out problems (section 4): greedy decoding, majority vote, and PPM-guided MCTS.

Vote and search are compared at equal tokens. Tokens of a problem are the tokens sampled for it plus every token that
the PPM read for it, prompt included. The vote goes on sampling until it has used at least as many as the search.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rstar_mini.policy import Policy
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.recipes.schema import Recipe
from rstar_mini.sandbox import Sandbox
from rstar_mini.search import Budget, Expander, Selection, choose, is_right, sample, search
from rstar_mini.types import Problem, Tree


@dataclass(slots=True)
class Outcome:
    """Right (1) or wrong (0) for each problem, in order, and the tokens that all of them took.

    Pooled over seeds, an entry is the share of the seeds under which the problem was right.
    """

    correct: list[float] = field(default_factory=list)
    tokens: int = 0
    samples: int = 1

    def add(self, other: Outcome) -> None:
        """Append the problems of another shard."""
        self.correct += other.correct
        self.tokens += other.tokens
        self.samples = max(self.samples, other.samples)


def pool(outcomes: Sequence[Outcome]) -> Outcome:
    """The mean over seeds, problem by problem: seeds of one problem are no independent problems."""
    shares = [sum(rights) / len(rights) for rights in zip(*(outcome.correct for outcome in outcomes), strict=True)]
    tokens = round(sum(outcome.tokens for outcome in outcomes) / len(outcomes))
    return Outcome(shares, tokens, max(outcome.samples for outcome in outcomes))


def evaluation_budget(recipe: Recipe) -> Budget:
    """The test-time search budget of a recipe."""
    settings = recipe.evaluation
    return Budget(
        candidates=settings.candidates,
        rollouts=settings.rollouts,
        depth=recipe.search.depth,
        c=settings.c,
        temperature=recipe.search.temperature,
        unvisited_first=recipe.search.unvisited_first,
    )


def evaluate(
    problems: Sequence[Problem],
    policy: Policy,
    ppm: PPMScorer | None,
    box: Sandbox,
    recipe: Recipe,
    seed: str,
    greedy_only: bool = False,
) -> dict[str, Outcome]:
    """Every system on a shard of problems; without a PPM (the base), vote samples what round 1's would."""

    def expander(name: str, scorer: PPMScorer | None = None) -> Expander:
        return Expander(policy, box, scorer, f"{seed}/{name}", ground_truth=False)

    greedy = by_vote(problems, [sample(problems, expander("greedy"), 1, 0.0, recipe.search.depth)])
    outcomes = {"greedy": greedy}
    if greedy_only:
        return outcomes
    if ppm is not None:
        outcomes["mcts"] = guided_search(problems, expander, ppm, recipe)
        target = outcomes["mcts"].tokens
    else:
        target = greedy.tokens * recipe.evaluation.rollouts
    outcomes["vote"] = _vote(problems, expander, target, greedy.tokens, recipe)
    return outcomes


def guided_search(
    problems: Sequence[Problem], expander: Callable[[str, PPMScorer], Expander], ppm: PPMScorer, recipe: Recipe
) -> Outcome:
    """PPM-guided MCTS: `trajectories` trees a problem, of each one trajectory, and a choice among these."""
    before, how = ppm.cache.forwarded, Selection(recipe.evaluation.selection)
    grown = [
        search(problems, expander(f"mcts-{i}", ppm), evaluation_budget(recipe))
        for i in range(recipe.evaluation.trajectories)
    ]
    outcome = Outcome(tokens=sum(tree.tokens for trees in grown for tree in trees))
    for i, problem in enumerate(problems):
        best = [choose(trees[i].terminals(), how) for trees in grown]
        chosen = choose([node for node in best if node], how)
        outcome.correct.append(float(is_right(chosen, problem)))
    outcome.tokens += ppm.cache.forwarded - before
    return outcome


def _vote(
    problems: Sequence[Problem], expander: Callable[[str], Expander], target: int, per_sample: int, recipe: Recipe
) -> Outcome:
    """Majority vote over samples, drawn until at least `target` tokens are used."""
    drawn, used, samples = draw(problems, expander, "vote", target, per_sample, recipe)
    outcome = by_vote(problems, drawn)
    outcome.samples = samples
    return outcome


def best_of(
    problems: Sequence[Problem], expander: Callable[[str], Expander], judge: PPMScorer, target: int, recipe: Recipe
) -> Outcome:
    """The sample that `judge` scores highest, of as many as `target` tokens give, the judge's reading counted."""
    drawn, used, samples = draw(
        problems, expander, "best", target, 1 + target // 8, recipe, lambda trees: score_ends(trees, judge)
    )
    outcome = Outcome(tokens=used, samples=samples)
    for i, problem in enumerate(problems):
        chosen = choose([end for trees in drawn for end in trees[i].terminals()], Selection.PPM)
        outcome.correct.append(float(is_right(chosen, problem)))
    return outcome


def score_ends(trees: Sequence[Tree], judge: PPMScorer) -> int:
    """Score every whole solution; returns the tokens that the judge read for it."""
    before = judge.cache.forwarded
    ends = [(tree.problem, end) for tree in trees for end in tree.terminals()]
    families = [(problem, end.parent.steps() if end.parent else (), [end.step]) for problem, end in ends]
    for (_, end), [prior] in zip(ends, judge.score(families) if families else [], strict=True):
        end.prior = prior
    return judge.cache.forwarded - before


def draw(
    problems: Sequence[Problem],
    expander: Callable[[str], Expander],
    name: str,
    target: int,
    per_sample: int,
    recipe: Recipe,
    read: Callable[[Sequence[Tree]], int] = lambda trees: 0,
) -> tuple[list[list[Tree]], int, int]:
    """Whole samples until at least `target` tokens are used; `read` judges new ones, and says what that took.

    `per_sample` is what one sample of all problems takes, as far as is known.

    Returns:
        the samples, as a tree a problem for each time that some were drawn; the tokens; the samples of each problem.
    """
    drawn: list[list[Tree]] = []
    used = samples = 0
    while used < target:
        n = max(1, math.ceil((target - used) / max(per_sample, 1)))
        trees = sample(problems, expander(f"{name}-{len(drawn)}"), n, recipe.search.temperature, recipe.search.depth)
        drawn.append(trees)
        used += sum(tree.tokens for tree in trees) + read(trees)
        samples += n
        per_sample = max(1, used // samples)
    return drawn, used, samples


def by_vote(problems: Sequence[Problem], drawn: Sequence[Sequence[Tree]]) -> Outcome:
    """The answer that most samples of all draws agree on, for each problem."""
    outcome = Outcome(tokens=sum(tree.tokens for trees in drawn for tree in trees))
    for i, problem in enumerate(problems):
        chosen = choose([node for trees in drawn for node in trees[i].terminals()], Selection.VOTE)
        outcome.correct.append(float(is_right(chosen, problem)))
    return outcome
