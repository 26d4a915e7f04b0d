"""One page and one figure for each experiment: what was measured here beside what the paper prints."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

import matplotlib.style

from rstar_mini.evaluation.claims import Claim, Verdict
from rstar_mini.evaluation.paper import paper_table
from rstar_mini.experiments.results import Cell, Grid, Result
from rstar_mini.show.figures import MARKERS, PALETTE
from rstar_mini.show.page import escaped, image, preformatted, table, whole_page
from rstar_mini.show.picture import Picture
from rstar_mini.show.tables import difference

PAGE = "experiments.html"
LOOKS = {Verdict.HOLDS: (PALETTE[0], ""), Verdict.FAILS: (PALETTE[1], ""), Verdict.OPEN: ("grey", "white")}
CLAIM_HEADERS = ("claim", "table", "paper", "here [95 %]", "by seed", "verdict")


def page_files(results: Sequence[Result]) -> dict[str, bytes]:
    """experiments.html, a figure of all claims, and one for each table of ours, by file name."""
    with matplotlib.style.context("default"):
        figures = {result.name: [grid_figure(grid) for grid in result.grids] for result in results}
        claims = claims_figure([claim for result in results for claim in result.claims])
        whole = whole_page("rstar_mini: the paper's claims", _sections(results, figures, claims))
        pictures = {"claims.png": claims.png()}
        pictures |= {f"{name}-{i}.png": figure.png() for name, each in figures.items() for i, figure in enumerate(each)}
    return {PAGE: whole.encode()} | pictures


def claim_cells(claim: Claim) -> tuple[str, ...]:
    """A claim under `CLAIM_HEADERS`; the paper's in points on MATH, or on all problems for coverage."""
    paper = "-" if claim.paper is None else f"{claim.paper:+.1f}"
    seeds = ", ".join(f"{100 * one:+.1f}" for one in claim.by_seed) or "-"
    text = f"{claim.text} ({claim.note})" if claim.note else claim.text
    return text, claim.table, paper, difference(claim.ours), seeds, str(claim.verdict)


def cell_text(cell: Cell | None) -> str:
    """ "84.1 [82.4, 85.6]", or "-" where nothing was measured."""
    return "-" if cell is None else f"{cell.percent:.1f} [{cell.low:.1f}, {cell.high:.1f}]"


def claims_figure(claims: Sequence[Claim]) -> Picture:
    """Our difference with its interval, and those of the seeds, for each claim that was measured."""
    seen = [(claim, claim.ours) for claim in claims if claim.ours]
    figure = Picture(figsize=(8, 0.8 + 0.34 * len(seen)))
    figure.set_layout_engine("constrained")
    ax = figure.add_subplot()
    for y, (claim, ours) in enumerate(seen):
        mean, low, high = (100 * x for x in ours)
        colour, fill = LOOKS[claim.verdict]
        ax.plot([low, high], [y, y], color=colour)
        ax.plot(mean, y, "o", color=colour, markerfacecolor=fill or colour)
        ax.plot([100 * one for one in claim.by_seed], [y] * len(claim.by_seed), "|", color="black", markersize=9)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_xscale("symlog", linthresh=2, linscale=1)
    ax.minorticks_off()
    ticks = (-40, -10, -5, -2, -1, 0, 1, 2, 5, 10, 40)
    ax.set(
        yticks=range(len(seen)),
        yticklabels=[textwrap.fill(claim.text, 55) for claim, _ in seen],
        xticks=ticks,
        xticklabels=ticks,
        xlabel="points [95 %]; bars: seeds; hollow: not settled",
    )
    ax.invert_yaxis()
    ax.grid(alpha=0.3, axis="x")
    figure.words = "\n".join(": ".join((claim.text, *claim_cells(claim)[3:])) for claim, _ in seen)
    return figure


def grid_figure(grid: Grid) -> Picture:
    """A mark with its interval for each cell: one row of the table below the other, or curves over the tokens."""
    names, figure = list(grid.rows), Picture(figsize=(6.4, 4 if grid.curve else 1.2 + 0.35 * len(grid.rows)))
    figure.set_layout_engine("constrained")
    ax, words = figure.add_subplot(), [grid.title]
    for i, column in enumerate(grid.columns):
        seen = [(y, cell) for y, cells in enumerate(grid.rows.values()) if (cell := cells[i])]
        percents = [cell.percent for _, cell in seen]
        bars = [[cell.percent - cell.low for _, cell in seen], [cell.high - cell.percent for _, cell in seen]]
        marker, colour = MARKERS[i % len(MARKERS)], PALETTE[i % len(PALETTE)]
        if grid.curve:
            tokens = [cell.tokens or 0.0 for _, cell in seen]
            ax.errorbar(tokens, percents, yerr=bars, fmt=f"{marker}-", color=colour, capsize=2, label=column)
        else:
            places = [y + 0.6 * ((i + 0.5) / len(grid.columns) - 0.5) for y, _ in seen]
            ax.errorbar(percents, places, xerr=bars, fmt=marker, color=colour, capsize=2, label=column)
        words += [f"{names[y]}, {column}: {cell_text(cell)}" for y, cell in seen]
    ax.set_title(grid.title)
    if grid.curve:
        ax.set(xscale="log", xlabel="tokens a problem", ylabel="% with 95 % intervals")
    else:
        ax.set(yticks=range(len(names)), yticklabels=names, xlabel="% with 95 % intervals")
        ax.invert_yaxis()
    ax.grid(alpha=0.3)
    if len(grid.columns) > 1:
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.words = "\n".join(words)
    return figure


def _sections(
    results: Sequence[Result], figures: dict[str, list[Picture]], overview: Picture
) -> Iterator[tuple[str, str]]:
    claims = [[escaped(cell) for cell in claim_cells(claim)] for result in results for claim in result.claims]
    how = "<p>A claim holds where the interval of our difference, and every seed's, is on the paper's side of zero.</p>"
    yield "Claims", how + image(overview, overview.words) + table(CLAIM_HEADERS, claims)
    for result in results:
        seeds = ", ".join(map(str, result.seeds))
        made = f"<p>Recipe {escaped(result.recipe)}, seeds {seeds}; <code>{escaped(result.command)}</code></p>"
        ours = [
            _grid(grid) + image(picture, picture.words)
            for grid, picture in zip(result.grids, figures[result.name], strict=True)
        ]
        theirs = [preformatted(str(paper_table(number))) for number in result.tables]
        yield result.title, made + "".join(ours) + ("<p>The paper:</p>" if theirs else "") + "".join(theirs)


def _grid(grid: Grid) -> str:
    """Ours as a table: n, and the figure of each seed, stand in every cell."""

    def cell(found: Cell | None) -> str:
        if found is None:
            return "-"
        seeds = ", ".join(f"{percent:.1f}" for percent in found.by_seed)
        tokens = "" if found.tokens is None else f"; {found.tokens:,.0f} tokens a problem"
        return f"{cell_text(found)}<br><small>n = {found.n:,}; by seed {seeds}{tokens}</small>"

    rows = [[escaped(name), *map(cell, cells)] for name, cells in grid.rows.items()]
    return f"<h3>{escaped(grid.title)}</h3>" + table(("", *grid.columns), rows)
