"""Preference pairs to read: chosen and rejected side by side, with the PPM's score as a colour under every step."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rstar_mini.code_cot import split_steps
from rstar_mini.show.markup import STYLE, code
from rstar_mini.show.tree_plot import colour, ink
from rstar_mini.show.view import label, step_text
from rstar_mini.types import Step

if TYPE_CHECKING:
    from rstar_mini.ppm.base import Scorer
    from rstar_mini.ppm.pairs import Pair

Scores = tuple[Sequence[float], Sequence[float]]
"""Of the chosen and of the rejected side: the score of each step, those of the prefix first."""

SIDE = "flex:1 1 20em;min-width:0;border-top:4px solid"
EDGES = {"chosen": "#0072b2", "rejected": "#d55e00"}


@dataclass(frozen=True, slots=True)
class PairView:
    """HTML that a notebook shows on a light or a dark page, and the same in words."""

    html: str
    words: str

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": self.words}


def compare_pairs(pairs: Sequence[Pair], scores: Sequence[Scores] | None = None) -> PairView:
    """Each pair under its question and the steps that both sides share; `scores` as `pair_scores` gives them."""
    shown = [_Sides.of(pair, scores[i] if scores else None) for i, pair in enumerate(pairs)]
    page = "<hr>".join(sides.html() for sides in shown)
    return PairView(f'<div style="{STYLE}">{page}</div>', "\n\n".join("\n".join(sides.words()) for sides in shown))


def pair_scores(pairs: Sequence[Pair], scorer: Scorer) -> list[Scores]:
    """What the PPM says of every step of both sides of each pair, each read after the steps before it."""
    sides = [side for pair in pairs for side in _sides(pair)]
    owners = [pair.problem for pair in pairs for _ in range(2)]
    asked = [
        (problem, tuple(steps[:k]), [steps[k]])
        for problem, steps in zip(owners, sides, strict=True)
        for k in range(len(steps))
    ]
    flat = iter(scorer.score(asked))
    found = [[next(flat)[0] for _ in steps] for steps in sides]
    return list(zip(found[::2], found[1::2], strict=True))


@dataclass(frozen=True, slots=True)
class _Sides:
    """A pair cut into steps, each with its score where there is one."""

    pair: Pair
    prefix: list[tuple[Step, float | None]]
    chosen: list[tuple[Step, float | None]]
    rejected: list[tuple[Step, float | None]]

    @classmethod
    def of(cls, pair: Pair, scores: Scores | None) -> _Sides:
        shared, sides = len(_steps(pair.prefix)), _sides(pair)
        given = scores or [[None] * len(steps) for steps in sides]
        chosen, rejected = (list(zip(steps, row, strict=True)) for steps, row in zip(sides, given, strict=True))
        return cls(pair, chosen[:shared], chosen[shared:], rejected[shared:])

    def html(self) -> str:
        columns = "".join(
            f'<div style="{SIDE} {EDGES[name]}"><b>{name}</b>, Q = {q:+.2f}{_html(steps)}</div>'
            for name, q, steps in self._columns()
        )
        # A dollar sign in an element of its own begins no formula.
        question = f"<p>{html.escape(self.pair.problem.question).replace('$', '<span>$</span>')}</p>"
        return f'{question}{_html(self.prefix)}<div style="display:flex;flex-wrap:wrap;gap:1em">{columns}</div>'

    def words(self) -> Iterator[str]:
        yield self.pair.problem.question
        if self.prefix:
            yield f"both begin: {_words(self.prefix)}"
        for name, q, steps in self._columns():
            yield f"{name}, Q = {q:+.2f}: {_words(steps)}"

    def _columns(self) -> Iterator[tuple[str, float, list[tuple[Step, float | None]]]]:
        yield "chosen", self.pair.q_chosen, self.chosen
        yield "rejected", self.pair.q_rejected, self.rejected


def _sides(pair: Pair) -> list[list[Step]]:
    """The steps of the chosen and of the rejected side, those of the prefix first."""
    return [_steps(pair.prefix) + _steps(text) for text in (pair.chosen, pair.rejected)]


def _steps(text: str) -> list[Step]:
    """The steps of a text; one where a report for others has left out a quotation, and a tag with it."""
    try:
        return split_steps(text)
    except ValueError:
        return [Step(text)]


def _html(steps: Sequence[tuple[Step, float | None]]) -> str:
    return "".join(code(step_text(step)) + _bar(score) for step, score in steps)


def _bar(score: float | None) -> str:
    look = "margin:-.3em 0 .6em;padding:0 .4em;font-size:13px"
    if score is None:
        return ""
    return f'<div style="{look};background:{colour(score)};color:{ink(score)}">PPM {score:+.2f}</div>'


def _words(steps: Sequence[tuple[Step, float | None]]) -> str:
    return "; ".join(label(step) + ("" if score is None else f" (PPM {score:+.2f})") for step, score in steps)
