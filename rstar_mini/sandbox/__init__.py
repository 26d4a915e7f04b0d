"""Run model-written Python away from the main process: `Sandbox` is the only name the rest of the project needs."""

from rstar_mini.sandbox.box import Sandbox

__all__ = ["Sandbox"]
