"""Held-out evaluation: systems, equal tokens, intervals."""
