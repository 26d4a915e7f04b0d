"""Write the tables of results into the Markdown pages that show them: `python -m rstar_mini.show.readme`.

A block begins with `<!-- results NAME: PART -->` and ends with `<!-- end -->`. NAME is a folder of `data/results/`.
PART is an experiment, `claims` of all its experiments, `verdicts` on those that are settled, or `metrics` of its run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from rstar_mini.errors import UserError, command
from rstar_mini.evaluation.claims import Claim, Verdict
from rstar_mini.experiments.page import CLAIM_HEADERS, cell_text, claim_cells
from rstar_mini.experiments.results import Grid, Result, read_results
from rstar_mini.files import read_json
from rstar_mini.paths import data_file
from rstar_mini.show.tables import HEADERS, difference, result_cells

SETTLED = (Verdict.HOLDS, Verdict.FAILS)
PAGES = ("README.md", "data/results/README.md")

_BLOCK = re.compile(r"(<!-- results (\S+): (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_results(text: str, results: Path) -> str:
    """The text with each block written again from the folders of `results`.

    Raises:
        UserError: a block names what is not there.
    """

    def block(found: re.Match[str]) -> str:
        opening, name, part, end = found.groups()
        return f"{opening}\n{_part(results / name, part)}\n\n{end}"

    return _BLOCK.sub(block, text)


def _part(folder: Path, part: str) -> str:
    if part == "metrics":
        if not (folder / "metrics.json").exists():
            raise UserError(f"{folder} has no metrics.json; write it with: {command('report', 'RUN', '--to', folder)}")
        rows = map(result_cells, read_json(folder / "metrics.json"))
        return _table(HEADERS, rows)
    found = {result.name: result for result in read_results(folder)}
    if part == "claims":
        return _table(CLAIM_HEADERS, (claim_cells(claim) for result in found.values() for claim in result.claims))
    if part == "verdicts":
        claims = [claim for result in found.values() for claim in result.claims if claim.verdict in SETTLED]
        return _table(("claim", "here [95 %]", "verdict"), (_verdict(claim) for claim in claims))
    if part not in found:
        parts = ", ".join([*found, "claims", "verdicts"])
        raise UserError(f"{folder} has no results of '{part}'; it has {parts} and metrics")
    return "\n\n".join(_grid(found[part], grid) for grid in found[part].grids)


def _verdict(claim: Claim) -> tuple[str, str, str]:
    return claim.text, difference(claim.ours), str(claim.verdict)


def _grid(result: Result, grid: Grid) -> str:
    sizes = sorted({cell.n for cells in grid.rows.values() for cell in cells if cell})
    n, seeds = ", ".join(f"{size:,}" for size in sizes), ", ".join(map(str, result.seeds))
    caption = f"{grid.title}; n = {n}, seeds {seeds}; `{result.command}`"
    return f"{caption}\n\n" + _table(
        ("", *grid.columns), ((name, *map(cell_text, row)) for name, row in grid.rows.items())
    )


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head, *body = (f"| {' | '.join(row)} |" for row in (headers, *rows))
    return "\n".join([head, "|" + "---|" * len(headers), *body])


if __name__ == "__main__":
    for page in (data_file("results").parent.parent / name for name in PAGES):
        page.write_text(with_results(page.read_text("utf-8"), data_file("results")), "utf-8")
