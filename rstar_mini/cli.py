"""The command line. Heavy imports live inside the commands, so that help comes at once."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from rstar_mini import cli_reproduce, cli_share
from rstar_mini.cli_options import DEFAULT_RUN, Changes, Offline, RunArgument, RunOrUrl, say
from rstar_mini.errors import UserError, command
from rstar_mini.redact import redact
from rstar_mini.show.console import PlainConsole

if TYPE_CHECKING:
    from rstar_mini.api import Solution
    from rstar_mini.types import Step


class Friendly(TyperGroup):
    """Errors for people: what the user can mend is one line and exit code 2, and an interrupt says how to go on."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            _fail(str(error), 2)
        except KeyboardInterrupt:
            _fail("stopped; what is finished is kept, and the same command goes on from there", 130)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                _fail("the disk is full; make room, and the same command goes on where it stopped", 2)
            if error.filename is None or error.errno == errno.EPIPE:
                raise
            _fail(f"{error.filename}: {error.strerror}", 2)


app = typer.Typer(
    cls=Friendly,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="rStar-Math on one machine: small models that teach themselves to reason by search.",
)


def main() -> None:
    """The entry point."""
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal without Unicode must not end a run
    app()


def _open_streams() -> None:
    """Where the caller has closed a standard stream, nobody listens; else the next file would take its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))


def _fail(message: str, code: int) -> None:
    print(f"error: {' '.join(redact(message).split())}", file=sys.stderr)
    raise typer.Exit(code)


@app.command()
def evolve(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or a YAML file.")] = "tiny",
    run: Annotated[str | None, typer.Option(help="The run directory, or a URL; default runs/NAME.")] = None,
    rounds: Annotated[int | None, typer.Option(help="How many rounds; default all.")] = None,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Search on a Ray cluster, 'auto' or 'local'.")
    ] = None,
    accelerate: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Train as this configuration of accelerate says.")
    ] = None,
    overrides: Changes = None,
    offline: Offline = False,
) -> None:
    """Evolve a policy and a PPM through the rounds of a recipe, or go on with a run that stopped."""
    from rstar_mini import api
    from rstar_mini.show.progress import best_progress
    from rstar_mini.show.tables import results_table

    with best_progress() as progress:
        made = api.evolve(recipe, run, rounds, overrides or [], progress, ray, accelerate)
    PlainConsole().print(results_table(made.metrics()))
    say(f"the run is in {made.place}; see it with: {command('report', made.place)}")


@app.command()
def solve(
    question: Annotated[str, typer.Argument(help="A word problem, in quotes.")],
    run: Annotated[Path | None, typer.Option(help="A run; default runs/tiny, else the shipped weights.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the search.")] = 0,
    offline: Offline = False,
) -> None:
    """Solve one problem by search; print its steps, their code and output, the Q-values, the answer and the tree."""
    from rstar_mini import api
    from rstar_mini.show.tree_text import tree_text

    solution = api.solve(question, run, seed)
    say(f"weights: {solution.source}\n")
    for number, step in enumerate(solution.trajectory.steps if solution.trajectory else (), 1):
        say(f"step {number}  {_scores(solution, number)}\n{_step_text(step)}\n")
    say(f"{tree_text(solution.tree)}\n")
    say(f"answer: {solution.answer}" if solution.trajectory else "no answer was found; try another --seed")
    if solution.trajectory is None:
        raise typer.Exit(1)


def _scores(solution: Solution, number: int) -> str:
    """Q of the chosen trajectory's step, and the PPM's score of it."""
    assert solution.trajectory is not None
    priors = {node.steps(): node.prior for node in solution.tree.nodes()}
    prior = priors.get(solution.trajectory.steps[:number])
    return f"Q = {solution.trajectory.qs[number - 1]:+.2f}" + ("" if prior is None else f"  PPM = {prior:+.2f}")


def _step_text(step: Step) -> str:
    """The step's code and what it printed, indented, without tags."""
    from rstar_mini.code_cot import END_CODE, program

    if step.answer is not None:
        return f"    answer {step.answer}"
    lines = program([step]).rstrip().split("\n")
    if step.text.endswith(END_CODE) and step.execution is not None:
        lines.append(f"prints {step.execution.stdout.strip()}")
    return "\n".join(f"    {line}" for line in lines)


@app.command("eval")
def evaluate(
    run: RunArgument = DEFAULT_RUN,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Held-out problems; default all of the test split.")] = None,
    rounds: Annotated[list[int] | None, typer.Option("--round", min=0, help="Only this round; repeatable.")] = None,
    offline: Offline = False,
) -> None:
    """Measure the models of a run again on held-out problems: greedy, vote and search at equal tokens."""
    from rstar_mini import api
    from rstar_mini.show.progress import best_progress
    from rstar_mini.show.tables import seeds_table

    with best_progress() as progress:
        result = api.evaluate_run(run, seeds, limit, rounds, progress)
    PlainConsole().print(seeds_table(result))


@app.command()
def bench(
    recipe: Annotated[str, typer.Argument(help="Whose base model is measured: tiny or smol.")] = "tiny",
    repeats: Annotated[int, typer.Option(min=1, help="How often each pair is timed.")] = 3,
    part: Annotated[list[str] | None, typer.Option(help="Only this part; repeatable. Default: all.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the rows to this file too.")] = None,
) -> None:
    """Measure what this machine gives, as ratios to the plain way of doing the same, in one run."""
    from rstar_mini.bench import PARTS
    from rstar_mini.bench import bench as measure
    from rstar_mini.files import write_json
    from rstar_mini.show.progress import best_progress
    from rstar_mini.show.tables import bench_table

    if wrong := [name for name in part or () if name not in PARTS]:
        raise UserError(f"--part {wrong[0]}: there is no such part; choose from {', '.join(PARTS)}")
    with best_progress() as progress:
        result = measure(recipe, repeats, part or PARTS, progress)
    PlainConsole().print(bench_table(result))
    if json_file:
        write_json(json_file, result)


