"""Figure 3: accuracy against tokens, for votes, best of N, beam search and PPM-guided MCTS.

Best of N and beam search choose by the PPM's score, as in the paper; search as the recipe says, so a vote that the PPM
weighs stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

from rstar_mini.evaluation.paper import known, paper_table
from rstar_mini.evaluation.systems import GuidedTrees, MakeExpander, Outcome, Samples, beam, greedily
from rstar_mini.experiments.lab import Lab
from rstar_mini.experiments.results import BY_ORM, Findings, Grid, claim_of, measured
from rstar_mini.policy import forget
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.search import Selection
from rstar_mini.types import Problem

TITLE = "Scaling: accuracy against tokens"
TABLES = (6, 8)
TREES = (1, 2, 4, 8)  # of MCTS, each gives one trajectory, and the width of a beam; the paper goes to 64
PROBLEMS = 500  # of the held-out ones at most: the last step alone takes as many tokens as all before it


def scaling(lab: Lab) -> Findings:
    """The last round's models with growing budgets; the vote draws until it has used what the search took."""
    last = lab.rounds[-1]

    def ask(problems: Sequence[Problem], expander: MakeExpander, judge: PPMScorer | None) -> dict[str, Outcome]:
        assert judge
        alone, how = greedily(problems, expander("greedy"), lab.recipe), Selection(lab.recipe.evaluation.selection)
        outcomes, grown = {"greedy 1": alone}, GuidedTrees(problems, expander, judge, lab.recipe)
        votes = Samples(problems, expander, "vote", lab.recipe, alone.tokens)
        took = {}
        for trees in TREES:
            outcomes[f"mcts {trees}"] = grown.until(trees).outcome(how)
            outcomes[f"vote {trees}"] = votes.until(grown.tokens).outcome(Selection.VOTE)
            took[trees] = grown.tokens
        forget(judge)  # each pays for what it reads
        best = Samples(problems, expander, "best", lab.recipe, 2 * alone.tokens, judge)
        for trees in TREES:
            drawn = best.until(took[trees])
            outcomes[f"best of N {trees}"] = drawn.outcome(Selection.PPM)
            outcomes[f"weighted vote {trees}"] = drawn.outcome(Selection.WEIGHTED)
        for width in TREES:
            forget(judge)
            outcomes[f"beam {width}"] = beam(problems, expander, judge, lab.recipe, width)
        return outcomes

    found = lab.measure("scaling", lab.models, last, ask, lambda seed: lab.models(seed).scorer(last), most=PROBLEMS)
    names: dict[str, Sequence[int]] = {"greedy": [1], "vote": TREES, "weighted vote": TREES, "best of N": TREES}
    names |= {"beam": TREES, "mcts": TREES}
    columns = tuple(names)
    rows = {
        str(step): tuple(measured(found[f"{name} {step}"]) if step in steps else None for name, steps in names.items())
        for step in TREES
    }
    orm = known(paper_table(6).column("MATH"), "round 4") - known(paper_table(8).column("MATH"), "ORM, best of N")
    claims = [
        claim_of(
            f"search over a vote of equal tokens, trees: {trees}",
            "8",
            orm,
            found[f"mcts {trees}"],
            found[f"vote {trees}"],
            BY_ORM,
        )
        for trees in TREES
    ]
    most, note = f"mcts {TREES[-1]}", "the paper: 64 trajectories over 8, MATH"
    claims.append(claim_of(f"{TREES[-1]} trees over one", "1, 6", 0.6, found[most], found["mcts 1"], note))
    return [Grid("Held-out problems right (%) by trees, or width of the beam", columns, rows, curve=True)], claims
