"""The machines that a recipe can be planned for: memory, and products in 16 bits (makers' figures, dense)."""

from __future__ import annotations

from dataclasses import dataclass

from rstar_mini.errors import UserError

CONTEXT_GB = 0.6  # what CUDA itself takes, outside of any tensor


@dataclass(frozen=True, slots=True)
class Machine:
    """Memory in GB (10^9 bytes) of which tensors may use what the driver leaves, and 10^12 operations a second.

    `per_node` are in one machine of a cluster; four A100 of 40 GB were in each of the paper's.
    """

    name: str
    memory_gb: float
    tflops: float
    per_node: int = 8

    @property
    def usable_gb(self) -> float:
        """What is left for tensors."""
        return self.memory_gb if self.name == "cpu" else self.memory_gb - CONTEXT_GB


MACHINES = {
    machine.name: machine
    for machine in (
        Machine("t4", 16.1, 65),
        Machine("3090", 25.4, 71),
        Machine("4090", 25.4, 165),
        Machine("a100-40", 42.5, 312, per_node=4),
        Machine("h100", 85.0, 989),
        Machine("h200", 151.0, 989),
    )
}


def machine(name: str) -> Machine:
    """The machine of this name; "cpu" is this one, with the memory that is free now.

    Raises:
        UserError: there is no such machine in the table.
    """
    if name == "cpu":
        import psutil

        return Machine("cpu", psutil.virtual_memory().available / 1e9, 0.4)
    if name not in MACHINES:
        raise UserError(f"--gpu {name}: not known; choose from {', '.join(MACHINES)}, cpu")
    return MACHINES[name]
