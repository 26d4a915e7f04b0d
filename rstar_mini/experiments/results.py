"""What an experiment found: cells with n, seeds and interval, and claims with verdicts; JSON both ways."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from rstar_mini.evaluation.claims import Claim, Difference
from rstar_mini.evaluation.statistics import interval, paired_bootstrap
from rstar_mini.evaluation.systems import Outcome, pool
from rstar_mini.experiments import NAMES
from rstar_mini.files import read_json
from rstar_mini.problems.kinds import kinds
from rstar_mini.types import Problem

BY_ORM = "the paper's best of N is by an ORM"


@dataclass(frozen=True, slots=True)
class Cell:
    """A share in percent with its 95 % interval over `n` problems; `by_seed` are those of each seed alone.

    `tokens` are those that a problem took, where that was counted.
    """

    percent: float
    low: float
    high: float
    n: int
    by_seed: tuple[float, ...]
    tokens: float | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of ours; None where nothing was measured. A curve is drawn over tokens."""

    title: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[Cell | None, ...]]
    curve: bool = False


Findings = tuple[list[Grid], list[Claim]]
"""What an experiment gives."""


@dataclass(frozen=True, slots=True)
class Result:
    """An experiment's findings. `tables` are the paper's numbers of what stands beside them."""

    name: str
    title: str
    recipe: str
    seeds: tuple[int, ...]
    command: str
    tables: tuple[int, ...]
    grids: tuple[Grid, ...]
    claims: tuple[Claim, ...]
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """A dict; each claim carries its verdict."""
        claims = [asdict(claim) | {"verdict": str(claim.verdict)} for claim in self.claims]
        return asdict(self) | {"claims": claims}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Result:
        """The inverse of `to_json`; verdicts follow from the intervals again."""
        claims = [{key: value for key, value in claim.items() if key != "verdict"} for claim in row["claims"]]
        return cls(
            **row
            | {name: tuple(row[name]) for name in ("seeds", "tables", "notes")}
            | {
                "grids": tuple(_grid(grid) for grid in row["grids"]),
                "claims": tuple(
                    Claim(**c | {"ours": c["ours"] and tuple(c["ours"]), "by_seed": tuple(c["by_seed"])})
                    for c in claims
                ),
            }
        )


def _grid(row: dict[str, Any]) -> Grid:
    def cell(found: dict[str, Any] | None) -> Cell | None:
        return Cell(**found | {"by_seed": tuple(found["by_seed"])}) if found else None

    rows = {name: tuple(map(cell, cells)) for name, cells in row["rows"].items()}
    return Grid(row["title"], tuple(row["columns"]), rows, row["curve"])


def read_results(folder: Path) -> list[Result]:
    """The results that are in a folder, those of a run or those that come with the project, in the order of `NAMES`."""
    files = [folder / f"{name}.json" for name in NAMES]
    return [read_json(file, Result.from_json) for file in files if file.exists()]


def measured(outcomes: Sequence[Outcome]) -> Cell:
    """The cell of one system under every seed, on the same problems.

    Seeds of one problem are no independent problems: the interval is that of n problems, each with the share of seeds
    under which it was right.
    """
    pooled = pool(outcomes)
    n = len(pooled.correct)
    cell = counted(sum(pooled.correct), n, [sum(outcome.correct) for outcome in outcomes])
    return Cell(cell.percent, cell.low, cell.high, n, cell.by_seed, round(pooled.tokens / n, 1) or None)


def counted(right: float, n: int, by_seed: Sequence[float]) -> Cell:
    """The cell of `right` of `n`, and as many for each seed."""
    low, high = interval(right, n)
    mean, low, high = (round(100 * share, 2) for share in (right / n, low, high))
    return Cell(mean, low, high, n, tuple(round(100 * k / n, 2) for k in by_seed))


def grids_by_kind(
    title: str,
    columns: tuple[str, ...],
    rows: Mapping[str, Sequence[Sequence[Outcome] | None]],
    problems: Sequence[Problem],
) -> list[Grid]:
    """A table of all problems and, where they are of several kinds, one of each; rows hold outcomes by seed."""

    def cells(outcomes: Sequence[Sequence[Outcome] | None], places: Sequence[int] | None) -> tuple[Cell | None, ...]:
        return tuple(measured(_some(each, places)) if each else None for each in outcomes)

    parts: dict[str, Sequence[int] | None] = {title: None}
    parts |= {f"{kind}: {title}": places for kind, places in kinds(problems).items()}
    return [
        Grid(name, columns, {row: cells(outcomes, places) for row, outcomes in rows.items()})
        for name, places in parts.items()
    ]


def claims_by_kind(
    text: str,
    table: str,
    paper: float | None,
    a: Sequence[Outcome],
    b: Sequence[Outcome],
    problems: Sequence[Problem],
    note: str = "",
) -> list[Claim]:
    """`claim_of` all problems and, where they are of several kinds, of each."""
    parts = kinds(problems).items()
    own = [
        claim_of(f"{kind}: {text}", table, paper, _some(a, places), _some(b, places), note) for kind, places in parts
    ]
    return [claim_of(text, table, paper, a, b, note), *own]


def _some(outcomes: Sequence[Outcome], places: Sequence[int] | None) -> Sequence[Outcome]:
    """Of each seed the outcome for these problems alone; tokens are known of all together."""
    return outcomes if places is None else [Outcome([one.correct[place] for place in places]) for one in outcomes]


Marks = Sequence[Mapping[Any, Sequence[float]]]
"""For each seed what was right, any number of marks for each problem that has some."""


def marked(seeds: Marks) -> Cell | None:
    """The cell of marks: each problem counts once, by the mean of its marks and of the seeds that have any."""
    shares = list(_shares(seeds).values())
    n = len(shares)
    by_seed = [n * fmean(_shares([marks]).values()) if marks else 0.0 for marks in seeds]
    return counted(sum(shares), n, by_seed) if shares else None


def claim_of(
    text: str, table: str, paper: float | None, a: Sequence[Outcome], b: Sequence[Outcome], note: str = ""
) -> Claim:
    """The claim that system `a` is above `b` on the same problems; paired bootstrap over the problems."""
    first, second = [[{i: [right] for i, right in enumerate(outcome.correct)} for outcome in each] for each in (a, b)]
    return claim_of_marks(text, table, paper, first, second, note)


def claim_of_marks(text: str, table: str, paper: float | None, a: Marks, b: Marks, note: str = "") -> Claim:
    """The claim that `a` is above `b`, by problems that have marks of both under a seed; without any, not measured."""
    both = [
        {problem: [fmean(first[problem]) - fmean(second[problem])] for problem in first if problem in second}
        for first, second in zip(a, b, strict=True)
    ]
    by_seed = tuple(round(fmean(won[0] for won in seed.values()), 5) for seed in both if seed)
    return Claim(text, table, paper, _difference(list(_shares(both).values())), note, by_seed)


def _difference(won: Sequence[float]) -> Difference | None:
    if not won:
        return None
    mean, low, high = paired_bootstrap(won, [0.0] * len(won), 0)
    return round(mean, 5), round(low, 5), round(high, 5)


def _shares(seeds: Marks) -> dict[Any, float]:
    """Of each problem the mean over the seeds of the mean of its marks."""
    found: defaultdict[Any, list[float]] = defaultdict(list)
    for marks in seeds:
        for problem, each in marks.items():
            found[problem].append(fmean(each))
    return {problem: fmean(shares) for problem, shares in found.items()}
