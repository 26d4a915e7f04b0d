"""Before a run starts: whether its models fit into the memory that is free where they search and train."""

from __future__ import annotations

from rstar_mini.errors import UserError
from rstar_mini.evolution.capacity import free_bytes
from rstar_mini.plan import length_warning, needs
from rstar_mini.plan.machine import processor
from rstar_mini.plan.shape import shape
from rstar_mini.recipes import Recipe


def check_memory(recipe: Recipe, devices: int = 1, there: int | None = None, trains_there: bool = False) -> list[str]:
    """A line on each step of a round that may not fit, with what to change: later a run's recipe is fixed.

    Trainings are spread over so many `devices`. On a cluster `there` bytes are free where it searches, and perhaps
    trains.

    Raises:
        UserError: not even the weights fit.
    """
    policy, here = recipe.policy, free_bytes()
    free = here if there is None else there if trains_there else min(here, there)
    base = shape(policy.base)
    weights = base.weights(policy.tuning, 4 if policy.dtype == "fp32" else 2)
    if weights > free:
        raise UserError(
            f"the weights of '{policy.base}' take {weights / 1e9:.1f} GB with policy.tuning {policy.tuning} and "
            f"policy.dtype {policy.dtype}, and {free / 1e9:.1f} GB are free; choose a smaller policy.base, or see "
            "rstar-mini plan"
        )
    machine = processor(free / 1e9)
    long = length_warning(recipe, base)
    return ([long] if long else []) + [
        f"{need.what} may take {need.peak_gb:.1f} GB, and {machine.usable_gb:.1f} GB are free; change: {need.advice}"
        for need in needs(recipe, base, machine, devices)
        if need.advice
    ]
