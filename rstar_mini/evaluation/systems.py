"""The systems compared on held-out problems (section 4): greedy decoding, majority vote, and PPM-guided MCTS.

Vote and search are compared at equal tokens. Tokens of a problem are the tokens sampled for it plus every token that
the PPM read for it, prompt included. The vote goes on sampling until it has used at least as many as the search.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rstar_mini.policy import Policy
from rstar_mini.ppm.base import Judge
from rstar_mini.recipes.schema import Recipe
from rstar_mini.sandbox import Sandbox
from rstar_mini.search import Budget, Expander, Selection, choose, is_right, sample, search
from rstar_mini.search.beam import beam_search
from rstar_mini.types import Problem, Tree

MakeExpander = Callable[..., Expander]
"""From a name for the sampling noise, and perhaps a PPM, to what expands nodes."""


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
    ppm: Judge | None,
    box: Sandbox,
    recipe: Recipe,
    seed: str,
    greedy_only: bool = False,
) -> dict[str, Outcome]:
    """Every system on a shard of problems; without a PPM (the base), vote samples what round 1's would."""

    def expander(name: str, scorer: Judge | None = None) -> Expander:
        return Expander(policy, box, scorer, f"{seed}/{name}", ground_truth=False)

    alone = greedily(problems, expander("greedy"), recipe)
    outcomes = {"greedy": alone}
    if greedy_only:
        return outcomes
    if ppm is not None:
        outcomes["mcts"] = guided_search(problems, expander, ppm, recipe)
        target = outcomes["mcts"].tokens
    else:
        target = alone.tokens * recipe.evaluation.rollouts
    outcomes["vote"] = Samples(problems, expander, "vote", recipe, alone.tokens).until(target).outcome(Selection.VOTE)
    return outcomes


def greedily(problems: Sequence[Problem], expander: Expander, recipe: Recipe) -> Outcome:
    """The policy alone, its likeliest token each time."""
    trees = sample(problems, expander, 1, 0.0, recipe.search.depth)
    return Outcome(chosen_right(problems, [trees], Selection.VOTE), sum(tree.tokens for tree in trees))


def any_right(problems: Sequence[Problem], expander: Expander, n: int, recipe: Recipe) -> Outcome:
    """Whether one of `n` samples is right: what a perfect judge could make of them."""
    trees = sample(problems, expander, n, recipe.search.temperature, recipe.search.depth)
    return Outcome(some_right(problems, [trees]), sum(tree.tokens for tree in trees), n)


def guided_search(problems: Sequence[Problem], expander: MakeExpander, ppm: Judge, recipe: Recipe) -> Outcome:
    """PPM-guided MCTS: `trajectories` trees a problem, of each one trajectory, and a choice among these."""
    how, grown = Selection(recipe.evaluation.selection), GuidedTrees(problems, expander, ppm, recipe)
    return grown.until(recipe.evaluation.trajectories).outcome(how)


class GuidedTrees:
    """Trees of PPM-guided MCTS for the same problems, one after the other, and the tokens that they took."""

    def __init__(self, problems: Sequence[Problem], expander: MakeExpander, ppm: Judge, recipe: Recipe) -> None:
        self.problems, self.expander, self.ppm, self.budget = problems, expander, ppm, evaluation_budget(recipe)
        self.grown: list[list[Tree]] = []
        self.tokens = 0

    def until(self, count: int) -> GuidedTrees:
        """Grow until there are `count` trees for each problem."""
        while len(self.grown) < count:
            before = self.ppm.cache.forwarded
            trees = search(self.problems, self.expander(f"mcts-{len(self.grown)}", self.ppm), self.budget)
            self.grown.append(trees)
            self.tokens += sum(tree.tokens for tree in trees) + self.ppm.cache.forwarded - before
        return self

    def outcome(self, how: Selection) -> Outcome:
        """Of each tree the trajectory that `how` chooses, and a choice among these."""
        outcome = Outcome(tokens=self.tokens)
        for i, problem in enumerate(self.problems):
            best = [choose(trees[i].terminals(), how) for trees in self.grown]
            chosen = choose([node for node in best if node], how)
            outcome.correct.append(float(is_right(chosen, problem)))
        return outcome


