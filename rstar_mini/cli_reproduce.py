"""The commands that measure what the paper claims: its experiments at reduced scale, and systems side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rstar_mini.cli_options import Changes, Offline, say
from rstar_mini.errors import UserError
from rstar_mini.experiments import NAMES
from rstar_mini.show.console import PlainConsole


def reproduce(
    experiment: Annotated[
        str, typer.Argument(metavar="[EXPERIMENT]", help=f"all, or one of {', '.join(NAMES)}.")
    ] = "all",
    recipe: Annotated[str, typer.Option(help="A shipped recipe's name, or a YAML file.")] = "tiny",
    seeds: Annotated[int, typer.Option(min=1, help="How many runs, which differ in their seed.")] = 3,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Held-out problems; default all of the test split, at most 500 where one takes long."),
    ] = None,
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
    PlainConsole().print(claims_table(found))
    say(f"the page is {page}")


def compare(
    problems: Annotated[str, typer.Argument(help="A known set such as math500, a JSONL file, or a Hub data set.")],
    models: Annotated[
        list[str] | None,
        typer.Option("--model", help="Hub name or folder, asked in its chat template; repeatable."),
    ] = None,
    endpoints: Annotated[
        list[str] | None,
        typer.Option("--endpoint", metavar="MODEL@URL", help="An OpenAI-compatible chat endpoint; repeatable."),
    ] = None,
    runs: Annotated[list[Path] | None, typer.Option("--run", help="A run, its last round; repeatable.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The first so many problems; default all.")] = None,
    split: Annotated[str, typer.Option(help="Of the problem set.")] = "test",
    offline: Offline = False,
) -> None:
    """Measure models, endpoints and runs on one problem set, beside what the paper reports of others on it."""
    from rstar_mini import api
    from rstar_mini.evaluation.compare import Comparison, reported
    from rstar_mini.offline import check_address, check_url
    from rstar_mini.show.progress import best_progress
    from rstar_mini.show.tables import standings_table

    served = [endpoint.partition("@") for endpoint in endpoints or []]
    for name, _, url in served:
        if not name or not url.startswith(("http://", "https://")):
            raise UserError(f"--endpoint {name}: it should be MODEL@URL, such as gpt-4o@https://api.openai.com/v1")
        check_url(url)
        check_address(url)
    with best_progress() as progress:
        made = Comparison(problems, split, limit, Path("runs") / "compare", progress)
        found = [made.model(name) for name in models or []]
        found += [made.endpoint(url, name) for name, _, url in served]
        found += [standing for run in map(api.load_run, runs or []) for standing in made.run(run)]
    PlainConsole().print(standings_table(problems, found, reported(problems)))
