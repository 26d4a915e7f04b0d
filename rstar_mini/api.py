"""The Python interface: evolve a run, solve a question, look at a run, measure it again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rstar_mini.errors import UserError, command
from rstar_mini.evolution.remote import Remote, fetched, is_url
from rstar_mini.evolution.run import Run
from rstar_mini.offline import check_address
from rstar_mini.progress import Progress, Silent
from rstar_mini.recipes import load_recipe
from rstar_mini.types import Problem, Trajectory, Tree


@dataclass(frozen=True, slots=True)
class Solution:
    """A question with its search tree and the trajectory that was chosen (None when no answer was reached)."""

    problem: Problem
    tree: Tree
    trajectory: Trajectory | None
    source: str

    @property
    def answer(self) -> str | None:
        """The final answer."""
        return self.trajectory.answer if self.trajectory else None


def load_run(path: str | Path) -> Run:
    """A run, finished or not, in a folder or under a URL, from which it is copied to look on.

    Raises:
        UserError: there is none.
    """
    return Run.load(fetched(str(path)) if is_url(path) else Path(path))


def evolve(
    recipe: str = "tiny",
    run: str | Path | None = None,
    rounds: int | None = None,
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
    ray: str | None = None,
    accelerate: str | None = None,
) -> Run:
    """Run the rounds of self-evolution, or go on with a run that was interrupted (section 3.4).

    Args:
        recipe: name of a shipped recipe or path of a YAML file.
        run: the run directory, or a URL in object storage; default runs/NAME.
        rounds: how many rounds; default all of the recipe's.
        overrides: "key=value" changes to the recipe.
        ray: the address of a Ray cluster that searches, or "local" for one on this machine; default this process.
        accelerate: a shipped configuration of accelerate or a file, which spreads the trainings over devices.

    Raises:
        UserError: the recipe, the problems, the run directory or the cluster are not usable, in one line.
    """
    settings = load_recipe(recipe, overrides)
    total = len(settings.rounds)
    if rounds is not None and not 1 <= rounds <= total:
        raise UserError(f"--rounds {rounds}: the recipe '{settings.name}' has rounds 1 to {total}")
    if settings.policy.url:
        check_address(settings.policy.url)
    import torch

    from rstar_mini.cluster.pool import LOCAL, Cluster
    from rstar_mini.cluster.train import check_shares, configuration_file, machines_of
    from rstar_mini.evolution.rounds import Evolution
    from rstar_mini.sandbox import Sandbox

    spread = configuration_file(accelerate) if accelerate else None
    if spread:
        if machines_of(spread)[0] > 1 and ray in (None, LOCAL):
            raise UserError(f"--accelerate {accelerate}: it is for several machines; say with --ray where they are")
        if machines_of(spread)[0] > 1 and is_url(run):
            raise UserError(f"--run {run}: machines that train together need a folder that all of them see")
        check_shares(spread, settings)
    path = Path(run) if run else settings.default_run
    torch.set_num_threads(settings.threads)
    progress = progress or Silent()
    with ExitStack() as opened:
        remote = opened.enter_context(Remote(str(run), say=progress.say)) if is_url(run) else None
        path = remote.folder if remote else path
        cluster = opened.enter_context(Cluster(ray)) if ray else None
        box = opened.enter_context(Sandbox(**settings.sandbox.model_dump()))
        evolution = Evolution(settings, path, box, progress, cluster, spread, remote)
        with evolution.run.reading(working=True):
            evolution.evolve(rounds or total)
    return evolution.run


def solve(question: str, run: str | Path | None = None, seed: int = 0) -> Solution:
    """Solve one question by PPM-guided search with the last round of a run.

    Args:
        question: the problem's text.
        run: a run directory; default runs/tiny when it has a finished round, else the shipped round-4 weights.

    Raises:
        UserError: the question is empty, or the run has no finished round.
    """
    if not question.strip():
        raise UserError('the question is empty; give one, as in: rstar-mini solve "Tom has 3 pens. ..."')
    this = Run.load(Path(run)) if run else _finished(Path("runs") / "tiny")
    if this and not this.last_round:
        raise UserError(f"{this.path} has no finished round yet; go on with: {command('evolve', '--run', this.path)}")
    with this.reading() if this else nullcontext():
        return _solve(" ".join(question.split()), this, seed)


def _solve(question: str, this: Run | None, seed: int) -> Solution:
    """With a run, or the shipped weights."""
    from rstar_mini.evaluation.systems import evaluation_budget
    from rstar_mini.evolution.models import Models, shipped_models
    from rstar_mini.sandbox import Sandbox
    from rstar_mini.search import Expander, Selection, choose, search

    recipe = this.recipe if this else load_recipe("tiny")
    models = Models(recipe, this.path) if this else shipped_models(recipe)
    last = this.last_round if this else len(recipe.rounds)
    problem = Problem("question", question, "")
    with Sandbox(**recipe.sandbox.model_dump()) as box, closing(models.policy(last)) as policy:
        expander = Expander(policy, box, models.scorer(last), f"{seed}/solve", ground_truth=False)
        [tree] = search([problem], expander, evaluation_budget(recipe))
    chosen = choose(tree.terminals(), Selection(recipe.evaluation.selection))
    source = f"round {last} of {this.path}" if this else "the shipped round-4 tiny weights"
    return Solution(problem, tree, tree.trajectory(chosen) if chosen else None, source)


def _finished(path: Path) -> Run | None:
    """The run at `path` when there is one with a finished round."""
    if not (path / "recipe.yaml").exists():
        return None
    run = Run.load(path)
    return run if run.last_round else None


def evaluate_run(
    run: str | Path | None = None,
    seeds: int = 1,
    limit: int | None = None,
    rounds: Sequence[int] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Compare greedy, vote and PPM-guided search at equal tokens on held-out problems, over several sampling seeds.

    Args:
        run: the run directory; default runs/tiny.
        seeds: sampling seeds 0..seeds-1; the models are the run's own.
        limit: held-out problems; default all of the split.
        rounds: which rounds; default all that are finished.

    Returns:
        {"rounds": [{"round", "n", "seeds": [evaluation of each seed], "pooled": evaluation over all seeds}]}, also
        written to evaluation.json in the run.

    Raises:
        UserError: the run is not there, or a round is not finished.
    """
    this = Run.load(Path(run) if run else Path("runs") / "tiny")
    finished = [row["round"] for row in this.metrics()]
    for number in rounds or ():
        if number not in finished:
            raise UserError(f"round {number} of {this.path} is not finished; finished rounds: {finished or 'none'}")
    if seeds < 1 or (limit is not None and limit < 1):
        raise UserError("--seeds and --limit must be at least 1")
    from rstar_mini.evaluation.repeat import evaluate_seeds

    with this.reading(working=True), this.owned((progress or Silent()).say):
        return evaluate_seeds(this, list(rounds or finished), seeds, limit, progress or Silent())
