"""What a step of training and a search take of a GPU's memory, from formulas with a few measured factors.

The formulas count what must be there: weights, what is trained with its gradients and the optimiser's state, keys and
values. What a library keeps of activations is not known from outside; that takes the factors, which
`python -m rstar_mini.plan.calibrate` fits to measured peaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

from rstar_mini.files import read_json
from rstar_mini.plan.shape import Shape

Tuning = Literal["full", "lora", "qlora"]
Factors = dict[str, list[float]]
CALIBRATION = Path(__file__).with_name("calibration.json")


@dataclass(frozen=True, slots=True)
class Step:
    """One forward and backward pass of a training: `tokens` read, `labelled` of them with a loss (SFT), else none."""

    tuning: Tuning
    rank: int
    tokens: int
    labelled: int
    recompute: bool

    @property
    def size(self) -> int:
        """Bytes of a number in the base: all that is trained is fp32."""
        return 4 if self.tuning == "full" else 2


def logits(shape: Shape, step: Step) -> float:
    """Bytes of one number in fp32 for each token that might follow each labelled one."""
    return 4.0 * step.labelled * shape.vocab


def layer(shape: Shape, step: Step) -> tuple[float, float]:
    """Bytes of the hidden and of the inner widths of all tokens, in one layer."""
    return float(step.tokens * shape.hidden * step.size), float(step.tokens * shape.inner * step.size)


def activations(shape: Shape, step: Step, factors: Factors) -> float:
    """When activations are kept, logits come on top of all layers; when recomputed, before the first of them."""
    of_logits = factors["logits"][0] * logits(shape, step)
    if step.recompute:
        return max(of_logits, _sum(factors["one layer"], layer(shape, step)))
    return of_logits + shape.layers * _sum(factors["all layers"], layer(shape, step))


def _sum(factors: Sequence[float], parts: Sequence[float]) -> float:
    return sum(factor * part for factor, part in zip(factors, parts, strict=True))


def training_peak(shape: Shape, step: Step, devices: int = 1) -> float:
    """Bytes at most in a training, from its second step on, when the optimiser has its state.

    Full fine-tuning on several `devices` is spread over them (FSDP), and this is what each of them takes.
    """
    factors = _calibration()["full" if step.tuning == "full" else "adapters"]
    active = activations(shape, step, factors)
    if step.tuning == "full" and devices > 1:
        share = replace(shape, numbers=-(-shape.numbers // devices))
        return static_bytes(share, step) + _beside(share, step, active) + _gathered(shape, step)
    return static_bytes(shape, step) + _beside(shape, step, active)


def _gathered(shape: Shape, step: Step) -> float:
    """Bytes of the weights that a device has from all others at a time: two layers, and what is outside of layers."""
    return step.size * (shape.numbers - shape.linear + 2 * shape.linear / shape.layers)


def static_bytes(shape: Shape, step: Step) -> float:
    """Weights, adapters, the optimiser's two moments (in 8 bits on a 4-bit base), each layer's input if recomputed."""
    weights = shape.weights(step.tuning, step.size)
    if step.recompute:
        weights += shape.layers * layer(shape, step)[0]
    if step.tuning == "full":
        return weights + 8.0 * shape.numbers
    return weights + (4 + (2 if step.tuning == "qlora" else 8)) * shape.adapters(step.rank)


def _beside(shape: Shape, step: Step, active: float) -> float:
    """Activations go as gradients come, so of all weights the larger of the two counts; adapters' are small."""
    if step.tuning == "full":
        return max(active, 4.0 * shape.numbers)
    return active + 4.0 * shape.adapters(step.rank)


@dataclass(frozen=True, slots=True)
class Load:
    """What a search in 16 bits has in memory.

    `copies` of the weights: one with adapters switched, two where policy and PPM are apart. `live` tokens of both have
    their keys and values remembered. Logits are computed for `rows` candidates together; the pages of the texts at work
    hold `columns` tokens in all, and `read` tokens are read in together. `copied` is for older measurements: tokens
    whose keys and values were in memory twice when rows were laid out anew.
    """

    copies: int
    live: int
    rows: int
    columns: int
    read: int
    copied: int = 0


def logits_bytes(shape: Shape, load: Load) -> float:
    """One number in fp32 for each token that the candidates might go on with."""
    return 4.0 * load.rows * shape.vocab


def rows_bytes(shape: Shape, load: Load) -> float:
    """What is read in, and what is there twice."""
    return 2.0 * shape.kept * (load.copied + load.read)


def search_peak(shape: Shape, tuning: Tuning, rank: int, load: Load) -> float:
    """Bytes at most: texts are read in and tokens drawn at different times, so the larger of the two counts."""
    weights = load.copies * shape.weights(tuning, 2)
    adapters = 0 if tuning == "full" or load.copies > 1 else 2 * 2 * shape.adapters(rank)
    held = weights + adapters + 2.0 * shape.kept * (load.live + load.columns)
    return held + max(rows_bytes(shape, load), _calibration()["search"]["logits"][0] * logits_bytes(shape, load))


@cache
def _calibration() -> dict[str, Factors]:
    factors: dict[str, Factors] = read_json(CALIBRATION)["factors"]
    return factors
