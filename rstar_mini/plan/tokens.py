"""How many tokens a round samples, reads and trains on. Each text is counted as often as a model computes it.

A tree's prefixes are read once, and tokens that siblings share too: of each sampled token `UNIQUE` is forwarded. A pair
of the PPM's has its prefix once.
"""

from __future__ import annotations

from dataclasses import dataclass

from rstar_mini.recipes import Recipe
from rstar_mini.recipes.schema import Round

CHARACTERS = 3  # of worked examples, to a token
ALL_PROBLEMS = 10_000  # of a set that the recipe takes whole
OPENED = 1.7  # nodes that a rollout opens: measured in `smol`, four rounds, n = 400 problems
UNIQUE = 0.45  # tokens forwarded for each sampled one: measured in `smol` and `tiny`, 0.44 in the fourth round of both
UNSOLVED = 0.2  # of the problems, which get the further rollouts and new seeds: 0.34 to 0.04 in `tiny`, 0.4 in `smol`
LEARNT = 1.4  # solutions of a solved problem at most, since many are the same: measured in `smol`
PAIRS = 0.9  # pairs a problem and round, for one step a side: 1.0 to 0.2 in `tiny`, 1.3 to 0.7 in `smol`
LONGEST = 2  # times the mean is the longest of some siblings
CHAT = 300  # tokens of a reply in the base's own words: 204 in `smol`


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of a problem and of a step in a base's own tokenizer, and steps of a solution with its answer."""

    question: int
    step: float
    steps: int

    @property
    def solution(self) -> float:
        """Sampled tokens of a whole solution."""
        return self.step * self.steps


# Those of the bases with a run are measured. Else a step has 52 tokens: by the paper's table 9, a trajectory of 32
# candidates a node takes 3,299 to 15,693, which with five steps is 21 to 98 each, 52 in the mean of its benchmarks.
MEASURED = {"tiny": Lengths(20, 9, 5), "smol": Lengths(90, 18, 4)}
OF_PAPER = Lengths(120, 52, 5)


@dataclass(frozen=True, slots=True)
class Decoding:
    """Something that is decoded: `tokens` in all, `candidates` of a node after a text of so many tokens.

    The nodes of a problem follow each other: at least `chain` steps of decoding, for each of its `shards`. A PPM reads
    all when `scored`.
    """

    tokens: float
    text: float
    candidates: int
    problems: int
    shards: int
    chain: float
    scored: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """What a round has to do; round 0 is the base's evaluation. `sft` and `ppm` count sequences, with their length."""

    search: tuple[Decoding, ...]
    evaluation: tuple[Decoding, ...]
    sft: tuple[float, float] = (0.0, 0.0)
    ppm: tuple[float, float] = (0.0, 0.0)

    @property
    def sampled(self) -> float:
        """Tokens that are sampled."""
        return sum(each.tokens for each in (*self.search, *self.evaluation))

    @property
    def trained(self) -> float:
        """Tokens that are trained on."""
        return self.sft[0] * self.sft[1] + self.ppm[0] * self.ppm[1]


def lengths(recipe: Recipe) -> Lengths:
    """Of the recipe's base."""
    return MEASURED.get(recipe.policy.base, OF_PAPER)


def shown(recipe: Recipe) -> int:
    """Tokens of the worked examples that the base sees before a question."""
    from rstar_mini.prompts import DEMONSTRATIONS

    texts = DEMONSTRATIONS[: recipe.policy.shots]
    return sum(len(question) + len(solution) for question, solution in texts) // CHARACTERS


def work(recipe: Recipe, number: int) -> Work:
    """What round `number` has to do."""
    if number == 0:
        return Work((), _evaluation(recipe, 0))
    size, problems = lengths(recipe), recipe.problems.limit or ALL_PROBLEMS
    text = size.question + size.solution
    solved = problems * (1 - UNSOLVED) * min(recipe.sft.per_problem, LEARNT) * (1 + recipe.sft.renumbered)
    pairs = problems * PAIRS * recipe.ppm.per_side**2 * number * (1 - recipe.ppm.validation)  # of all rounds so far
    return Work(
        (_search(recipe, number, problems),),
        _evaluation(recipe, number),
        (solved * recipe.sft.epochs, text),
        (pairs * recipe.ppm.epochs if recipe.method == "mcts" else 0.0, text + size.step),
    )


def rollouts(settings: Round) -> float:
    """Rollouts of a problem in the mean."""
    more = [settings.rollouts, *settings.unsolved_rollouts]
    further = settings.extra_rollouts + sum(settings.unsolved_rollouts) + settings.new_seeds * more[-1]
    return settings.rollouts + UNSOLVED * further


def _search(recipe: Recipe, number: int, problems: int) -> Decoding:
    settings = recipe.rounds[number - 1]
    scored = settings.annotation == "ppm" and recipe.method == "mcts"
    return _tree(recipe, number - 1, problems, settings.candidates, rollouts(settings), scored)


def _tree(recipe: Recipe, policy: int, problems: int, candidates: int, rollouts: float, scored: bool) -> Decoding:
    """Trees that the policy of a round grows for so many problems."""
    size, shards = lengths(recipe), -(-problems // recipe.search.shard)
    nodes = rollouts * OPENED
    return Decoding(
        problems * nodes * candidates * size.step,
        _prompt(recipe, policy) + size.solution / 2,
        candidates,
        problems,
        shards,
        nodes * LONGEST * size.step,
        scored,
    )


def _samples(recipe: Recipe, policy: int, problems: int, n: float, length: float) -> Decoding:
    """Whole solutions, `n` of each problem."""
    shards = -(-problems // recipe.search.shard)
    text = _prompt(recipe, policy) + length / 2
    return Decoding(problems * n * length, text, max(1, round(n)), problems, shards, LONGEST * length)


def _prompt(recipe: Recipe, policy: int) -> int:
    return lengths(recipe).question + (shown(recipe) if policy == 0 else 0)


def _evaluation(recipe: Recipe, number: int) -> tuple[Decoding, ...]:
    """Greedy decoding; of the base also a chat and a vote; of a round also search, and a vote of as many tokens."""
    settings, size = recipe.evaluation, lengths(recipe)
    problems = settings.limit or ALL_PROBLEMS
    greedy = _samples(recipe, number, problems, 1, size.solution)
    if number in settings.greedy_only:
        return (greedy,)
    if number == 0:
        chat = _samples(recipe, 0, problems, 1, CHAT)
        own_words = () if recipe.policy.base == "tiny" else (chat,)
        return greedy, *own_words, _samples(recipe, 0, problems, settings.rollouts, size.solution)
    if recipe.method != "mcts":
        return greedy, _samples(recipe, number, problems, settings.rollouts, size.solution)
    tree = _tree(recipe, number, problems, settings.candidates, settings.rollouts * settings.trajectories, scored=True)
    vote = tree.tokens * (1 + UNIQUE) / (problems * size.solution)  # what the PPM reads counts for search
    return greedy, tree, _samples(recipe, number, problems, vote, size.solution)
