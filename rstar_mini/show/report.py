"""The report of a run: one self-contained HTML page, the same to the byte from the same files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import matplotlib.style
import yaml

from rstar_mini.errors import UserError, command
from rstar_mini.files import write_bytes
from rstar_mini.show.figures import accuracy_figure, coverage_figure
from rstar_mini.show.page import escaped, image, preformatted, table, whole_page
from rstar_mini.show.pairs import compare_pairs
from rstar_mini.show.tables import HEADERS, difference, number, result_cells, rows_by_kind, share
from rstar_mini.show.tree_plot import draw_tree
from rstar_mini.types import Tree

if TYPE_CHECKING:
    from rstar_mini.evolution.run import Run
    from rstar_mini.ppm.pairs import Pair

PAIRS_SHOWN, UNSOLVED_SHOWN = 10, 50
RESULTS = {"round", "seed", "evaluation", "coverage", "ppm_accuracy"}  # the rest of a round's metrics is its budget


def write_report(run: Run, folder: Path | None = None) -> Path:
    """Write `report.html` into `folder`, by default the run's, and return its path; only finished rounds are in it.

    Raises:
        UserError: no round is finished.
    """
    metrics = run.metrics()
    if not metrics:
        raise UserError(f"{run.path} has no finished round yet; go on with: {command('evolve', '--run', run.path)}")
    # The defaults in place of the reader's own settings: the same files give the same pictures.
    with matplotlib.style.context("default"):
        whole = whole_page(f"rstar_mini: {run.recipe.name}", _sections(run, metrics))
    path = (folder or run.path) / "report.html"
    write_bytes(path, whole.encode("utf-8", "replace"))
    return path


def _sections(run: Run, metrics: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Each section's heading and HTML."""
    rounds = [row["round"] for row in metrics if row["round"]]
    yield "Results by round", _results(run, metrics) + image(accuracy_figure(metrics), "held-out accuracy by round")
    yield "Held-out problems by system", table(SYSTEM_HEADERS, _systems(metrics))
    yield "Paired differences", table(("round", "comparison", "percentage points [95 %]"), _paired(metrics))
    if rounds:
        yield "Coverage of the training problems", _coverage(metrics)
        yield "One tree of each round", "".join(_tree(run, number) for number in rounds)
        yield "Preference pairs", _pairs(run.pairs(rounds[-1]), rounds[-1])
        yield "Unsolved problems", _unsolved(run, rounds[-1])
        yield "Budget: what each round spent and made", _budget(metrics)
    recipe = yaml.safe_dump(run.recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    yield "Recipe", preformatted(recipe)


def _results(run: Run, metrics: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for row, part in ((whole, part) for whole in metrics for part in rows_by_kind(whole)):
        held_out = part.get("evaluation", {})
        line = command("evolve", f"{run.path.name}/recipe.yaml", "--run", "again", "--rounds", max(1, row["round"]))
        cells = [*result_cells(part), str(held_out.get("n", "-")), str(held_out.get("seed", "-"))]
        rows.append([*map(escaped, cells), f"<code>{escaped(line)}</code>"])
    note = "<p>In percent with 95 % Wilson intervals; round 0 is the base model. The command makes the row again.</p>"
    return note + table((*HEADERS, "n", "seed", "command"), rows)


SYSTEM_HEADERS = ("round", "system", "right (%)", "phrasings never trained on (%)", "n", "tokens a problem", "samples")


def _systems(metrics: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    for row in chain.from_iterable(map(rows_by_kind, metrics)):
        for name, system in row.get("evaluation", {}).get("systems", {}).items():
            counts = [share(system), share(system.get("unseen")), number(system["n"])]
            costs = [number(system.get("tokens")), number(system.get("samples"))]
            yield [escaped(cell) for cell in (str(row["round"]), name, *counts, *costs)]


def _paired(metrics: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    for row in chain.from_iterable(map(rows_by_kind, metrics)):
        for name, values in row.get("evaluation", {}).get("paired", {}).items():
            yield [escaped(cell) for cell in (str(row["round"]), name, difference(values))]


def _coverage(metrics: Sequence[Mapping[str, Any]]) -> str:
    levels = list(dict.fromkeys(level for row in metrics for level in row.get("coverage", {})))
    rows = [
        [str(row["round"]), *(escaped(share(row["coverage"].get(level))) for level in levels)]
        for row in metrics
        if "coverage" in row
    ]
    headers = ["round", *(f"level {level}" if level.isdigit() else level for level in levels)]
    return table(headers, rows) + image(coverage_figure(metrics), "coverage by round and level")


def _tree(run: Run, number: int) -> str:
    """The picture of the round's most telling tree."""
    trees = (tree for shard in run.shards(number) for tree in shard)
    tree = max(trees, key=_telling, default=None)
    if tree is None:
        return ""
    answer = f"<p>Round {number}; the right answer is {escaped(tree.problem.answer)}.</p>"
    return answer + image(draw_tree(tree), f"search tree of {tree.problem.id} in round {number}")


def _telling(tree: Tree) -> tuple[int, bool, int]:
    """Right and wrong answers together first, then right ones alone; of these a tree of about 25 nodes."""
    seen = {node.correct for node in tree.terminals()} - {None}
    return len(seen), tree.solved, -abs(sum(1 for _ in tree.nodes()) - 25)


def _pairs(pairs: Sequence[Pair], round_number: int) -> str:
    """A few pairs, each of another problem, spread over the round."""
    problems = list({pair.problem.id: pair for pair in pairs}.values())
    chosen = [problems[i * len(problems) // PAIRS_SHOWN] for i in range(PAIRS_SHOWN)] if problems else []
    chosen = list({id(pair): pair for pair in chosen}.values())
    return f"<p>{len(chosen)} of the {len(pairs):,} pairs of round {round_number}.</p>{compare_pairs(chosen).html}"


def _unsolved(run: Run, round_number: int) -> str:
    problems = run.unsolved(round_number)
    rows = [
        [escaped(cell) for cell in (p.id, "-" if p.level is None else str(p.level), p.question, p.answer)]
        for p in problems[:UNSOLVED_SHOWN]
    ]
    more = f"; the first {UNSOLVED_SHOWN} are shown" if len(problems) > UNSOLVED_SHOWN else ""
    note = f"<p>{len(problems)} after round {round_number}{more}. Look at their labels before blaming the models.</p>"
    return note + table(("id", "level", "question", "answer"), rows)


def _budget(metrics: Sequence[Mapping[str, Any]]) -> str:
    """Tokens, programs, training steps, trajectories, pairs: every number of a round that is not a result."""
    spent = [dict(_numbers("", {k: v for k, v in row.items() if k not in RESULTS})) for row in metrics]
    names = list(dict.fromkeys(name for numbers in spent for name in numbers))
    rows = [[escaped(name), *(number(numbers.get(name)) for numbers in spent)] for name in names]
    return table(("", *(f"round {row['round']}" for row in metrics)), rows)


def _numbers(prefix: str, value: Any) -> Iterator[tuple[str, int | float]]:
    """Every number under `value` with its dotted name."""
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from _numbers(f"{prefix}{name}.", below)
    elif isinstance(value, int | float):
        yield prefix.removesuffix("."), value