class Samples:
    """Whole samples for the same problems, and the tokens that they took.

    Args:
        name: of the sampling noise.
        per_sample: tokens that one sample of all problems takes, as far as is known.
        judge: scores each sample, and what it reads is counted.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        expander: MakeExpander,
        name: str,
        recipe: Recipe,
        per_sample: int,
        judge: Judge | None = None,
    ) -> None:
        self.problems, self.expander, self.name, self.recipe, self.judge = problems, expander, name, recipe, judge
        self.per_sample = per_sample
        self.drawn: list[list[Tree]] = []
        self.tokens = self.count = 0

    def until(self, target: int) -> Samples:
        """Draw until at least `target` tokens are used."""
        settings = self.recipe.search
        while self.tokens < target:
            n = max(1, math.ceil((target - self.tokens) / max(self.per_sample, 1)))
            expander = self.expander(f"{self.name}-{len(self.drawn)}")
            trees = sample(self.problems, expander, n, settings.temperature, settings.depth)
            self.drawn.append(trees)
            self.tokens += sum(tree.tokens for tree in trees) + (score_ends(trees, self.judge) if self.judge else 0)
            self.count += n
            self.per_sample = max(1, self.tokens // self.count)
        return self

    def outcome(self, how: Selection) -> Outcome:
        """The choice among all samples: by vote, or, of a judge, the best of N."""
        return Outcome(chosen_right(self.problems, self.drawn, how), self.tokens, self.count)

    def some_right(self) -> Outcome:
        """Whether one of the samples is right: what a perfect judge could make of them."""
        return Outcome(some_right(self.problems, self.drawn), self.tokens, self.count)


def beam(problems: Sequence[Problem], expander: MakeExpander, ppm: Judge, recipe: Recipe, width: int) -> Outcome:
    """Beam search: of all steps of a depth the `width` best go on; the PPM chooses among the ends."""
    before, settings = ppm.cache.forwarded, recipe.search
    how = width, recipe.evaluation.candidates, settings.temperature, settings.depth
    trees = beam_search(problems, expander(f"beam-{width}", ppm), *how)
    tokens = sum(tree.tokens for tree in trees) + ppm.cache.forwarded - before
    return Outcome(chosen_right(problems, [trees], Selection.PPM), tokens)


def score_ends(trees: Sequence[Tree], judge: Judge) -> int:
    """Score every whole solution; returns the tokens that the judge read for it, what samples share only once."""
    before = judge.cache.forwarded
    level = [(tree.problem, tree.root) for tree in trees if tree.root.children]
    while level:
        families = [(problem, node.steps(), [child.step for child in node.children]) for problem, node in level]
        below = []
        for (problem, node), priors in zip(level, judge.score(families), strict=True):
            for child, prior in zip(node.children, priors, strict=True):
                child.prior = prior
                below += [(problem, child)] if child.children else []
        level = below
    return judge.cache.forwarded - before


def some_right(problems: Sequence[Problem], grown: Sequence[Sequence[Tree]]) -> list[float]:
    """For each problem, whether one of the ends of all its trees is right."""
    ends = [[end for trees in grown for end in trees[i].terminals()] for i in range(len(problems))]
    return [float(any(is_right(end, p) for end in found)) for p, found in zip(problems, ends, strict=True)]


def chosen_right(problems: Sequence[Problem], grown: Sequence[Sequence[Tree]], how: Selection) -> list[float]:
    """For each problem, whether the choice among the ends of all its trees is right."""
    chosen = [choose([end for trees in grown for end in trees[i].terminals()], how) for i in range(len(problems))]
    return [float(is_right(end, problem)) for end, problem in zip(chosen, problems, strict=True)]
