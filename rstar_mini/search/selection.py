"""Choosing one final answer from finished solutions (section 4.1): by the PPM, by vote, or by a PPM-weighted vote."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from enum import StrEnum

from rstar_mini.answers import Verdict, answer_key, compare
from rstar_mini.types import Node, Problem


class Selection(StrEnum):
    """How a final answer is chosen among terminal nodes."""

    PPM = "ppm"
    VOTE = "vote"
    WEIGHTED = "ppm-weighted vote"


def choose(terminals: Sequence[Node], how: Selection) -> Node | None:
    """The chosen terminal node, or None without any; the first of equals wins.

    PPM takes the highest PPM score r; VOTE the answer with the most votes of the policy's samples. WEIGHTED multiplies
    each vote by exp(r): the PPM was trained to prefer a to b with odds exp(r_a) : exp(r_b) (Eq. 4), so this is what
    the policy believes before it is judged, times the odds that the judge gives.
    """
    if not terminals:
        return None
    if how is Selection.PPM:
        return max(terminals, key=lambda node: node.prior or 0.0)
    votes: defaultdict[str, float] = defaultdict(float)
    for node in terminals:
        odds = math.exp(node.prior or 0.0) if how is Selection.WEIGHTED else 1.0
        votes[answer_key(node.step.answer or "")] += odds * node.votes
    best = max(votes, key=lambda key: votes[key])
    return next(node for node in terminals if answer_key(node.step.answer or "") == best)


def is_right(chosen: Node | None, problem: Problem) -> bool:
    """True when a final answer was reached and equals the known one."""
    return chosen is not None and compare(chosen.step.answer or "", problem.answer) is Verdict.EQUAL
