"""The Python interface: evolve a run, solve a question, look at a run, measure it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rstar_mini.errors import UserError
from rstar_mini.evolution.run import Run
from rstar_mini.progress import Progress, Silent
from rstar_mini.recipes import load_recipe
from rstar_mini.types import Problem, Trajectory, Tree

SHIPPED = "tiny-evolved"


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
    """A run that is on disk, finished or not.

    Raises:
        UserError: there is none.
    """
    return Run.load(Path(path))


def evolve(
    recipe: str = "tiny",
    run: str | Path | None = None,
    rounds: int | None = None,
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
) -> Run:
    """Run the rounds of self-evolution, or go on with a run that was interrupted (section 3.4).

    Args:
        recipe: name of a shipped recipe or path of a YAML file.
        run: the run directory; default runs/NAME.
        rounds: how many rounds; default all of the recipe's.
        overrides: "key=value" changes to the recipe.

    Raises:
        UserError: the recipe, the problems or the run directory are not usable, in one line.
    """
    from rstar_mini.evolution.rounds import Evolution
    from rstar_mini.sandbox import Sandbox

    settings = load_recipe(recipe, overrides)
    total = len(settings.rounds)
    if rounds is not None and not 1 <= rounds <= total:
        raise UserError(f"--rounds {rounds}: the recipe '{settings.name}' has rounds 1 to {total}")
    this = Run.create(Path(run) if run else Path("runs") / settings.name, settings)
    with this.owned(), Sandbox(**settings.sandbox.model_dump()) as box:
        Evolution(this, box, progress or Silent()).evolve(rounds or total)
    return this
