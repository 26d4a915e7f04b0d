"""The result table of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from rstar_mini.evaluation.statistics import interval
from rstar_mini.problems.kinds import WORDS

if TYPE_CHECKING:
    from rstar_mini.evaluation.compare import Standing
    from rstar_mini.experiments.results import Result
    from rstar_mini.plan import Plan
    from rstar_mini.recipes import Recipe

HEADERS = ("round", "greedy", "vote", "mcts", "mcts - vote", "coverage", "PPM acc.")


def results_table(metrics: Sequence[Mapping[str, Any]]) -> Table:
    """One row for each finished round; under each figure stands its 95 % interval, in percent."""
    held_out = [row["evaluation"] for row in metrics if "evaluation" in row]
    sizes, seeds = (", ".join(dict.fromkeys(str(e[key]) for e in held_out if key in e)) or "-" for key in ("n", "seed"))
    caption = f"n = {sizes} held-out problems, seed {seeds}; % with 95 % intervals; round 0 is the base model"
    # Narrow enough for a terminal of 80 columns.
    table = Table(*HEADERS, title="Results by round", caption=caption, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.show_edge = False
    table.columns[0].min_width = max(map(len, WORDS.split())) if any("kinds" in e for e in held_out) else None
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    for row in metrics:
        for part in rows_by_kind(row):
            table.add_row(*(cell.replace(" [", "\n").removesuffix("]") for cell in result_cells(part)))
    return table


def rows_by_kind(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A round's row and, where held-out problems are of several kinds, a row for each kind."""
    kinds = row.get("evaluation", {}).get("kinds", {})
    return [row, *({"round": f"{row['round']}, {kind}", "evaluation": part} for kind, part in kinds.items())]


def needs_table(plan: Plan) -> Table:
    """The most memory that each step of a round takes, and what to change where that is too much."""
    caption = (
        f"{plan.numbers / 1e9:.3g} billion parameters; download {plan.download_gb:,.1f} GB, disk {plan.disk_gb:,.1f} "
        "GB. Memory was checked on an H200 with random weights, within 15 %; other cards are not checked. The caches "
        "of a search follow the free memory. Where memory runs out, search halves its batch and continues"
    )
    where = "computer" if plan.machine == "cpu" else "card"
    title = f"{plan.recipe} on {plan.gpus} x {plan.machine}: {where} has {plan.usable_gb:.1f} GB, "
    title += f"run needs {plan.peak_gb:.1f} GB"
    table = Table("step", "GB needed", "", title=title, caption=caption, box=box.SIMPLE_HEAD)
    for need in plan.needs:
        table.add_row(need.what, f"{need.peak_gb:.1f}", f"too much: {need.advice}" if need.advice else "fits")
    return table


