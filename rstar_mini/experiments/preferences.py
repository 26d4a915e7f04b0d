"""Choices in the PPM's training that the paper makes without an experiment: each against the way it is here."""

from __future__ import annotations

import random
import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from rstar_mini.evolution.harvest import held_back
from rstar_mini.experiments.lab import AS_IT_IS, Lab
from rstar_mini.experiments.results import Findings, Grid, claim_of_marks, marked
from rstar_mini.files import read_json
from rstar_mini.ppm.model import ordered_rightly, reward, train_ppm
from rstar_mini.ppm.pairs import Pair

TITLE = "PPM: tanh, pairs of one prefix, pairs of whole solutions, margin"
TABLES: tuple[int, ...] = ()
NO_TANH = "without tanh in training"


def preferences(lab: Lab) -> Findings:
    """PPMs that differ in one choice, asked for the order of held-out pairs as they are made here."""
    ways: Mapping[str, Callable[[int], list[Pair]]] = {
        AS_IT_IS: lambda seed: _pairs(lab, seed),
        NO_TANH: lambda seed: _pairs(lab, seed),
        "with steps of any prefix of a problem": lambda seed: any_prefix(_pairs(lab, seed), seed),
        "without pairs of whole solutions": lambda seed: [pair for pair in _pairs(lab, seed) if not pair.final],
        "with a margin of 0.5 in Q": lambda seed: [p for p in _pairs(lab, seed) if p.q_chosen - p.q_rejected >= 0.5],
    }
    found = {name: [_right(lab, seed, name, pairs) for seed in lab.seeds] for name, pairs in ways.items()}
    claims = [
        claim_of_marks(f"PPM {AS_IT_IS}, over one {name}", "section 3.3", None, found[AS_IT_IS], found[name])
        for name in list(ways)[1:]
    ]
    rows = {name: (marked(marks),) for name, marks in found.items()}
    return [Grid("Held-out pairs ordered rightly (%), each problem counted once", ("right",), rows)], claims


def any_prefix(pairs: Sequence[Pair], seed: int) -> list[Pair]:
    """Each better step against a worse one of the same problem under whatever prefix."""
    luck, of_problem = random.Random(seed), defaultdict[str, list[Pair]](list)
    for pair in pairs:
        of_problem[pair.problem.id].append(pair)
    others = [luck.choice(of_problem[pair.problem.id]) for pair in pairs]
    return [
        replace(pair, prefix="", chosen=pair.prefix + pair.chosen, rejected=other.prefix + other.rejected)
        for pair, other in zip(pairs, others, strict=True)
    ]


def _pairs(lab: Lab, seed: int, held: bool = False) -> list[Pair]:
    """The pairs of all rounds, of the problems that train a PPM or of those that are held back."""
    apart = {problem.id for problem in held_back(lab.training(seed), lab.recipe.ppm.validation)}
    every = (pair for number in lab.rounds for pair in lab.run(seed).pairs(number))
    return [pair for pair in every if (pair.problem.id in apart) is held]


def _right(lab: Lab, seed: int, name: str, pairs: Callable[[int], list[Pair]]) -> dict[str, list[bool]]:
    """Of each problem which of its held-out pairs are in order, under one seed; from disk when it was done before."""
    run, models, last, asked = lab.run(seed), lab.models(seed), lab.rounds[-1], _pairs(lab, seed, held=True)
    folder = lab.folder(run, f"PPM, {name}", len(asked))
    if not (folder / "right.json").exists():
        tokenizer, prompt, checkpoints = models.tokenizer, models.prompt(last), folder / ".checkpoints"
        model, _ = train_ppm(
            models.ppm_to_train(last, seed),
            tokenizer,
            prompt,
            pairs(seed),
            lab.recipe.ppm,
            seed,
            lab.progress,
            checkpoints,
            f"seed {seed}: PPM {name}",
            Tensor.float if name == NO_TANH else reward,
        )
        run.write_json(folder / "right.json", ordered_rightly(model, tokenizer, prompt, asked))
        shutil.rmtree(checkpoints, ignore_errors=True)
    marks = defaultdict[str, list[bool]](list)
    for pair, right in zip(asked, read_json(folder / "right.json"), strict=True):
        marks[pair.problem.id].append(right)
    return marks
