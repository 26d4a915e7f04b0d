"""`python -m rstar_mini.problems.puzzles --out DIR --seed 0` writes the splits of the puzzles."""

from __future__ import annotations

import argparse
from pathlib import Path

from rstar_mini.problems.puzzles.generate import write_puzzles


def main() -> None:
    """Parse the command line and write the files."""
    parser = argparse.ArgumentParser(prog="python -m rstar_mini.problems.puzzles", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for puzzles-train.jsonl and the other splits")
    parser.add_argument("--seed", type=int, default=0, help="seed of every draw (default 0)")
    arguments = parser.parse_args()
    write_puzzles(arguments.out, arguments.seed)


if __name__ == "__main__":
    main()
