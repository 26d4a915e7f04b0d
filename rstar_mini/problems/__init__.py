"""Where problems come from: generated ones, JSONL files and datasets of the Hugging Face Hub."""

from __future__ import annotations

from rstar_mini.problems.families import FAMILIES
from rstar_mini.problems.generate import generate, generate_splits, write_splits
from rstar_mini.problems.load import load_problems, read_problems

__all__ = ["FAMILIES", "generate", "generate_splits", "load_problems", "read_problems", "write_splits"]
