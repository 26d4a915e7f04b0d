"""`rstar-mini export`: a round's models, trajectories and pairs in a folder, or sent to the Hub."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from datasets.utils.logging import disable_progress_bar

from rstar_mini.errors import UserError, command
from rstar_mini.evolution.models import Models
from rstar_mini.evolution.run import Run
from rstar_mini.files import check_room, copy_files, read_json, whole_folder, write_json
from rstar_mini.hub import Repo, check_login, publish
from rstar_mini.models import load_ppm
from rstar_mini.progress import Progress
from rstar_mini.share.cards import (
    ADAPTERS,
    MERGED,
    PAIRS,
    POLICY,
    PPM,
    TABULAR,
    TRAJECTORIES,
    Part,
    base_on_hub,
    card,
)
from rstar_mini.share.rows import pairs, trajectories

disable_progress_bar()  # writing rows takes moments, and its bars would break ours

HUB = "hub:"
ADAPTER_CONFIG = "adapter_config.json"


def export_round(run: Run, to: str, number: int | None, progress: Progress) -> list[str]:
    """Write a round for others, and return where each part is.

    policy/ (adapters as they are, or the whole model), policy-merged/ beside adapters, ppm/ (whole; none when the
    recipe trains none), trajectories/ and pairs/.

    Args:
        to: a folder that is not there yet, or "hub:ORG/NAME" for ORG/NAME-policy and so on, which are private.
        number: the round; None: the last.

    Raises:
        UserError: no such round, a folder that is in the way, no room, or a Hub that does not take it.
    """
    number = _round(run, number)
    if not to.startswith(HUB):
        return _to_folder(run, number, Path(to), progress)
    name = to.removeprefix(HUB)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise UserError(f"--to {to}: it should be hub:ORG/NAME")
    check_login(Repo(f"{name}-policy", "model"))
    return _to_hub(run, number, name, progress)


def _round(run: Run, number: int | None) -> int:
    finished = [row["round"] for row in run.metrics() if row["round"]]
    if not finished:
        raise UserError(f"{run.path} has no finished round yet; go on with: {command('evolve', '--run', run.path)}")
    if number is not None and number not in finished:
        raise UserError(f"round {number} of {run.path} is not finished; finished rounds: {finished}")
    return number or finished[-1]


def _to_folder(run: Run, number: int, to: Path, progress: Progress) -> list[str]:
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UserError(f"--to {to}: it is there already; move it away, or give another folder")
    parts = _parts(run, number)
    with whole_folder(to) as aside:
        _write(run, number, aside, {part.name: f"{to.name}/{part.name}" for part in parts}, False, progress)
    return [str(to / part.name) for part in parts]


def _to_hub(run: Run, number: int, name: str, progress: Progress) -> list[str]:
    places = {part.name: f"{name}-{part.name}" for part in _parts(run, number)}
    addresses = []
    with tempfile.TemporaryDirectory() as scratch:
        _write(run, number, Path(scratch), places, True, progress)
        progress.stage(f"sending {name}", len(places))
        for part, place in places.items():
            repo = Repo(place, "dataset" if part in TABULAR else "model")
            addresses.append(publish(Path(scratch) / part, repo))
            progress.advance()
    return addresses


def _parts(run: Run, number: int) -> list[Part]:
    """What there is to share of a round."""
    folder = run.round(number)
    policy = [ADAPTERS, MERGED] if (folder / "policy" / ADAPTER_CONFIG).exists() else [POLICY]
    return [*policy, *([PPM] if (folder / "ppm").exists() else []), TRAJECTORIES, PAIRS]


def _write(run: Run, number: int, folder: Path, places: dict[str, str], on_hub: bool, progress: Progress) -> None:
    """Every part into a folder of its name, with its card."""
    models, source, parts = Models(run.recipe, run.path), run.round(number), _parts(run, number)
    policy, prompt = models.weights(number), models.prompt(number)
    check_room(folder, _bytes(source) + 2 * sum(weights.nbytes for weights in policy.parameters()))
    makers: dict[str, Callable[[Path], object]] = {
        "policy": lambda to: _copy_policy(source / "policy", to, run.recipe.policy.base),
        "policy-merged": policy.save_pretrained,
        "ppm": lambda to: load_ppm(source / "ppm", run.recipe.policy.base).save_pretrained(to),
        "trajectories": lambda to: trajectories(run, number, prompt).to_parquet(to / "train.parquet"),
        "pairs": lambda to: pairs(run, number, prompt).to_parquet(to / "train.parquet"),
    }
    progress.stage(f"round {number}: export", len(parts))
    for part in parts:
        (folder / part.name).mkdir()
        makers[part.name](folder / part.name)
        if part.name not in TABULAR:
            models.tokenizer.save_pretrained(folder / part.name)
        (folder / part.name / "README.md").write_text(card(run, number, part, places, on_hub), "utf-8")
        for file in (folder / part.name).iterdir():
            file.chmod(0o644)  # weights are written for their owner alone
        progress.advance()


def _copy_policy(source: Path, to: Path, base: str) -> None:
    """The policy's files; those of adapters name the folder of their base, which is another one elsewhere."""
    copy_files(source, to)
    if (to / ADAPTER_CONFIG).exists():
        config = read_json(to / ADAPTER_CONFIG)
        write_json(to / ADAPTER_CONFIG, config | {"base_model_name_or_path": base_on_hub(base)})


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
