"""rstar_mini: rStar-Math (arXiv 2501.04519) on one machine.

`evolve` runs the rounds, `solve` answers a question by PPM-guided search, `load_run` opens a run, and `evaluate_run`
measures it again.
"""

import logging

from rstar_mini.api import evaluate_run, evolve, load_run, solve

logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns of a 4-bit kernel that a CPU run never calls

__all__ = ["evaluate_run", "evolve", "load_run", "solve"]