def costs_table(plan: Plan, price: float | None = None) -> Table:
    """What each round costs, roughly; with the `price` of an hour of one GPU, also in money."""
    by_engine = "; ".join(f"{rough(hours / plan.gpus)} h with {engine}" for engine, hours in plan.engines.items())
    caption = f"whole run: {by_engine}; to take: {plan.engine}. vLLM's hours are not measured. Rough: the length of "
    caption += "a policy's steps may change this several times over"
    if plan.gpus > 1:
        caption = f"nodes: {plan.nodes}; {caption}"
    headers = ["round", "sampled", "trained", "search", "training", "evaluation", "GPU h", "hours"]
    headers += [] if price is None else ["cost"]
    # Narrow enough for a terminal of 80 columns.
    table = Table(*headers, title="Tokens and hours", caption=caption, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.show_edge = False
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    for cost in (plan.base, *plan.costs):
        parts = (cost.search, cost.training, cost.evaluation)
        name = "base" if cost.number == 0 else str(cost.number)
        counts = (f"{cost.sampled:.1e}", f"{cost.trained:.1e}", *map(rough, parts))
        table.add_row(name, *counts, *_hours(cost.gpu_hours, plan.gpus, price))
    table.add_row("all", "", "", "", "", "", *_hours(plan.gpu_hours, plan.gpus, price))
    return table


def cards_table(cards: Sequence[str], recipes: Sequence[Recipe]) -> Table:
    """Which recipe for which card: hours of the whole run, evaluation included, with the package's own engine."""
    from rstar_mini.plan import plan

    title = "Hours of the whole run, and GB that it needs"
    table = Table("card", *(recipe.name for recipe in recipes), title=title, box=box.SIMPLE_HEAD)
    for card in cards:
        table.add_row(card, *(card_cell(plan(recipe, card)) for recipe in recipes))
    return table


def card_cell(made: Plan) -> str:
    """Hours and the most memory, or that it does not fit."""
    return f"{rough(made.gpu_hours)} h, {made.peak_gb:.1f} GB" if made.fits else "too large"


def _hours(gpu_hours: float, gpus: int, price: float | None) -> list[str]:
    """GPU hours, hours, and money where an hour has a price."""
    money = [] if price is None else [rough(gpu_hours * price)]
    return [rough(gpu_hours), rough(gpu_hours / gpus), *money]


def rough(value: float) -> str:
    """Two digits that count."""
    return f"{float(f'{value:.2g}'):,g}"


def claims_table(results: Sequence[Result]) -> Table:
    """Every claim with the paper's difference, ours with its interval, and the verdict; seeds apart are on the page."""
    from rstar_mini.experiments.page import claim_cells

    seeds = ", ".join(map(str, results[0].seeds))
    table = Table("claim", "paper", title="The paper's claims", caption=f"seeds {seeds}", box=box.SIMPLE_HEAD)
    table.add_column("here [95 %]", no_wrap=True)
    table.add_column("verdict")
    for result in results:
        for claim in result.claims:
            _, _, paper, here, _, verdict = claim_cells(claim)
            table.add_row(claim.text, paper, here, verdict)
    return table


def standings_table(problems: str, measured: Sequence[Standing], reported: Sequence[Standing]) -> Table:
    """Systems on one problem set, the best first; what others report is told apart from what was measured here."""
    caption = "% with 95 % intervals; reported: arXiv 2501.04519, where no interval is given"
    table = Table("system", "right", "n", "source", title=problems, caption=caption, box=box.SIMPLE_HEAD)
    for one in sorted([*measured, *reported], key=lambda one: -_percent(one)):
        if one.n:
            table.add_row(
                one.system, share({"correct": round(one.correct or 0), "n": one.n}), str(one.n), "measured here"
            )
        else:
            table.add_row(one.system, f"{one.percent}", "", f"reported, table {one.table}")
    return table


def _percent(one: Standing) -> float:
    return 100 * (one.correct or 0.0) / one.n if one.n else one.percent or 0.0


def bench_table(result: Mapping[str, Any]) -> Table:
    """What `rstar-mini bench` found: each figure beside what another way gives, and the ratio of the two."""
    machine = ", ".join(f"{name} {value}" for name, value in result["machine"].items())
    caption = f"medians of n repeats, ratios with 95 % intervals; seed {result['seed']}; {machine}; {result['command']}"
    table = Table("what", "", "against", "ratio", "n", title="Bench", caption=caption, box=box.SIMPLE_HEAD)
    for row in result["rows"]:
        table.add_row(*bench_cells(row))
    return table


def bench_cells(row: Mapping[str, Any]) -> list[str]:
    """What, the figure, what the other way gives, their ratio with its interval, and the repeats."""
    other = "" if row["against"] is None else f"{row['against']}: {_figure(row['other'])}"
    ratio = "" if row["ratio"] is None else _figure(row["ratio"])
    if row["low"] is not None:
        ratio += f" [{_figure(row['low'])}, {_figure(row['high'])}]"
    return [row["what"], f"{_figure(row['value'])} {row['unit']}".strip(), other, ratio, str(row["n"])]


def _figure(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def seeds_table(result: Mapping[str, Any]) -> Table:
    """The same of an evaluation over several seeds: each seed in its row, then all together."""
    rows = []
    for row in result["rounds"]:
        rows += [{"round": f"{row['round']}, seed {e['seed']}", "evaluation": e} for e in row["seeds"]]
        if len(row["seeds"]) > 1:
            rows.append({"round": f"{row['round']}, all", "evaluation": row["pooled"]})
    return results_table(rows)


def result_cells(row: Mapping[str, Any]) -> list[str]:
    """The cells of one round under `HEADERS`; "-" where there is nothing."""
    evaluation = row.get("evaluation", {})
    systems = [share(evaluation.get("systems", {}).get(name)) for name in ("greedy", "vote", "mcts")]
    gap = difference(evaluation.get("paired", {}).get("mcts - vote"))
    trained = [share(row.get("coverage", {}).get("all")), share(row.get("ppm_accuracy"))]
    return [str(row["round"]), *systems, gap, *trained]


def share(counts: Mapping[str, int] | None) -> str:
    """ "88.5 [83.3, 92.2]": percent right with its interval, or "-" when nothing was counted."""
    if not counts or not counts["n"]:
        return "-"
    low, high = interval(counts["correct"], counts["n"])
    return f"{100 * counts['correct'] / counts['n']:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def difference(paired: Sequence[float] | None) -> str:
    """ "+4.5 [+1.0, +8.0]": percentage points with their interval, or "-"."""
    if not paired:
        return "-"
    middle, low, high = (100 * value for value in paired)
    return f"{middle:+.1f} [{low:+.1f}, {high:+.1f}]"


def number(value: int | float | None) -> str:
    """A count with separated thousands, or "-"."""
    return "-" if value is None else f"{value:,}"
