"""Fit the factors of `memory` to measured peaks: `python -m rstar_mini.plan.calibrate tests/gpu/h200_memory.jsonl`.

Cases that are `held_out` are left out of the fit and say how far it can be trusted.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rstar_mini.files import read_jsonl, write_json
from rstar_mini.plan.memory import (
    CALIBRATION,
    Factors,
    Load,
    Step,
    layer,
    logits,
    logits_bytes,
    rows_bytes,
    search_peak,
    static_bytes,
    training_peak,
)
from rstar_mini.plan.shape import Shape, shape

BASES = {
    "smol": "smol",
    "qwen2.5-0.5b": "Qwen/Qwen2.5-0.5B",
    "qwen2.5-math-1.5b": "Qwen/Qwen2.5-Math-1.5B",
    "phi3-mini": "microsoft/Phi-3-mini-4k-instruct",
    "qwen2.5-math-7b": "Qwen/Qwen2.5-Math-7B",
}
RANK = 16


def held_out(case: Mapping[str, Any]) -> bool:
    """A model of another size and family; a known one in 4 bits; a larger one, all weights trained."""
    model, tuning = case["model"], case["tuning"]
    return model == "phi3-mini" or (model, tuning) in {("qwen2.5-0.5b", "qlora"), ("qwen2.5-math-1.5b", "full")}


def step_of(case: Mapping[str, Any]) -> Step:
    """The training step that was measured."""
    tokens = case["length"] * case["micro_batch"]
    labelled = tokens - 100 * case["micro_batch"] if case["kind"] == "sft" else 0
    return Step(case["tuning"], RANK, tokens, labelled, case["recompute"])


def load_of(case: Mapping[str, Any], base: Shape) -> Load:
    """The search that was measured: eight candidates a problem, one base with its adapters."""
    live, columns = (round(case[name] / (2 * base.kept)) for name in ("live_bytes", "rows_bytes"))
    return Load(1, live, 8 * case["problems"], columns, min(8192, live), copied=columns)


def measured_peak(case: Mapping[str, Any], base: Shape) -> float:
    """Bytes at most; a second whole model that lay beside the trained one, when it was measured, is taken off."""
    beside = 4.0 * base.numbers if (case["tuning"], case["kind"]) == ("full", "ppm") else 0.0
    return float(case["peak"]) - beside


def fit(cases: Sequence[Mapping[str, Any]]) -> dict[str, Factors]:
    """The factors of trainings of all weights, of trainings of adapters, and of searches."""
    trainings = [case for case in cases if case["kind"] != "search"]
    return {
        "full": _fit_training([case for case in trainings if case["tuning"] == "full"]),
        "adapters": _fit_training([case for case in trainings if case["tuning"] != "full"]),
        "search": {"logits": _fit_search([case for case in cases if case["kind"] == "search"])},
    }


def _fit_training(cases: Sequence[Mapping[str, Any]]) -> Factors:
    """One layer from PPMs with recomputing, which have no logits; these from SFT; all layers from what is left."""
    one, of_logits, every = [], [], []
    for case in cases:
        base, step = shape(BASES[case["model"]]), step_of(case)
        peak = measured_peak(case, base)
        rest = peak - static_bytes(base, step)
        if step.tuning == "full":
            if rest < 4.4 * base.numbers:  # it was gradients that counted, and says nothing of activations
                continue
        else:
            rest -= 4.0 * base.adapters(RANK)
        row = (layer(base, step), rest, peak)
        if not step.recompute:
            every.append((tuple(base.layers * part for part in row[0]), logits(base, step), rest, peak))
        elif step.labelled:
            of_logits.append(((logits(base, step),), rest, peak))
        else:
            one.append(row)
    factors = {"one layer": _least_squares(one), "logits": _least_squares(of_logits)}
    left = [(parts, rest - factors["logits"][0] * above, peak) for parts, above, rest, peak in every]
    return factors | {"all layers": _least_squares(left)}


def _fit_search(cases: Sequence[Mapping[str, Any]]) -> list[float]:
    rows = []
    for case in cases:
        base = shape(BASES[case["model"]])
        load, known = load_of(case, base), case["before"] + case["live_bytes"] + case["rows_bytes"]
        rest = case["peak"] - known
        if rest > 1.3 * rows_bytes(base, load):  # else it was the rows that counted, and says nothing of drawing
            rows.append(((logits_bytes(base, load),), rest, case["peak"]))
    return _least_squares(rows)


def _least_squares(rows: Sequence[tuple[Sequence[float], float, float]]) -> list[float]:
    """Factors that keep the relative error of the whole peak small; zeros where there is no case."""
    if not rows:
        return [0.0, 0.0]
    x = np.array([[value / peak for value in row] for row, _, peak in rows])
    y = np.array([rest / peak for _, rest, peak in rows])
    return [round(float(factor), 4) for factor in np.linalg.lstsq(x, y, rcond=None)[0]]


def compare(cases: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is foretold and what was measured, in GB, with the relative error."""
    found = []
    for case in cases:
        base = shape(BASES[case["model"]])
        if case["kind"] == "search":
            said = search_peak(base, case["tuning"], RANK, load_of(case, base))
            peak = float(case["peak"])
        else:
            said, peak = training_peak(base, step_of(case)), measured_peak(case, base)
        row = {
            name: case[name]
            for name in ("model", "tuning", "kind", "length", "micro_batch", "recompute")
            if name in case
        }
        found.append(
            row
            | {"foretold": round(said / 1e9, 2), "measured": round(peak / 1e9, 2), "error": round(said / peak - 1, 3)}
        )
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Fit the memory formulas to measured peaks.")
    parser.add_argument("measured", type=Path)
    cases = read_jsonl(parser.parse_args().measured)
    factors = fit([case for case in cases if not held_out(case)])
    write_json(CALIBRATION, {"factors": factors})
    apart = compare(case for case in cases if held_out(case))
    write_json(CALIBRATION, {"factors": factors, "held_out": apart})
    for row in compare(cases):
        print(row)


if __name__ == "__main__":
    main()
