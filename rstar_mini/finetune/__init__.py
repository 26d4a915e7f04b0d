"""Fine-tuning the policy on step-by-step verified trajectories. Importing this package loads no model library."""

from rstar_mini.finetune.trajectories import best_trajectories

__all__ = ["best_trajectories"]
