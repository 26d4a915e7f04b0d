"""`python -m rstar_mini.problems --out DIR --seed 0` writes the generated splits."""

from __future__ import annotations

import argparse
from pathlib import Path

from rstar_mini.problems.generate import write_splits


def main() -> None:
    """Parse the command line and write the files."""
    parser = argparse.ArgumentParser(prog="python -m rstar_mini.problems", description=__doc__)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for train.jsonl, validation.jsonl and test.jsonl"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of every draw (default 0)")
    arguments = parser.parse_args()
    write_splits(arguments.out, arguments.seed)


if __name__ == "__main__":
    main()
