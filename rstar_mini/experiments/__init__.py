"""The paper's tables and figures at reduced scale, one experiment each, with intervals and verdicts.

To add one, write a function from a `Lab` to tables and claims, and name it in `experiments`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rstar_mini.errors import UserError
from rstar_mini.progress import Progress, Silent
from rstar_mini.redact import redact

if TYPE_CHECKING:
    from rstar_mini.experiments.lab import Lab
    from rstar_mini.experiments.results import Findings, Result

NAMES = (
    "rounds",
    "ppm",
    "data",
    "judges",
    "policies",
    "scaling",
    "reflection",
    "uct",
    "preferences",
    "writing",
    "worlds",
)
Experiment = Callable[["Lab"], "Findings"]


def experiments() -> dict[str, tuple[str, tuple[int, ...], Experiment]]:
    """Title, the paper's tables and the function of each, by name."""
    from rstar_mini.experiments import (
        data,
        judges,
        policies,
        ppms,
        preferences,
        reflection,
        rounds,
        scaling,
        uct,
        worlds,
        writing,
    )

    return {
        "rounds": (rounds.TITLE, rounds.TABLES, rounds.rounds),
        "ppm": (ppms.TITLE, ppms.TABLES, ppms.ppms),
        "data": (data.TITLE, data.TABLES, data.data),
        "judges": (judges.TITLE, judges.TABLES, judges.judges),
        "policies": (policies.TITLE, policies.TABLES, policies.policies),
        "scaling": (scaling.TITLE, scaling.TABLES, scaling.scaling),
        "reflection": (reflection.TITLE, reflection.TABLES, reflection.reflection),
        "uct": (uct.TITLE, uct.TABLES, uct.uct),
        "preferences": (preferences.TITLE, preferences.TABLES, preferences.preferences),
        "writing": (writing.TITLE, writing.TABLES, writing.writing),
        "worlds": (worlds.TITLE, worlds.TABLES, worlds.worlds),
    }


def reproduce(
    names: Sequence[str],
    recipe: str = "tiny",
    run: Path | None = None,
    seeds: int = 3,
    limit: int | None = None,
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
) -> tuple[list[Result], Path]:
    """Do experiments, or go on with them; each writes RUN/experiments/NAME.json.

    Args:
        names: of `NAMES`; none: all.
        run: the run of the recipe's own seed, which is evolved before when need be; default runs/RECIPE.
        seeds: how many runs, which differ in their seed.
        limit: held-out problems; default all of the recipe's split, 500 where one problem takes long.

    Returns:
        what was found, and the page RUN/experiments/experiments.html of all experiments of this run so far.

    Raises:
        UserError: no such experiment, or what `evolve` refuses.
    """
    import torch

    from rstar_mini.experiments.lab import Lab
    from rstar_mini.experiments.page import PAGE, page_files
    from rstar_mini.experiments.results import Result, read_results
    from rstar_mini.experiments.side_by_side import side_by_side, worth_it
    from rstar_mini.recipes import load_recipe
    from rstar_mini.sandbox import Sandbox

    if wrong := [name for name in names if name not in NAMES]:
        raise UserError(f"there is no experiment '{wrong[0]}'; choose from {', '.join(NAMES)}, or all")
    settings, found = load_recipe(recipe, overrides), []
    path, known = run or settings.default_run, experiments()
    names, progress = names or NAMES, progress or Silent()
    each = range(settings.seed, settings.seed + seeds)
    if worth_it(settings, each):
        side_by_side(names, settings, path, each, limit, progress)
    torch.set_num_threads(settings.threads)
    with Sandbox(**settings.sandbox.model_dump()) as box, Lab(settings, path, each, limit, box, progress) as lab:
        for name in names:
            title, tables, experiment = known[name]
            grids, claims = experiment(lab)
            command = f"rstar-mini reproduce {name} --recipe {recipe} --seeds {seeds}"
            command += f" --limit {limit}" if limit else ""
            command += "".join(f" --set '{redact(change)}'" for change in overrides)
            parts = tuple(grids), tuple(claims)
            result = Result(name, title, settings.name, lab.seeds, command, tables, *parts)
            lab.run(settings.seed).write_json(path / "experiments" / f"{name}.json", result.to_json())
            found.append(result)
        kept = read_results(path / "experiments")
        for name, data in page_files(kept).items():
            lab.run(settings.seed).write(path / "experiments" / name, data)
    return found, path / "experiments" / PAGE
