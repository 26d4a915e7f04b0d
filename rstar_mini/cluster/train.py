"""A round's training spread over devices: `accelerate launch` starts this module in a process for each of them."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from rstar_mini.errors import UserError
from rstar_mini.evolution.learning import Part
from rstar_mini.progress import Progress, Silent

TOLD = "progress "  # begins a line that tells of progress
WRONG = "wrong"  # or of what a user can mend


class Told(Silent):
    """Tells of progress on the standard output, for `launch` to read."""

    def stage(self, name: str, total: int) -> None:
        """A new stage."""
        print(TOLD + json.dumps(["stage", name, total]), flush=True)

    def advance(self, amount: int = 1) -> None:
        """Units done."""
        print(TOLD + json.dumps(["advance", amount]), flush=True)

    def say(self, text: str) -> None:
        """A line worth keeping."""
        print(TOLD + json.dumps(["say", text]), flush=True)


def launch(configuration: Path, run: Path, number: int, part: Part, progress: Progress) -> None:
    """Train the policy or the PPM of a round as an accelerate configuration says; it goes on where it stopped.

    Raises:
        UserError: the training failed; its last line says why.
    """
    command = [
        sys.executable,
        "-m",
        "accelerate.commands.accelerate_cli",
        "launch",
        "--config_file",
        str(configuration),
    ]
    command += ["-m", "rstar_mini.cluster.train", str(run), str(number), part]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as training:
        assert training.stdout
        try:
            last = _listen(training.stdout, progress)
        except BaseException:
            training.terminate()
            raise
    if training.returncode:
        raise UserError(f"training with {configuration} failed: {last}")


def _listen(lines: IO[str], progress: Progress) -> str:
    """Pass progress on; returns what was wrong, or else the last line with an error, or else the last line."""
    last, wrong, told = "", "", ""
    for line in map(str.strip, lines):
        if line.startswith(TOLD):
            what, *how = json.loads(line.removeprefix(TOLD))
            if what == WRONG:
                told = how[0]
            else:
                getattr(progress, what)(*how)
        elif line:
            last, wrong = line, line if "Error:" in line else wrong
    return told or wrong or last


def main(argv: Sequence[str] | None = None) -> None:
    """What each of the processes does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("number", type=int)
    parser.add_argument("part", choices=["policy", "ppm"])
    asked = parser.parse_args(argv)

    import torch

    from rstar_mini.evolution.learning import Learner
    from rstar_mini.evolution.models import Models
    from rstar_mini.evolution.problems import gather
    from rstar_mini.evolution.run import Run
    from rstar_mini.training import is_first

    run = Run.load(asked.run)
    torch.set_num_threads(run.recipe.threads)
    problems = [*gather(run.recipe).training, *run.synthesized()]
    try:
        learner = Learner(run, Models(run.recipe, run.path), problems, Told() if is_first() else Silent())
        learner.learn(asked.number, asked.part)
    except UserError as error:
        print(TOLD + json.dumps([WRONG, str(error)]), flush=True)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
