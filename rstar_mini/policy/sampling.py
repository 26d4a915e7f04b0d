"""Sampling with noise that belongs to a candidate and not to the batch: the same key draws the same token anywhere."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from rstar_mini.policy.memory import TABLE_BYTES

LOGIT_BYTES = 24  # of a token that might be next: logits as they come and in fp32, softmax, and sums in fp64


def sample(
    head: nn.Module, hidden: Tensor, owner: np.ndarray, keys: np.ndarray, position: np.ndarray, temperature: float
) -> np.ndarray:
    """One token for each sibling from hidden states [rows, width]: `draw` for as many rows at a time as fit."""
    vocabulary: int = head.weight.shape[0]  # type: ignore[index,assignment]  # a head has a matrix of weights
    block = max(1, TABLE_BYTES // (LOGIT_BYTES * vocabulary))
    drawn = []
    for first in range(0, len(hidden), block):
        here = slice(*np.searchsorted(owner, (first, first + block)))
        logits = head(hidden[first : first + block]).float()
        drawn.append(draw(logits, owner[here] - first, keys[here], position[here], temperature))
    return np.concatenate(drawn)


def draw(logits: Tensor, owner: np.ndarray, keys: np.ndarray, position: np.ndarray, temperature: float) -> np.ndarray:
    """One token for each sibling by inverse transform sampling.

    Args:
        logits: [rows, vocabulary], one row for each distinct prefix.
        owner: [siblings], the row of each sibling, ascending.
        keys: [siblings], 64-bit noise keys.
        position: [siblings], how many tokens of its step each has already.

    Returns:
        [siblings] token ids; temperature 0 takes the most likely token.
    """
    if temperature == 0:
        return logits.argmax(dim=-1).cpu().numpy()[owner]
    cdf = torch.softmax(logits / temperature, dim=-1).cumsum(dim=-1, dtype=torch.float64)
    counts = np.bincount(owner, minlength=len(logits))
    seat = np.arange(len(owner)) - (counts.cumsum() - counts)[owner]
    noise = np.zeros((len(logits), counts.max()))
    noise[owner, seat] = uniform(keys, position)
    wanted = torch.from_numpy(noise).to(cdf.device) * cdf[:, -1:]
    tokens = torch.searchsorted(cdf, wanted, right=True).clamp_(max=logits.shape[1] - 1)
    return tokens.cpu().numpy()[owner, seat]


def uniform(keys: np.ndarray, position: np.ndarray | int) -> np.ndarray:
    """A uniform number in [0, 1) for each key at its position (splitmix64), whatever the batch around it."""
    with np.errstate(over="ignore"):
        x = keys * np.uint64(0x9E3779B97F4A7C15) + np.asarray(position + 1, np.uint64) * np.uint64(0xD1B54A32D192ED03)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (x ^ (x >> np.uint64(31))).astype(np.float64) / 2.0**64
