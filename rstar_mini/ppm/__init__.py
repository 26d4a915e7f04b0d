"""The process preference model: pairs from trees, training, scoring. Importing this package loads no model library."""

from rstar_mini.ppm.base import Scorer
from rstar_mini.ppm.pairs import Pair, preference_pairs

__all__ = ["Pair", "Scorer", "preference_pairs"]
