"""How long a machine takes for a round's work: launches, products, and bytes over bandwidth, added up.

The launches of a GPU and its share of the maker's products in training are fitted to measured seconds (`calibrate`).
Everything else about a card is a data-sheet figure, and so is all of vLLM.
"""

from __future__ import annotations

from dataclasses import dataclass

from rstar_mini.plan.machine import Machine
from rstar_mini.plan.memory import calibration
from rstar_mini.plan.shape import Shape
from rstar_mini.plan.tokens import UNIQUE, Decoding
from rstar_mini.policy.admission import SPARE, TICK
from rstar_mini.recipes.schema import Training

# Measured with tests/gpu/simulate.py on four sizes of memory: nodes at work for each tree that the caches hold, and the
# candidates of them that have not ended.
NODES, ALIVE = 1.3, 0.45
DECODING = 0.4  # share of the maker's products when tokens are decoded: supposed
TOKEN_SECONDS = 8e-6  # of the host for each sampled token: measured on an H200's
UNPACKED = 4.5  # bytes for each 4-bit weight: read packed, written and read again in 16 bits
PACKED_ROWS = 64  # rows from which 4-bit weights are unpacked first, about (policy/README.md)
VLLM_ROWS, VLLM_SECONDS = 256, 5e-3  # of a step: its default, and its host's part, supposed
LAYER_OF_PROCESSOR, TOKEN_OF_PROCESSOR = 3e-4, 3e-5  # seconds; with the two below fitted to `tiny` and one `smol` round
DECODING_OF_PROCESSOR, TRAINING_OF_PROCESSOR = 0.15, (0.03, 0.6)


@dataclass(frozen=True, slots=True)
class Setting:
    """What decides speed beside the work: where, which base in how many bits, and room for trees.

    A model's cache holds `cache` tokens of keys and values; at most `rows` candidates are decoded together. vLLM has
    memory for `pages` tokens, or is None where the package's own engine decodes.
    """

    where: Machine
    base: Shape
    tuning: str
    cache: int
    rows: int
    pages: int | None = None


def nodes_at_work(cache: int, columns: float, problems: float, rows: int, candidates: int) -> float:
    """Nodes that admission lets be written together: as the caches hold trees, or as there are problems and rows."""
    return max(1.0, min(NODES * cache / columns, problems, rows / candidates))


def decoding_seconds(work: Decoding, at: Setting, step: float) -> float:
    """Seconds to decode this; `step` is the mean length of a candidate."""
    per_shard = work.problems / work.shards
    columns = work.text + work.candidates * SPARE * step
    nodes = nodes_at_work(at.cache, columns, per_shard, at.rows, work.candidates)
    alive = ALIVE * nodes * work.candidates
    if at.pages is not None:
        alive = _vllm_rows(work, at, step)
    steps = work.tokens / alive + work.shards * work.chain
    kept = 2.0 * at.base.kept * columns * (alive / (ALIVE * work.candidates)) / _bytes(at.where)
    reads = steps / TICK * ((at.pages is None) + work.scored)
    passes = steps * (_launches(at) + kept) + reads * _launches(at, own=True)
    passes += (steps + reads) * weight_bytes(at.base, at.tuning, alive) / _bytes(at.where)
    return passes + _products(work, at) + work.tokens * _token_seconds(at.where)


def _vllm_rows(work: Decoding, at: Setting, step: float) -> float:
    """Sequences that vLLM holds: siblings share their prefix's blocks."""
    assert at.pages is not None
    fit = at.pages / (work.text / work.candidates + step)
    return max(1.0, min(VLLM_ROWS, fit, work.problems / work.shards * work.candidates))


def _launches(at: Setting, own: bool = False) -> float:
    """Seconds of the host for one pass through the model, by our own engine or by vLLM."""
    if at.pages is not None and not own:
        return VLLM_SECONDS
    if at.where.name == "cpu":
        return LAYER_OF_PROCESSOR * at.base.layers
    sixteen, four = calibration()["seconds"]["decoding"]
    return at.base.layers * (four if at.tuning == "qlora" else sixteen)


def weight_bytes(base: Shape, tuning: str, rows: float) -> float:
    """Bytes of weights that one pass with so many rows moves."""
    if tuning != "qlora":
        return base.weights(tuning, 2)
    unpacked = min(1.0, rows / PACKED_ROWS) * UNPACKED * base.linear
    return max(base.weights(tuning, 2), unpacked + 2.0 * (base.numbers - base.linear))


def _products(work: Decoding, at: Setting) -> float:
    """Seconds of matrix products: tokens that siblings share once, the logits of each sampled token."""
    forwarded = (1.0 if at.pages is not None else UNIQUE) + (UNIQUE if work.scored else 0.0)
    used = DECODING_OF_PROCESSOR if at.where.name == "cpu" else DECODING
    each = 2.0 * (forwarded * at.base.linear + at.base.vocab * at.base.hidden)
    return work.tokens * each / (used * 1e12 * at.where.tflops)


def _token_seconds(where: Machine) -> float:
    return TOKEN_OF_PROCESSOR if where.name == "cpu" else TOKEN_SECONDS


def _bytes(where: Machine) -> float:
    return 1e12 * where.bandwidth


def training_seconds(base: Shape, tuning: str, settings: Training, work: tuple[float, float], where: Machine) -> float:
    """Seconds to train on so many sequences of that length."""
    sequences, length = work
    together = min(settings.micro_batch or settings.batch, settings.batch)
    layer, share = TRAINING_OF_PROCESSOR if where.name == "cpu" else calibration()["seconds"][tuning]
    each = step_seconds(base, tuning, together * length, settings.recompute, where, layer, share)
    return sequences / together * each


def step_seconds(
    base: Shape, tuning: str, tokens: float, recompute: bool, where: Machine, layer: float, share: float
) -> float:
    """Seconds of one forward and backward pass; `layer` of the host each, `share` of the maker's products."""
    launches = (4 / 3 if recompute else 1) * base.layers * layer
    products = training_flops(base, tokens, recompute) / (share * 1e12 * where.tflops)
    return launches + products + training_bytes(base, tuning, recompute) / _bytes(where)


def training_flops(base: Shape, tokens: float, recompute: bool) -> float:
    """Products of one forward and backward pass; the forward pass twice when activations are computed again."""
    return (8.0 if recompute else 6.0) * base.linear * tokens


def training_bytes(base: Shape, tuning: str, recompute: bool) -> float:
    """Bytes of weights that it moves."""
    return (4 if recompute else 3) * weight_bytes(base, tuning, PACKED_ROWS)
