"""Make the weights that come with the project: `python -m rstar_mini.evolution.ship RUN --out data/tiny-evolved`."""

from __future__ import annotations

import argparse
from pathlib import Path

from rstar_mini.evolution.models import Models
from rstar_mini.evolution.run import Run
from rstar_mini.files import new_folder, write_json
from rstar_mini.models import load_ppm, save_compact


def ship(run: Run, out: Path) -> None:
    """Write the last round's policy and PPM in 16 bits, and the metrics of all rounds, to `out`."""
    models, last = Models(run.recipe, run.path), run.last_round
    policy = models.weights(last)
    ppm = load_ppm(run.round(last) / "ppm", run.recipe.policy.base)
    for name, model in (("policy", policy), ("ppm", ppm)):
        save_compact(model, out / f"round-{last}" / name)
    write_json(out / "metrics.json", run.metrics())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Copy the last round of a run in compact form.")
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=new_folder, required=True)
    arguments = parser.parse_args()
    ship(Run.load(arguments.run), arguments.out)


if __name__ == "__main__":
    main()
