"""Tables 5, 9 and 10, figures 5 to 7: policies of all rounds and of half the size under one PPM, and their ceilings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rstar_mini.evaluation.claims import Claim
from rstar_mini.evaluation.paper import known, paper_table
from rstar_mini.evaluation.systems import MakeExpander, Outcome, any_right, greedily, guided_search
from rstar_mini.evolution.models import Models
from rstar_mini.experiments.lab import Lab
from rstar_mini.experiments.results import Findings, Grid, claim_of, measured
from rstar_mini.finetune.pretrain import SETTINGS as PRETRAINING
from rstar_mini.finetune.pretrain import pretrain, pretraining_problems
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.training import AnyModel
from rstar_mini.types import Problem

TITLE = "One PPM, several policies, and their ceilings"
TABLES = (5, 9, 10)
SMALL, SIZE = "half the size", (96, 3)  # width and layers; `tiny` has 128 and 4
SAMPLES = 16
CEILING = 500  # held-out problems at most of which so many samples are drawn
SYSTEMS = ("greedy", "mcts", f"pass@{SAMPLES}")


def policies(lab: Lab) -> Findings:
    """Every policy under the PPM of the last round, on whose trajectories that of half the size was trained too."""
    last = lab.rounds[-1]
    every = {f"round {number}": _of_round(lab, number) for number in lab.rounds}
    if lab.recipe.policy.base == "tiny":
        every[SMALL] = _of_half_the_size(lab)
    rows = {
        name: tuple(measured(systems[system]) if system in systems else None for system in SYSTEMS)
        for name, systems in every.items()
    }
    weak, strong = every["round 1"], every[f"round {last}"]
    claims = [_lift("the weaker policy (round 1)", weak), _narrower("rounds 1 and last", weak, strong)]
    if small := every.get(SMALL):
        claims += [_lift("the smaller policy", small), _narrower("the two sizes", small, strong)]
    return [Grid("Held-out problems right (%), with the tokens of each", SYSTEMS, rows)], claims


def _lift(what: str, policy: dict[str, list[Outcome]]) -> Claim:
    """Phi3-mini's search over its greedy decoding, both after fine-tuning."""
    searched = known(paper_table(5).column("MATH"), "Phi3-mini rStar-Math")
    alone = known(paper_table(10).column("MATH"), "Phi3-mini")
    text = f"a PPM of another policy lifts {what}: search over greedy"
    return claim_of(text, "5, 10", searched - alone, policy["mcts"], policy["greedy"])


def _narrower(what: str, weak: dict[str, list[Outcome]], strong: dict[str, list[Outcome]]) -> Claim:
    """How much smaller the distance of two policies is under search than in greedy decoding, problem by problem."""
    searched, alone = paper_table(6).column("MATH")["round 4"], paper_table(10).column("MATH")
    phi = known(paper_table(5).column("MATH"), "Phi3-mini rStar-Math")
    before = known(alone, "Qwen2.5-Math-7B") - known(alone, "Phi3-mini")
    won, lost = _both(weak["mcts"], strong["greedy"]), _both(weak["greedy"], strong["mcts"])
    return claim_of(f"search brings {what} nearer", "5, 10", before - ((searched or 0.0) - phi), won, lost)


def _both(a: list[Outcome], b: list[Outcome]) -> list[Outcome]:
    """How many of two are right, by problem and seed."""
    pairs = (zip(one.correct, other.correct, strict=True) for one, other in zip(a, b, strict=True))
    return [Outcome([first + second for first, second in each]) for each in pairs]


def _of_round(lab: Lab, number: int) -> dict[str, list[Outcome]]:
    """Under the last PPM search the first and the last one."""
    last = lab.rounds[-1]
    found = lab.systems(number, recipes=number != last)
    if number != last:
        found = {"greedy": found["greedy"]}
    if number == lab.rounds[0] != last:
        found["mcts"] = lab.guided(f"policy {number}, PPM {last}", number, lambda seed: lab.models(seed).scorer(last))
    return found | _ceiling(lab, f"round {number}", lab.models, number)


def _of_half_the_size(lab: Lab) -> dict[str, list[Outcome]]:
    """A smaller base, fine-tuned on the last round's trajectories."""
    base = _small_base(lab)

    def models(seed: int) -> Models:
        return lab.policy_from(
            seed, f"policy of {SMALL}", lambda: lab.trajectories(seed), start=lambda: base.weights(1)
        )

    def ask(problems: Sequence[Problem], expander: MakeExpander, judge: PPMScorer | None) -> dict[str, Outcome]:
        assert judge
        searched = guided_search(problems, expander, judge, lab.recipe)
        return {"greedy": greedily(problems, expander("greedy"), lab.recipe), "mcts": searched}

    last = lab.rounds[-1]
    found = lab.measure(f"policy of {SMALL}, last PPM", models, 1, ask, lambda seed: lab.models(seed).scorer(last))
    return found | _ceiling(lab, SMALL, models, 1)


def _ceiling(lab: Lab, name: str, models: Callable[[int], Models], number: int) -> dict[str, list[Outcome]]:
    """Whether one of many samples is right: no choice among them can do better."""

    def ask(problems: Sequence[Problem], expander: MakeExpander, _: PPMScorer | None) -> dict[str, Outcome]:
        return {f"pass@{SAMPLES}": any_right(problems, expander("pass"), SAMPLES, lab.recipe)}

    return lab.measure(f"samples of policy {name}", models, number, ask, most=CEILING)


def _small_base(lab: Lab) -> Models:
    """A base of half the size, pretrained as the shipped one, once for all seeds: its tokenizer comes out the same."""

    def train(checkpoints: Path) -> AnyModel:
        problems = pretraining_problems()
        return pretrain(problems, PRETRAINING, 0, lab.progress, checkpoints, *SIZE)[0]

    return lab.trained_for_all(f"base of {SMALL}", "policy", train)
