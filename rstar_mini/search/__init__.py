"""Search over steps: batched MCTS, plain sampling, and the choice of a final answer. No model library is imported."""

from rstar_mini.search.expand import Budget, Expander
from rstar_mini.search.mcts import backup, search, select, uct
from rstar_mini.search.sampling import sample
from rstar_mini.search.selection import Selection, choose, is_right

__all__ = ["Budget", "Expander", "Selection", "backup", "choose", "is_right", "sample", "search", "select", "uct"]
