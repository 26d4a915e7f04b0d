"""The run directory: what a run consists of on disk, how it is found again, and who owns it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from rstar_mini.errors import UserError
from rstar_mini.files import read_json, read_jsonl, write_bytes
from rstar_mini.ppm.pairs import Pair
from rstar_mini.recipes import Recipe, differences, load_recipe
from rstar_mini.types import Problem, Tree

RECIPE, LOCK = "recipe.yaml", "lock"


class Run:
    """A run on disk.

    runs/NAME/
      recipe.yaml  report.html
      round-0/ metrics.json                                   the base model
      round-1/ trees/shard-0000.jsonl.gz ... trajectories.jsonl pairs.jsonl unsolved.jsonl policy/ ppm/ metrics.json
    """

    def __init__(self, path: Path, recipe: Recipe) -> None:
        self.path, self.recipe = path, recipe

    @classmethod
    def load(cls, path: Path) -> Run:
        """An existing run.

        Raises:
            UserError: there is none at `path`.
        """
        if not (path / RECIPE).exists():
            raise UserError(f"{path} is not a run (it has no {RECIPE}); make one with: rstar-mini evolve --run {path}")
        return cls(path, load_recipe(str(path / RECIPE)))

    @classmethod
    def create(cls, path: Path, recipe: Recipe) -> Run:
        """A new run, or the one that is already there when it has the same recipe.

        Raises:
            UserError: `path` holds a run of another recipe, or something that is not a run.
        """
        if (path / RECIPE).exists():
            run = cls.load(path)
            if changed := differences(run.recipe, recipe):
                raise UserError(f"{path} belongs to another recipe ({'; '.join(changed)}); choose another --run")
            return run
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UserError(f"{path} exists and is not a run; choose another --run")
        text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
        write_bytes(path / RECIPE, text.encode())
        return cls(path, recipe)

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Hold the lock of the run; a lock whose owner is dead is taken over.

        Raises:
            UserError: another live process works on this run.
        """
        lock = self.path / LOCK
        if lock.exists() and (owner := lock.read_text().strip()).isdigit() and _alive(int(owner)):
            raise UserError(f"process {owner} is working on {self.path}; wait for it, or choose another --run")
        write_bytes(lock, f"{os.getpid()}\n".encode())
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)

    def round(self, number: int) -> Path:
        """The directory of a round; 0 is the base model."""
        return self.path / f"round-{number}"

    def metrics(self) -> list[dict[str, Any]]:
        """The metrics of the finished rounds, the base model's first."""
        files = [self.round(i) / "metrics.json" for i in range(len(self.recipe.rounds) + 1)]
        return [read_json(file) for file in files if file.exists()]

    def trees(self, number: int) -> list[Tree]:
        """All trees of a round."""
        shards = sorted((self.round(number) / "trees").glob("shard-*.jsonl.gz"))
        return [Tree.from_json(row) for shard in shards for row in read_jsonl(shard)]

    def pairs(self, number: int) -> list[Pair]:
        """The preference pairs of a round."""
        return [Pair.from_json(row) for row in read_jsonl(self.round(number) / "pairs.jsonl")]

    def unsolved(self, number: int) -> list[Problem]:
        """Problems that no trajectory of the round solved: worth a look at their labels."""
        return [Problem.from_json(row) for row in read_jsonl(self.round(number) / "unsolved.jsonl")]

    @property
    def last_round(self) -> int:
        """The last finished round, 0 when there is none."""
        numbers = [row["round"] for row in self.metrics()]
        return max(numbers, default=0)


def _alive(pid: int) -> bool:
    """True when another process with this id runs."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
