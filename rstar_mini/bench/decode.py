"""Decoding: our engine, the library's `generate`, and nothing but the model's matrix products."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn.functional import linear
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rstar_mini.bench.measure import Row, in_turn, row, seconds
from rstar_mini.bench.plain import PlainReader
from rstar_mini.policy import Request, noise_key
from rstar_mini.policy.end_of_step import EndOfStep
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.prompts import Prompt
from rstar_mini.types import Problem

TOKENS = 32  # decoded after each prompt


class _Endless(EndOfStep):
    """No step ends, so that all rows are decoded to the same length."""

    def __call__(self, tokens: Sequence[int]) -> None:
        return None


def decoding(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: Prompt,
    problems: Sequence[Problem],
    repeats: int,
) -> list[Row]:
    """Tokens a second at one row a problem, all rows alive, over what `generate` and the matrix products alone give.

    Reading the prompts is left out: the time for one token is taken off the time for `TOKENS` more.
    """
    policy = TransformersPolicy(model, tokenizer, prompt, TOKENS + 1)
    policy.ends = _Endless(tokenizer)
    requests = [Request(problem, (), 1, noise_key("bench", problem.id)) for problem in problems]
    reader = PlainReader(tokenizer, prompt)
    batch = reader.batch([reader.ids(problem, ()) for problem in problems], left=True)
    batch = {name: part.to(model.device) for name, part in batch.items()}

    def ours(count: int) -> None:
        policy.forget()
        policy.max_step_tokens = count
        policy.propose(requests, 1.0)

    def library(count: int) -> None:
        model.generate(**batch, max_new_tokens=count, min_new_tokens=count, do_sample=True)  # type: ignore[operator]

    ways = [_rate(way, len(problems)) for way in (ours, library)]
    products = _products(model, len(problems))
    ours_, theirs, limit = in_turn([*ways, lambda: len(problems) / seconds(products)], repeats)
    name = f"decoding, {len(problems)} rows, {str(model.dtype).removeprefix('torch.')}"
    return [
        row(name, "tokens/s", ours_, "model.generate", theirs),
        row(name, "tokens/s", ours_, "the matrix products alone", limit),
    ]


def _rate(way: Callable[[int], None], rows: int) -> Callable[[], float]:
    def rate() -> float:
        return rows * TOKENS / max(seconds(lambda: way(TOKENS + 1)) - seconds(lambda: way(1)), 1e-9)

    way(2)  # whatever happens at the first call only
    return rate


def _products(model: PreTrainedModel, rows: int) -> Callable[[], None]:
    """The products of one decoding step: every linear layer, the vocabulary head included, on `rows` rows."""
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    inputs = {n: torch.randn(rows, n).to(model.device, model.dtype) for n in {layer.in_features for layer in layers}}

    @torch.inference_mode()
    def products() -> None:
        for layer in layers:
            linear(inputs[layer.in_features], layer.weight)
        if model.device.type == "cuda":
            torch.cuda.synchronize()

    products()
    return products
