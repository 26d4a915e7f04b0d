"""The run directory: what a run consists of on disk, how it is found again, and who owns it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from rstar_mini.errors import UserError, command
from rstar_mini.evolution.integrity import damage_explained, refuse_foreign, verify
from rstar_mini.evolution.ledger import DIGESTS, EVENTS, Ledger
from rstar_mini.evolution.owner import Ownership, Say, owner, taken_over
from rstar_mini.evolution.records import round_metrics
from rstar_mini.evolution.remote import Remote
from rstar_mini.files import (
    json_bytes,
    jsonl_bytes,
    line_bytes,
    read_json,
    read_jsonl,
    remove,
    sha256,
    whole_file,
    whole_folder,
    write_bytes,
    zipped,
)
from rstar_mini.ppm.pairs import Pair
from rstar_mini.recipes import Recipe, differences, load_recipe
from rstar_mini.types import Problem, Tree

if TYPE_CHECKING:
    from rstar_mini.training import AnyModel

RECIPE = "recipe.yaml"
SYNTHESIZED = "synthesized.jsonl"
OF_MEMORY = ("micro_batch", "recompute", "batch_rows", "cache_mb")  # settings that may change when a run goes on


class Run:
    """A run on disk.

    runs/NAME/
      recipe.yaml  capacity.json  problems.json  report.html
      events.jsonl   what happened when: starts, isolation, times, faults
      digests.jsonl  the SHA-256 of every file, written before the file is; `rstar-mini verify` compares
      round-0/ decontamination.json synthesized.jsonl synthesis/ metrics.json    the problems and the base model
      round-1/ trees/shard-0000.jsonl.gz ... trajectories.jsonl renumbered.jsonl pairs.jsonl
               unsolved.jsonl undecided.jsonl policy/ ppm/ metrics.json
      evaluation/round-1-seed-0-n-150/shard-0000.json ...    what the models do on held-out problems
    """

    def __init__(self, path: Path, recipe: Recipe, remote: Remote | None = None) -> None:
        self.path, self.recipe, self.remote = path, recipe, remote
        self.events, self.digests = Ledger(path / EVENTS), Ledger(path / DIGESTS)
        self._ownership: Ownership | None = None
        self.written_for = ""  # the owner's id, in a process that trains for it

    @classmethod
    def load(cls, path: Path) -> Run:
        """An existing run.

        Raises:
            UserError: there is none at `path`.
        """
        refuse_foreign(path)
        if not (path / RECIPE).exists():
            lost = f"; where it had one, see: {command('verify', path)}" if (path / DIGESTS).exists() else ""
            make = f"make one with: {command('evolve', '--run', path)}"
            raise UserError(f"{path} is not a run (it has no {RECIPE}); {make}{lost}")
        try:
            return cls(path, load_recipe(str(path / RECIPE)))
        except UserError as error:
            raise UserError(f"{error}; see what else is wrong with: {command('verify', path)}") from error

    @classmethod
    def begun(cls, path: Path, recipe: Recipe, remote: Remote | None = None) -> Run | None:
        """The run of this recipe that is already there; None where a new one can be made.

        `remote` is where it is kept, and `path` then the folder in which its owner works.

        Raises:
            UserError: `path` holds a run of another recipe, or something that is not a run.
        """
        if (path / RECIPE).exists():
            run = cls.load(path)
            changed = [line for line in differences(run.recipe.stored(), recipe.stored()) if not _of_memory_alone(line)]
            if changed:
                place = remote.url if remote else path
                raise UserError(f"{place} belongs to another recipe ({'; '.join(changed)}); choose another --run")
            return cls(path, recipe, remote)
        refuse_foreign(path)
        if not remote and path.exists() and (not path.is_dir() or any(map(_not_ours, path.iterdir()))):
            raise UserError(f"{path} exists and is not a run; choose another --run")
        return None

    @classmethod
    def create(cls, path: Path, recipe: Recipe, remote: Remote | None = None) -> Run:
        """A new run, or the one that has begun; raises what `begun` raises."""
        if run := cls.begun(path, recipe, remote):
            return run
        path.mkdir(parents=True, exist_ok=True)
        run = cls(path, recipe, remote)
        run.digests.repair()  # an earlier attempt may have been killed in its first line
        run._write_recipe()
        return run

    def _write_recipe(self) -> None:
        text = yaml.safe_dump(self.recipe.stored().model_dump(mode="json"), sort_keys=False)
        self.write(self.path / RECIPE, text.encode())

    def keep_recipe(self) -> list[str]:
        """Write the recipe again where its owner has changed settings of memory; returns what has changed."""
        changed = differences(load_recipe(str(self.path / RECIPE)), self.recipe.stored())
        if changed:
            self._write_recipe()
        return changed

    @contextmanager
    def owned(self, say: Say = lambda line: None) -> Iterator[list[str]]:
        """Own the run, and mend what a killed owner left; yields a line about each thing mended.

        `say` is told when it takes a while to see that the last owner has gone.

        Raises:
            UserError: another live process works on this run.
        """
        with Ownership(self.path, say) as self._ownership:
            try:
                mended = [line for ledger in (self.events, self.digests) if (line := ledger.repair())]
                for left in [*self.path.rglob(".*.part")]:
                    remove(left)
                yield mended
            finally:
                self._ownership = None

    def _check_ownership(self) -> None:
        if self._ownership:
            self._ownership.check()
        elif self.written_for and (now := owner(self.path)).get("id") != self.written_for:
            raise UserError(taken_over(now, self.path))

    def note(self, event: str, **details: Any) -> None:
        """Add to the run's events, with the time."""
        self._check_ownership()
        self.events.append({"time": datetime.now(UTC).isoformat(timespec="seconds"), "event": event} | details)

    @contextmanager
    def timed(self, event: str, **details: Any) -> Iterator[None]:
        """Note an event with the seconds that the block took, when it ends well."""
        start = time.monotonic()
        yield
        self.note(event, **details, seconds=round(time.monotonic() - start, 1))

    def write_json(self, path: Path, data: Any) -> None:
        """Write indented JSON into the run."""
        self.write(path, json_bytes(data))

    def write_jsonl(self, path: Path, rows: Iterable[dict[str, Any]]) -> None:
        """Write one JSON object a line into the run; gzipped, without a time, when the name ends in .gz."""
        data = jsonl_bytes(rows)
        self.write(path, zipped(data) if path.suffix == ".gz" else data)

    @contextmanager
    def lines(self, path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
        """Write JSON objects into the run as they come, one a line; the file is there when the block ends well."""
        digest = hashlib.sha256()
        with whole_file(path) as file:

            def add(row: dict[str, Any]) -> None:
                line = line_bytes(row)
                digest.update(line)
                file.write(line)

            yield add
            self._record(path, digest.hexdigest())
        self.copy(path)

    def write_model(self, model: AnyModel, folder: Path, weights: dict[str, Any] | None = None) -> None:
        """Save a model, or only the adapters of one that has them; the folder appears whole.

        `weights` are those of a model that is spread over devices (`training.whole_weights`).
        """
        with whole_folder(folder) as aside:
            model.save_pretrained(str(aside), state_dict=weights)
            for file in sorted(aside.rglob("*")):
                if file.is_file():
                    self._record(folder / file.relative_to(aside), sha256(file))
        self.copy(folder)

    def write(self, path: Path, data: bytes) -> None:
        """Write a file into the run."""
        self._record(path, hashlib.sha256(data).hexdigest())
        write_bytes(path, data)
        self.copy(path)

    def copy(self, path: Path) -> None:
        """Put a file of the run, or all below a folder, where the run is kept, if that is not on this disk."""
        if self.remote:
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file():
                    self.remote.put(file)

    def _record(self, path: Path, digest: str) -> None:
        """Before the file is there: so a file without a record, or with another, is no file of this run."""
        self._check_ownership()
        name = path.relative_to(self.path).as_posix()
        self.digests.append({"file": name, "sha256": digest})

    def verify(self) -> list[str]:
        """Every file against its recorded digest; returns a line about each that is wrong."""
        return verify(self.path)

    def reading(self, working: bool = False) -> AbstractContextManager[None]:
        """A block that uses what is in the run: what goes wrong in it is one line that names the file to blame.

        See `integrity.damage_explained`.
        """
        return damage_explained(self.path, self.place, working)

    def round(self, number: int) -> Path:
        """The directory of a round; 0 is the base model."""
        return self.path / f"round-{number}"

    def metrics(self) -> list[dict[str, Any]]:
        """The metrics of the finished rounds, the base model's first."""
        files = [self.round(i) / "metrics.json" for i in range(len(self.recipe.rounds) + 1)]
        return [read_json(file, round_metrics) for file in files if file.exists()]

    def synthesized(self) -> list[Problem]:
        """The new problems of the run, none when its recipe asks for none."""
        file = self.round(0) / SYNTHESIZED
        return read_jsonl(file, Problem.from_json) if file.exists() else []

    def trees(self, number: int) -> list[Tree]:
        """All trees of a round."""
        return [tree for trees in self.shards(number) for tree in trees]

    def shards(self, number: int) -> Iterator[list[Tree]]:
        """The trees of each shard of a round; all trees of a problem are in one shard."""
        for file in sorted((self.round(number) / "trees").glob("shard-*.jsonl.gz")):
            yield read_jsonl(file, Tree.from_json)

    def pairs(self, number: int) -> list[Pair]:
        """The preference pairs of a round."""
        return read_jsonl(self.round(number) / "pairs.jsonl", Pair.from_json)

    def unsolved(self, number: int) -> list[Problem]:
        """Problems that no trajectory of the round solved: worth a look at their labels."""
        return read_jsonl(self.round(number) / "unsolved.jsonl", Problem.from_json)

    @property
    def place(self) -> str:
        """Where it is kept."""
        return self.remote.url if self.remote else str(self.path)

    @property
    def last_round(self) -> int:
        """The last finished round, 0 when there is none."""
        numbers = [row["round"] for row in self.metrics()]
        return max(numbers, default=0)


def _of_memory_alone(difference: str) -> bool:
    """Whether a difference of recipes changes only how much memory is taken, so that a run may go on with it."""
    return difference.partition(":")[0].rpartition(".")[2] in OF_MEMORY


def _not_ours(path: Path) -> bool:
    """False for what a run leaves that was killed before its recipe was written."""
    return path.name != DIGESTS and not path.name.startswith(".")
