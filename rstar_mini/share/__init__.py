"""A round of a run for others: its models, trajectories and pairs, each with a card that says what was measured."""

from rstar_mini.share.export import export_round

__all__ = ["export_round"]
