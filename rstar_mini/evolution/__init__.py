"""Self-evolution: the rounds, and the directory in which a run lives."""
