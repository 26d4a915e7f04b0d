"""The paper's tables as data: one file, `paper_tables.json`, in which a figure is corrected once for all who use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rstar_mini.errors import UserError
from rstar_mini.evaluation.statistics import interval
from rstar_mini.files import read_json

FILE = Path(__file__).with_name("paper_tables.json")


@dataclass(frozen=True, slots=True)
class PaperTable:
    """A table of arXiv 2501.04519v1.

    `rows` maps a row's name to its cells, None where there is no figure; `missing` says why there is none.
    """

    number: int
    title: str
    unit: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[float | None, ...]]
    missing: str = ""

    def __str__(self) -> str:
        """The table as text, "-" where there is no figure."""
        names = ("", *self.rows)
        cells = [self.columns, *(["-" if c is None else f"{c}" for c in row] for row in self.rows.values())]
        wide = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            f"{name:{max(map(len, names))}}  " + "  ".join(f"{c:>{w}}" for c, w in zip(row, wide, strict=True))
            for name, row in zip(names, cells, strict=True)
        ]
        return "\n".join([f"Table {self.number}: {self.title} ({self.unit})", *lines, *filter(None, [self.missing])])

    def row(self, name: str) -> dict[str, float | None]:
        """A row by column.

        Raises:
            UserError: there is no such row.
        """
        if name not in self.rows:
            raise UserError(f"table {self.number} has no row '{name}'; its rows: {', '.join(self.rows)}")
        return dict(zip(self.columns, self.rows[name], strict=True))

    def column(self, name: str) -> dict[str, float | None]:
        """A column by row.

        Raises:
            UserError: there is no such column.
        """
        if name not in self.columns:
            raise UserError(f"table {self.number} has no column '{name}'; its columns: {', '.join(self.columns)}")
        place = self.columns.index(name)
        return {row: cells[place] for row, cells in self.rows.items()}


def paper_table(number: int) -> PaperTable:
    """A table of the paper by its number in version 1, such as `paper_table(6)`.

    Raises:
        UserError: there is no such table.
    """
    tables = {table.number: table for table in paper_tables()}
    if number not in tables:
        raise UserError(f"the paper's tables here are {min(tables)} to {max(tables)}; there is no table {number}")
    return tables[number]


def paper_tables() -> list[PaperTable]:
    """All tables of the paper that are known here."""
    return [
        PaperTable(**row | {"columns": tuple(row["columns"]), "rows": {k: tuple(v) for k, v in row["rows"].items()}})
        for row in _data()["tables"]
    ]


def known(column: Mapping[str, float | None], row: str) -> float:
    """A cell that a claim rests on."""
    cell = column[row]
    assert cell is not None, f"the claim rests on a figure that is missing: {row}"
    return cell


def gap_of(column: Mapping[str, float | None], new: int, old: int) -> float:
    """By how many points a round of the paper is above another; round 0 is the base."""
    return known(column, f"round {new}") - known(column, f"round {old}" if old else "base")


def problems_in(benchmark: str) -> int:
    """How many problems a benchmark of the paper has.

    MATH counts 500: nearly all cells are multiples of 0.2, so it is MATH-500 that was measured, not all 5000.

    Raises:
        UserError: the benchmark is not known.
    """
    sizes: dict[str, int] = _data()["problems"]
    if benchmark not in sizes:
        raise UserError(f"benchmark '{benchmark}' is not known; known: {', '.join(sizes)}")
    return sizes[benchmark]


def right_of(percent: float, benchmark: str) -> int:
    """How many problems of a benchmark a printed percentage stands for, to the nearest whole problem."""
    return round(percent / 100 * problems_in(benchmark))


def paper_interval(percent: float, benchmark: str) -> tuple[float, float]:
    """The 95 % interval that the paper does not give, in percent (Wilson's, from the number of problems)."""
    low, high = interval(right_of(percent, benchmark), problems_in(benchmark))
    return 100 * low, 100 * high


@cache
def _data() -> Any:
    return read_json(FILE)
