"""Table 4: the PPMs of all rounds judge the search of one policy, that of round 1, and the same samples of it."""

from __future__ import annotations

from collections.abc import Sequence

from rstar_mini.evaluation.paper import gap_of, paper_table
from rstar_mini.evaluation.systems import MakeExpander, Outcome, chosen_right, score_ends
from rstar_mini.experiments.lab import Lab
from rstar_mini.experiments.results import Findings, Grid, Marks, claim_of, claim_of_marks, marked, measured
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.search import Selection, is_right, sample
from rstar_mini.types import Problem, Tree

TITLE = "The PPM by round, the policy fixed at round 1"
TABLES = (4,)
SAMPLES = 8
MIXED, ORDERED = "has right and wrong samples", "pairs of these ordered rightly"


def ppms(lab: Lab) -> Findings:
    """Search by the policy of round 1 under each round's PPM, and how each PPM orders samples of this policy."""
    first, last = lab.rounds[0], lab.rounds[-1]
    searched = {first: lab.systems(first)["mcts"]} | {number: _search(lab, number) for number in lab.rounds[1:]}
    drawn: dict[tuple[str, str], list[Tree]] = {}
    judged = {number: _judge(lab, number, drawn) for number in lab.rounds}
    searches = {_name(number): (measured(outcomes),) for number, outcomes in searched.items()}
    orders = {_name(number): (marked(_ordered(found)), measured(found["weighted"])) for number, found in judged.items()}
    orders["no PPM"] = None, measured(judged[first]["vote"])
    claims = [
        claim_of(
            "PPM of the last round over that of round 1, policy fixed",
            "4",
            gap_of(paper_table(4).column("MATH"), 4, 1),
            searched[last],
            searched[first],
        ),
        claim_of_marks(
            "the last PPM orders right and wrong samples better than that of round 1",
            "4",
            None,
            _ordered(judged[last]),
            _ordered(judged[first]),
        ),
        claim_of(
            f"the last PPM's weights over a plain vote of the same {SAMPLES} samples",
            "section 4.1",
            None,
            judged[last]["weighted"],
            judged[last]["vote"],
            "what the PPM reads is not counted here",
        ),
    ]
    columns = "of a right and a wrong sample, the right one higher", f"vote of {SAMPLES} samples"
    return [
        Grid("Held-out problems right (%)", ("mcts",), searches),
        Grid("The same samples under each PPM (%)", columns, orders),
    ], claims


def _name(number: int) -> str:
    return f"PPM of round {number}"


def _search(lab: Lab, number: int) -> list[Outcome]:
    return lab.guided(f"policy 1, PPM {number}", 1, lambda seed: lab.models(seed).scorer(number))


def _judge(lab: Lab, number: int, drawn: dict[tuple[str, str], list[Tree]]) -> dict[str, list[Outcome]]:
    """The same samples of the policy of round 1, judged by the PPM of a round.

    `drawn` keeps them, by the noise and the first problem of a shard: every PPM would have them drawn again.
    """

    def ask(problems: Sequence[Problem], expander: MakeExpander, judge: PPMScorer | None) -> dict[str, Outcome]:
        assert judge
        settings, writer = lab.recipe.search, expander("judged")
        shard = writer.seed, problems[0].id
        if shard not in drawn:
            drawn[shard] = sample(problems, writer, SAMPLES, settings.temperature, settings.depth)
        trees = drawn[shard]
        score_ends(trees, judge)
        mixed, ordered = Outcome(samples=SAMPLES), Outcome(samples=SAMPLES)
        for tree in trees:
            scored = [(is_right(end, tree.problem), end.prior or 0.0) for end in tree.terminals()]
            pairs = [good > bad for right, good in scored if right for other, bad in scored if not other]
            mixed.correct.append(float(bool(pairs)))
            ordered.correct.append(sum(pairs) / max(1, len(pairs)))
        votes = {"vote": Selection.VOTE, "weighted": Selection.WEIGHTED}
        chosen = {name: Outcome(chosen_right(problems, [trees], how), 0, SAMPLES) for name, how in votes.items()}
        return {MIXED: mixed, ORDERED: ordered} | chosen

    what = f"samples of policy 1, PPM {number}"
    return lab.measure(what, lab.models, 1, ask, lambda seed: lab.models(seed).scorer(number))


def _ordered(judged: dict[str, list[Outcome]]) -> Marks:
    """Of every problem that has right and wrong samples: the share of pairs in the right order."""
    return [
        {i: [share] for i, (mixed, share) in enumerate(zip(has.correct, ordered.correct, strict=True)) if mixed}
        for has, ordered in zip(judged[MIXED], judged[ORDERED], strict=True)
    ]
