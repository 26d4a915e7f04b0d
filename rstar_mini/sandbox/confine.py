"""What confines a program on POSIX systems: one function, called in the child before the program starts."""

from __future__ import annotations

import contextlib
import math
import os
import resource

from rstar_mini.sandbox.wire import Limits


def apply_limits(limits: Limits, server_memory: int) -> None:
    """Take away what the program does not need, for good; stronger layers belong here.

    `server_memory` is the address space, in bytes, that the server's own modules take. The CPU limit is only a backstop
    in whole seconds: the server measures more finely, and ends programs before it. The limit on processes binds
    ordinary users only, since the kernel exempts root.
    """
    seconds = math.ceil(limits.cpu_seconds) + 1
    memory = server_memory + limits.memory_mb * 2**20
    for kind, soft, hard in (
        (resource.RLIMIT_CPU, seconds, seconds + 1),
        (resource.RLIMIT_AS, memory, memory),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_NOFILE, 32, 32),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NPROC, 0, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # macOS refuses some, and a lower hard limit may stand already
            resource.setrlimit(kind, (soft, hard))


def address_space() -> int:
    """Bytes of address space that this process has; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm") as file:  # noqa: PTH123  # servers stay light, without pathlib
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
