"""Policies: given a partial solution, propose next steps. Importing this package loads no model library."""

from rstar_mini.policy.base import Caching, Policy, Propose, Request, forget, noise_key
from rstar_mini.policy.scripted import ScriptedPolicy

__all__ = ["Caching", "Policy", "Propose", "Request", "ScriptedPolicy", "forget", "noise_key"]
