"""Several seeds at once: each in a process of its own on one core, before their results are put together.

A small model leaves the second of two cores idle for half the time. What it learns and writes in a run is the same to
the byte with one thread and with two.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import torch

from rstar_mini.errors import UserError
from rstar_mini.experiments import experiments
from rstar_mini.experiments.lab import Lab
from rstar_mini.models import device
from rstar_mini.progress import Progress, Silent
from rstar_mini.recipes import Recipe
from rstar_mini.sandbox import Sandbox
from rstar_mini.told import WRONG, Listener, Told, tell


def worth_it(recipe: Recipe, seeds: Sequence[int]) -> bool:
    """Whether there are seeds and cores for it; a larger model fills a machine alone."""
    return len(seeds) > 1 and (os.cpu_count() or 1) > 1 and recipe.policy.base == "tiny" and device() == "cpu"


def side_by_side(
    names: Sequence[str], recipe: Recipe, path: Path, seeds: Sequence[int], limit: int | None, progress: Progress
) -> None:
    """Do experiments for each seed alone; what they measure stays on disk. Arguments as those of `Lab`.

    `progress` hears of the first seed: the others do the same beside it.

    Raises:
        UserError: what one of the processes was refused, or what it failed of.
    """
    heard = {seed: Listener(Silent() if i else progress) for i, seed in enumerate(seeds)}
    task = [recipe.model_dump_json(), str(path), str(limit or 0), *names]
    with ExitStack() as started, ThreadPoolExecutor(len(seeds)) as pool:
        processes = {seed: started.enter_context(_process([str(seed), *task])) for seed in seeds}
        try:
            hearing = {pool.submit(_hear, processes[seed], heard[seed]): seed for seed in seeds}
            for ended in as_completed(hearing):
                ended.result()
                seed = hearing[ended]
                if heard[seed].failed:
                    raise UserError(f"seed {seed}: {heard[seed].reason}")
                progress.say(f"seed {seed} is done")
        finally:
            for process in processes.values():
                assert process.stdin
                process.stdin.close()  # which stops it


def _process(arguments: Sequence[str]) -> subprocess.Popen[str]:
    """The experiments of a seed in a session of its own: Ctrl-C reaches only this process, which stops the others."""
    command = [sys.executable, "-P", "-m", "rstar_mini.experiments.side_by_side", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def _hear(process: subprocess.Popen[str], listener: Listener) -> None:
    """Pass on what a process prints until it ends."""
    assert process.stdout
    for line in process.stdout:
        listener.hear(line.strip())
    listener.failed = process.wait() != 0


def _stop_when_alone() -> None:
    """Stop as by Ctrl-C when the process that started this one closes the pipe, or is gone."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGINT)


def main(argv: Sequence[str] | None = None) -> None:
    """What each of the processes does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("recipe", type=Recipe.model_validate_json)
    parser.add_argument("path", type=Path)
    parser.add_argument("limit", type=int, help="0: none")
    parser.add_argument("names", nargs="+")
    asked = parser.parse_args(argv)
    Thread(target=_stop_when_alone, daemon=True).start()
    torch.set_num_threads(1)
    limit, settings, known = asked.limit or None, asked.recipe, experiments()
    try:
        with (
            Sandbox(**settings.sandbox.model_dump()) as box,
            Lab(settings, asked.path, [asked.seed], limit, box, Told()) as lab,
        ):
            for name in asked.names:
                known[name][2](lab)
    except UserError as error:
        tell(WRONG, str(error))
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
