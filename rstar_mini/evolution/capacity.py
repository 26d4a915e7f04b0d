"""How much a run decodes and remembers at once: it follows the memory that is there, and is chosen once for a run."""

from __future__ import annotations

import gc
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import psutil
import torch
from pydantic import TypeAdapter
from transformers import PreTrainedModel

from rstar_mini.files import read_json
from rstar_mini.recipes.schema import PolicySettings

FILE = "capacity.json"
CACHE_SHARE = 1 / 5  # of the free memory; policy and PPM have a cache each, and texts at work take twice as much
MOST_ROWS = 2048  # of candidates: enough for the largest GPU; of memory there is what the pages hold


@dataclass(frozen=True, slots=True)
class Capacity:
    """Most candidates decoded together, and megabytes that keys and values of a model's trees may take.

    Those of the texts at work take twice as many. `adapters` says how search uses them, None without any.
    """

    batch_rows: int
    cache_mb: int
    adapters: Literal["merged", "switched"] | None = None


def capacity(folder: Path, settings: PolicySettings, base: PreTrainedModel, free: int | None = None) -> Capacity:
    """What the recipe says, else what the run in `folder` has chosen, or what fits into `free` bytes, or those here.

    Kept, because rounding depends on what is decoded together: a run that goes on elsewhere goes on the same.
    """
    if (folder / FILE).exists():
        kept: Capacity = read_json(folder / FILE, TypeAdapter(Capacity).validate_python)
        rows, cache = settings.batch_rows or kept.batch_rows, settings.cache_mb or kept.cache_mb
        return replace(kept, batch_rows=rows, cache_mb=cache)
    free = free_bytes() if free is None else free
    return Capacity(
        settings.batch_rows or MOST_ROWS,
        settings.cache_mb or max(64, int(CACHE_SHARE * free / 2**20)),
        _adapters(settings, base, free),
    )


def _adapters(settings: PolicySettings, base: PreTrainedModel, free: int) -> Literal["merged", "switched"] | None:
    """Merged where two copies in fp32, as they are merged, leave most of the free memory to search."""
    if settings.tuning == "full":
        return None
    if settings.tuning == "qlora":
        return "switched"
    return settings.adapters or ("merged" if 2 * 4 * base.num_parameters() < CACHE_SHARE * free else "switched")


def free_bytes() -> int:
    """Free memory of the device on which search runs; what PyTorch holds of deleted models is given back first."""
    if not torch.cuda.is_available():
        return int(psutil.virtual_memory().available)
    gc.collect()
    torch.cuda.empty_cache()
    return int(torch.cuda.mem_get_info()[0])
