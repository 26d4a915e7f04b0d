"""Numbers at birth: each number's embedding starts as points on circles, so that equal and near are easy to see.

A number n lies at the angle 2 pi n / period on circles of several periods. The product of two such embeddings depends
on their difference alone: one attention head can tell whether two numbers are equal, and a few layers by how much they
differ. Wide models find such features when they learn to calculate (Nanda et al. 2023, arXiv 2301.05217; Zhou et al.
2025, arXiv 2502.09741). A model of a million parameters does not within an hour; ours starts with them and goes on
training every weight.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

PERIODS = (2, 3, 4, 5, 7, 10, 16, 25, 40, 64, 100, 160, 250, 400, 640, 1000)
FIRST = 1  # the first feature used; feature 0 is the induction head's constant


@torch.no_grad()
def plant_number_features(embeddings: Tensor, ids: list[int], spread: float) -> None:
    """Set the first features of the embeddings of the numbers 0, 1, ... to cosines and sines, in place.

    Args:
        embeddings: [tokens, features].
        ids: the token of each number, [numbers].
        spread: standard deviation of the other embeddings' features, which these have too.
    """
    numbers = torch.arange(len(ids), dtype=torch.float32)[:, None]  # [numbers, 1]
    angles = 2 * math.pi * numbers / torch.tensor(PERIODS)  # [numbers, periods]
    features = torch.cat([angles.cos(), angles.sin()], dim=1) * spread * math.sqrt(2)
    embeddings[ids, FIRST : FIRST + features.shape[1]] = features
