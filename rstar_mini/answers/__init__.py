"""Are two final answers the same? Exact arithmetic first, computer algebra second, "undecided" where neither knows."""

from rstar_mini.answers.compare import Verdict, answer_key, compare, contradicts

__all__ = ["Verdict", "answer_key", "compare", "contradicts"]
