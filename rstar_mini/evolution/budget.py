"""What a run has cost so far, beside what its recipe declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rstar_mini.recipes.schema import Allowance


def spent(metrics: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Tokens (sampled in search and synthesis; sampled or read by the PPM in evaluation), training steps, programs."""
    evaluated = sum(
        round(system["tokens"] * system["n"]) for row in metrics for system in row["evaluation"]["systems"].values()
    )
    return {
        "tokens": evaluated
        + sum(row[part]["sampled"] for row in metrics for part in ("search", "synthesis") if part in row),
        "training_steps": sum(row[name]["steps"] for row in metrics for name in ("sft", "ppm") if name in row),
        "programs": sum(row["search"]["programs"] for row in metrics if "search" in row),
    }


def budget_line(used: Mapping[str, int], declared: Allowance | None) -> str:
    """One line: what was spent of what the recipe declares, and a warning where it was too little."""
    allowed = declared.model_dump() if declared else {}
    parts = [
        f"{count:,}" + (f" of {allowed[name]:,}" if name in allowed else "") + f" {name}"
        for name, count in used.items()
    ]
    over = [name for name in allowed if used[name] > allowed[name]]
    return f"spent {', '.join(parts).replace('_', ' ')}" + (
        f"; more {' and '.join(over)} than declared" if over else ""
    )
