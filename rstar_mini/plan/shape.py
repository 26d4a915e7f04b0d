"""How large a model is, from its configuration alone: no weights are read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig

from rstar_mini.bases import last_position, read_config
from rstar_mini.files import read_json
from rstar_mini.hub import Repo
from rstar_mini.policy.rows import kv_shape

NF4_BYTES = 0.5 + (1 + 4 / 256) / 64  # of a weight: 4 bits, a scale of 8 bits for 64, and one of 32 bits for 256 scales


@dataclass(frozen=True, slots=True)
class Shape:
    """A causal model's numbers.

    `linear` are those in the decoder's linear layers, whose widths (in, out) are `sides`; `numbers` are all; `kept`
    counts the keys and values of one token, and a text has at most so many `positions`, None without a limit.
    """

    numbers: int
    linear: int
    sides: tuple[tuple[int, int], ...]
    layers: int
    hidden: int
    inner: int
    vocab: int
    kept: int
    positions: int | None = field(default=None, compare=False)  # of no weight

    def adapters(self, rank: int) -> int:
        """Numbers of LoRA adapters on every linear layer."""
        return rank * sum(inside + out for inside, out in self.sides)

    def weights(self, tuning: str, size: int) -> float:
        """Bytes of the weights: of `size` each, but for linear layers in 4 bits."""
        if tuning != "qlora":
            return float(size * self.numbers)
        return NF4_BYTES * self.linear + size * (self.numbers - self.linear)


def shape(name: str) -> Shape:
    """The shape of a base model, as recipes name it; those of the shipped recipes are known without the Hub.

    Raises:
        UserError: the model is not known and its configuration cannot be read.
    """
    return _known_shape(name) if name in _known() else shape_of(_config(name))


@cache
def _known_shape(name: str) -> Shape:
    return shape_of(_config(name))


def shape_of(config: PreTrainedConfig) -> Shape:
    """The shape that a configuration describes; the model is built without memory for its weights."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    layers = [module for module in model.get_decoder().modules() if isinstance(module, nn.Linear)]
    return Shape(
        numbers=model.num_parameters(),
        linear=sum(layer.weight.numel() for layer in layers),
        sides=tuple((layer.in_features, layer.out_features) for layer in layers),
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        inner=getattr(config, "intermediate_size", 4 * config.hidden_size),
        vocab=config.vocab_size,
        kept=math.prod(kv_shape(config)),
        positions=last_position(config),
    )


def _config(name: str) -> PreTrainedConfig:
    if name in _known():
        fields = dict(_known()[name])
        return AutoConfig.for_model(fields.pop("model_type"), **fields)
    folder = Path(name) if Path(name).exists() else Repo(name, "model").file("config.json").parent
    return read_config(folder, name)


@cache
def _known() -> Mapping[str, Mapping[str, Any]]:
    configs: Mapping[str, Mapping[str, Any]] = read_json(Path(__file__).with_name("configs.json"))
    return configs
