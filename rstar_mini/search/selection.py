"""Choosing one final answer from finished solutions (section 4.1): by the PPM, by vote, or by a PPM-weighted vote."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from enum import StrEnum

from rstar_mini.answers import answer_key
from rstar_mini.types import Node


class Selection(StrEnum):
    """How a final answer is chosen among terminal nodes."""

    PPM = "ppm"
    VOTE = "vote"
    WEIGHTED = "ppm-weighted vote"


def choose(terminals: Sequence[Node], how: Selection) -> Node | None:
    """The chosen terminal node, or None without any; the first of equals wins.

    PPM takes the highest PPM score; VOTE the answer most often reached; WEIGHTED the answer with the largest sum of PPM
    scores, moved to [0, 1] so that a bad trajectory counts little instead of against its answer.
    """
    if not terminals:
        return None
    if how is Selection.PPM:
        return max(terminals, key=lambda node: node.prior or 0.0)
    votes: defaultdict[str, float] = defaultdict(float)
    for node in terminals:
        weight = 1.0 if how is Selection.VOTE else (1.0 + (node.prior or 0.0)) / 2.0
        votes[answer_key(node.step.answer or "")] += weight * node.multiplicity
    best = max(votes, key=lambda key: votes[key])
    return next(node for node in terminals if answer_key(node.step.answer or "") == best)
