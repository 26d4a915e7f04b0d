"""rstar_mini: rStar-Math (arXiv 2501.04519) on one machine.

`evolve` runs the rounds, `solve` answers a question by PPM-guided search, `load_run` opens a run, and `evaluate_run`
measures it again.
"""

import contextlib
import ctypes
import logging
import os
import sys
import warnings

# Read when torch is loaded. Threads that spin for long while they wait for each other gain nothing on a free machine,
# and on one that does other work besides take up to five times as long (`tiny`, two cores; other systems ignore it).
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# Read when Hugging Face's libraries are loaded. One folder for all that is fetched, when there is one
# (`rstar_mini.paths.cache_dir`), and no report to them of every training, as TRL would send.
if _chosen := os.environ.get("RSTAR_MINI_CACHE"):
    os.environ.setdefault("HF_HUB_CACHE", f"{_chosen}/hub")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

if sys.platform == "linux":
    # Tensors come and go by the thousand: let glibc keep the memory instead of giving it back to the system each time,
    # which costs a page fault for every 4 KiB when it is taken again (search of `tiny` is 1.2 times as fast; no effect
    # with another C library). M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD.
    with contextlib.suppress(OSError, AttributeError):
        for _option, _value in ((-1, 2**31 - 1), (-2, 2**26), (-3, 2**25)):
            ctypes.CDLL(None).mallopt(_option, _value)

from rstar_mini.api import evaluate_run, evolve, load_run, solve

logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns of a 4-bit kernel that a CPU run never calls
warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)  # peft asks for it

__all__ = ["evaluate_run", "evolve", "load_run", "solve"]
