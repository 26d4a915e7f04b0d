"""The cards that a recipe can be planned for.

All figures are the makers'. Only the H200 was at hand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rstar_mini.errors import UserError

CONTEXT_GB = 0.6  # what CUDA itself takes, outside of any tensor
OLDEST = 7.5  # compute capability that PyTorch from PyPI has code for: it is built with CUDA 13 since 2.11
TOO_OLD = {"p100": 6.0, "v100": 7.0}
SLOWEST = 25.0, 0.28  # of a card known by its size alone: as slow as the slowest below, in each of the two


@dataclass(frozen=True, slots=True)
class Machine:
    """A card, or a computer's processor.

    Memory is in GB (10^9 bytes), as PyTorch reports it. `tflops` are 10^12 dense operations a second in 16 bits, summed
    in 32 bits; `bandwidth` is of its memory, in 10^12 bytes a second. `per_node` are in one machine of a cluster; four
    A100 of 40 GB were in each of the paper's.
    """

    name: str
    memory_gb: float
    tflops: float
    bandwidth: float
    per_node: int = 8

    @property
    def usable_gb(self) -> float:
        """What is left for tensors."""
        return self.memory_gb if self.name == "cpu" else self.memory_gb - CONTEXT_GB


MACHINES = {
    machine.name: machine
    for machine in (
        Machine("t4", 15.8, 65, 0.32),
        Machine("rtx3060", 12.6, 25, 0.36),
        Machine("rtx3090", 25.4, 71, 0.94),
        Machine("rtx4060ti-16", 16.7, 44, 0.29),
        Machine("rtx4070ti", 12.6, 80, 0.50),
        Machine("rtx4090", 25.4, 165, 1.0),
        Machine("rtx5090", 33.7, 210, 1.8),
        Machine("l4", 23.8, 121, 0.30),
        Machine("a10", 23.6, 125, 0.60),
        Machine("a100-40", 42.5, 312, 1.56, per_node=4),
        Machine("a100-80", 85.0, 312, 2.0),
        Machine("h100", 85.0, 989, 3.35),
        Machine("h200", 151.0, 989, 4.8),
    )
}


def machine(name: str) -> Machine:
    """The card of this name, or one of a size, such as "12gb"; "cpu" is this computer with the memory that is free now.

    Raises:
        UserError: no such card, or one that PyTorch no longer runs on.
    """
    if name == "cpu":
        return processor()
    if capability := TOO_OLD.get(name):
        raise UserError(
            f"--gpu {name}: PyTorch from PyPI does not run on it: since 2.11 it has no code for compute capability "
            f"{capability} (the oldest is {OLDEST}); choose a card from the T4 on"
        )
    if sized := re.fullmatch(r"(\d+(?:\.\d+)?)gb", name.lower()):
        return Machine(name.lower(), float(sized[1]), *SLOWEST)
    if known := MACHINES.get(name) or MACHINES.get(f"rtx{name}"):
        return known
    raise UserError(f"--gpu {name}: not known; choose from {', '.join(MACHINES)}, a size such as 12gb, cpu")


def processor(free_gb: float | None = None) -> Machine:
    """This computer's processor with so much free memory, or what is free now: two cores of some years ago."""
    import psutil

    return Machine("cpu", psutil.virtual_memory().available / 1e9 if free_gb is None else free_gb, 0.4, 0.02)


def card_here() -> str:
    """What `machine` calls the first GPU of this computer: by its name, else by its size; "cpu" without one."""
    import torch

    if not torch.cuda.is_available():
        return "cpu"
    properties = torch.cuda.get_device_properties(0)
    return card_named(properties.name, properties.total_memory / 1e9)


def card_named(reported: str, memory_gb: float) -> str:
    """The name of what a driver reports, such as "NVIDIA GeForce RTX 4090"; of a card not in the table, its size."""
    words = set(re.split(r"[^a-z0-9]+", reported.lower().replace("rtx ", "rtx").replace(" ti", "ti")))
    for known in MACHINES.values():
        if known.name.partition("-")[0] in words and abs(known.memory_gb - memory_gb) < 0.15 * memory_gb:
            return known.name
    return next((old for old in TOO_OLD if old in words), f"{int(memory_gb)}gb")
