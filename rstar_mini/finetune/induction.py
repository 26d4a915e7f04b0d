"""An induction head at birth: the circuit that so small a model does not find by itself within an hour of training.

An induction head (Olsson et al. 2022, arXiv 2209.11895) looks for an earlier place where the current token stood, and
copies what came after it. To copy a number out of a question a model needs one, and a wide model finds it early in its
pretraining. Ours starts with one in its first two layers, and goes on training every weight from there; that a start
which imitates trained weights helps small transformers is the point of Trockman and Kolter (2023, arXiv 2305.09828).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from transformers import Phi3ForCausalLM
from transformers.models.phi3.modeling_phi3 import Phi3Attention

QUIET = 0.02  # factor on what every layer adds at the start; at full strength that noise drowns the embeddings
CONSTANT = 3.0  # the feature that is the same for all tokens, in units of the embeddings' own spread
SHARP = 9.0  # how much the first head prefers the token before to its neighbours
MATCH = 3.0  # how much the second head prefers an equal token to another one
COPY = 4.0  # strength of the copied token, in units of the embeddings' own spread
POSITION_PAIRS = 4  # rotary pairs, the fastest ones, that find the token before


@torch.no_grad()
def plant_induction_head(model: Phi3ForCausalLM) -> None:
    """Set the first head of layers 0 and 1 of a freshly made Phi-3 to an induction head, in place.

    Needs as many key-value heads as heads, two layers, and a partial rotary embedding: the first head works by position
    alone, on the rotated features, the second by content alone, on the others.
    """
    config = model.config
    spread, size = config.initializer_range, config.hidden_size // config.num_attention_heads
    rope: dict[str, Any] = dict(config.rope_parameters or {})
    rotated = int(size * rope["partial_rotary_factor"])
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight *= QUIET
        layer.mlp.down_proj.weight *= QUIET
    model.model.embed_tokens.weight[:, 0] = CONSTANT * spread
    free = size - rotated  # features of a head that carry no position
    here, before, copied = _directions(config.hidden_size, [free, free, size])
    first, second = (layer.self_attn for layer in model.model.layers[:2])
    _look_one_back(first, size, rotated, rope["rope_theta"])
    _parts(first, size)[2][:free] = here
    first.o_proj.weight[:, :free] = before.T * spread  # "the token before me is ..."
    query, key, value = _parts(second, size)
    query[:] = key[:] = 0
    query[rotated:], key[rotated:] = MATCH * here, MATCH * before
    value[:] = copied
    second.o_proj.weight[:, :size] = copied.T * spread * COPY


def _parts(attention: Phi3Attention, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """The rows of the packed projection that make query, key and value of the first head, each [size, hidden]."""
    packed = attention.qkv_proj.weight
    query, key, value = packed.view(3, -1, packed.shape[1])
    return query[:size], key[:size], value[:size]


def _look_one_back(attention: Phi3Attention, size: int, rotated: int, theta: float) -> None:
    """Score cos(w (i - j - 1)) over some rotary frequencies w: the query at i likes best the key at j = i - 1."""
    query, key, _ = _parts(attention, size)
    query[:] = key[:] = 0
    for pair in range(POSITION_PAIRS):
        turn = theta ** (-2 * pair / rotated)
        query[pair, 0] = SHARP / CONSTANT
        key[pair, 0] = SHARP / CONSTANT * math.cos(turn)
        key[pair + rotated // 2, 0] = SHARP / CONSTANT * math.sin(turn)


def _directions(hidden: int, counts: list[int]) -> tuple[Tensor, ...]:
    """Groups of orthonormal directions, [count, hidden] each, at random but for the constant feature 0."""
    basis = torch.zeros(sum(counts), hidden)
    basis[:, 1:] = torch.linalg.qr(torch.randn(hidden - 1, hidden - 1))[0][: sum(counts)]
    return basis.split(counts)