@app.command()
def plan(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or a YAML file.")] = "tiny",
    gpu: Annotated[
        str, typer.Option(help="A card, such as t4 or rtx4090; a size, such as 12gb; or cpu: this machine.")
    ] = "cpu",
    gpus: Annotated[int, typer.Option(min=1, help="How many of them.")] = 1,
    price: Annotated[float | None, typer.Option(min=0, help="Of one of them for an hour.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe.")
    ] = None,
) -> None:
    """Say what a recipe takes, before anything is downloaded: memory of each step, tokens, hours, disk, cost."""
    from rstar_mini.plan import plan as foretell
    from rstar_mini.recipes import load_recipe
    from rstar_mini.show.tables import costs_table, needs_table

    made = foretell(load_recipe(recipe, overrides or []), gpu, gpus)
    PlainConsole().print(needs_table(made))
    PlainConsole().print(costs_table(made, price))
    if made.warning:
        say(made.warning)
    if not made.fits:
        raise typer.Exit(1)


@app.command()
def verify(run: RunOrUrl = str(DEFAULT_RUN)) -> None:
    """Check every file of a run against the digest that was recorded when it was written."""
    from rstar_mini.evolution.integrity import verify
    from rstar_mini.evolution.ledger import DIGESTS, Ledger
    from rstar_mini.evolution.remote import fetched, is_url
    from rstar_mini.evolution.run import RECIPE

    folder = fetched(run) if is_url(run) else Path(run)
    if not (folder / DIGESTS).exists() and not (folder / RECIPE).exists():
        raise UserError(f"{run} is not a run (it has no {RECIPE} and no {DIGESTS})")
    wrong = verify(folder)
    for line in wrong:
        say(line)
    if wrong:
        again = "delete the rounds concerned and all later ones, and rstar-mini evolve makes them again"
        _fail(f"{len(wrong)} files of {run} are not as they were written; {again}", 1)
    say(f"{run}: all {len({row['file'] for row in Ledger(folder / DIGESTS).rows()})} files are as they were written")


@app.command()
def report(
    run: RunOrUrl = str(DEFAULT_RUN),
    to: Annotated[
        Path | None,
        typer.Option(help="A new folder for report, recipe and metrics, with ids in place of the problems' texts."),
    ] = None,
) -> None:
    """Write the report of a run: one HTML page with tables, figures, trees and pairs."""
    from rstar_mini import api
    from rstar_mini.share.results import share_results
    from rstar_mini.show.report import write_report

    this = api.load_run(run)
    with this.reading():
        made = share_results(this, to) if to else write_report(this)
    say(f"report, recipe and metrics are in {made}" if to else f"the report is {made}")


@app.command()
def status(run: RunOrUrl = str(DEFAULT_RUN)) -> None:
    """How far a run is that another process works on, who that is, and how long the search will take."""
    from rstar_mini.evolution.remote import fetched, is_url
    from rstar_mini.evolution.status import status
    from rstar_mini.show.status import facts

    now = status(fetched(run, light=True) if is_url(run) else Path(run))
    if now is None:
        raise UserError(f"{run} is not a run; begin one with: {command('evolve', '--run', run)}")
    say("\n".join(f"{name}: {fact}" for name, fact in facts(now).items()))


@app.command("exec")
def execute(file: Annotated[Path, typer.Argument(help="A Python file.")]) -> None:
    """Run a Python file in the sandbox, as search runs a program; print what came of it as JSON."""
    import json
    from dataclasses import asdict

    from rstar_mini.sandbox import Sandbox

    try:
        code = file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8 text ({error.reason} at byte {error.start})") from error
    with Sandbox() as box:
        print(json.dumps(asdict(box.run(code))))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(
    context: typer.Context,
    live: Annotated[bool, typer.Option("--live", help="Compute the long steps instead of loading them.")] = False,
) -> None:
    """Open JupyterLab on the first notebook; what else stands on the line, such as --no-browser, goes to JupyterLab."""
    import os
    import subprocess

    from rstar_mini.files import copy_files
    from rstar_mini.paths import notebooks_dir

    first = "00_start_here.ipynb"
    folder = Path("notebooks")  # of a clone; an installed package has its own copy, which is not to be written into
    if not (folder / first).exists():
        folder = Path("rstar-mini-notebooks")
        if not folder.exists():
            copy_files(notebooks_dir(), folder)
            say(f"the notebooks have been copied to {folder.resolve()}")
    environment = os.environ | ({"RSTAR_TIER": "live"} if live else {})
    line = [sys.executable, "-P", "-m", "jupyterlab", str(folder / first), *context.args]
    raise typer.Exit(subprocess.run(line, env=environment).returncode)


@app.command()
def doctor() -> None:
    """Say what works on this machine, line by line."""
    from rstar_mini.show.doctor import examine

    for finding in examine():
        say(str(finding))


app.command()(cli_share.fetch)
app.command()(cli_share.export)
app.command()(cli_reproduce.reproduce)
app.command()(cli_reproduce.compare)

if __name__ == "__main__":
    main()
