"""What runs on a machine of the cluster: the models of a round and a sandbox beside them, ready to search shards.

Policy, PPM and sandbox of a shard live on one machine, so no step of a tree crosses the network.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rstar_mini.evolution.owner import owner
from rstar_mini.evolution.shards import Found, ShardSearch
from rstar_mini.files import write_bytes
from rstar_mini.progress import Silent
from rstar_mini.recipes import Recipe
from rstar_mini.types import Problem


class Engine:
    """Searches shards of one round; nothing of it depends on the machine or on what it has searched before.

    Args:
        recipe: of the run, as JSON data.
        number: the round.
        run: the run directory. Where it is mounted here too, the models are read from it.
        owner_id: who owns the run, by which a folder of the same name on another disk is told apart.
        models: else what `models_of` gives, files by their path in the run.
    """

    def __init__(
        self, recipe: dict[str, Any], number: int, run: str, owner_id: str, models: Mapping[str, bytes]
    ) -> None:
        import torch

        from rstar_mini.evolution.models import Models
        from rstar_mini.sandbox import Sandbox

        settings = Recipe.model_validate(recipe)
        torch.set_num_threads(settings.threads)
        self._open, folder = ExitStack(), Path(run)
        if owner(folder).get("id") != owner_id:
            folder = Path(self._open.enter_context(tempfile.TemporaryDirectory()))
            for name, data in models.items():
                write_bytes(folder / name, data)
        made = Models(settings, folder)
        scorer = made.scorer(number - 1) if settings.rounds[number - 1].annotation == "ppm" else None
        policy, box = made.searching_policy(number), Sandbox(**settings.sandbox.model_dump())
        self._open.callback(policy.close)
        self._search = ShardSearch(settings, number, policy, scorer, self._open.enter_context(box), Silent())

    def ready(self) -> None:
        """Answers when the models are loaded."""

    def search(self, shard: int, problems: Sequence[Problem]) -> Found:
        """The trees of a shard."""
        return self._search.search(shard, problems)


def models_of(run: Path, number: int) -> dict[str, bytes]:
    """The files that the search of a round needs of a run: the models of the round before, and how much to decode."""
    before = run / f"round-{number - 1}"
    files = [run / "capacity.json", *sorted((before / "policy").rglob("*")), *sorted((before / "ppm").rglob("*"))]
    return {file.relative_to(run).as_posix(): file.read_bytes() for file in files if file.is_file()}
