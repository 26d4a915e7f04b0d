"""The command that does the paper's experiments again, at reduced scale."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rstar_mini.cli_options import Changes, Offline, say
from rstar_mini.experiments import NAMES


def reproduce(
    experiment: Annotated[
        str, typer.Argument(metavar="[EXPERIMENT]", help=f"all, or one of {', '.join(NAMES)}.")
    ] = "all",
    recipe: Annotated[str, typer.Option(help="A shipped recipe's name, or a YAML file.")] = "tiny",
    seeds: Annotated[int, typer.Option(min=1, help="How many runs, which differ in their seed.")] = 3,
    limit: Annotated[int | None, typer.Option(min=1, help="Held-out problems; default all of the test split.")] = None,
    run: Annotated[Path | None, typer.Option(help="The run of the recipe's own seed; default runs/NAME.")] = None,
    overrides: Changes = None,
    offline: Offline = False,
) -> None:
    """Measure the paper's claims on runs of a recipe, which are evolved before; it goes on where it stopped."""
    from rstar_mini.experiments import reproduce as measure
    from rstar_mini.show.progress import best_progress
    from rstar_mini.show.tables import claims_table

    with best_progress() as progress:
        names = [] if experiment == "all" else [experiment]
        found, page = measure(names, recipe, run, seeds, limit, overrides or [], progress)
    Console().print(claims_table(found))
    say(f"the page is {page}")
