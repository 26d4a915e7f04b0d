"""Attention for siblings: they read one copy of their common prefix, and carry only the tokens they do not share.

In a tree most of what a row attends to is its prompt and the steps above it. A batch in which every row holds its own
keys and values spends its time on copying and reading these again and again. Here a prefix is held once for all rows
that go on from it, so that splitting, finishing and reordering rows moves a few tokens each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "shared_prefix"


@dataclass(slots=True)
class Rows:
    """Rows that are being extended, each after one of the prefixes.

    `prefixes` [2 * layers, prefixes, kv heads, width, head width] holds their keys and values, padded on the left where
    `prefix_mask` [prefixes, width] is False. `owner` [rows], ascending, is the prefix of each row. `own` holds, for
    keys and values of each layer in turn, the tokens of each row after its prefix, [rows, kv heads, slots, head width],
    of which `mask` [rows, slots] marks the real ones. `positions` [rows] holds the next position of each row.
    """

    prefixes: Tensor | None
    prefix_mask: Tensor
    owner: Tensor
    mask: Tensor
    positions: Tensor
    own: list[Tensor] = field(default_factory=list)
    seats: Tensor = field(init=False)
    widest: int = field(init=False)

    def __post_init__(self) -> None:
        self._seat()

    def _seat(self) -> None:
        """Give each row its seat in a table of `widest` rows a prefix, so that one product serves all its rows."""
        counts = torch.bincount(self.owner, minlength=len(self.prefix_mask))
        first = counts.cumsum(0) - counts
        self.widest = int(counts.max())
        self.seats = (
            self.owner * self.widest + torch.arange(len(self.owner), device=self.owner.device) - first[self.owner]
        )

    def pick(self, rows: Tensor) -> None:
        """Keep, repeat or leave out rows: `rows` [new rows], ascending, holds old row numbers."""
        self.own = [part[rows] for part in self.own]
        self.mask, self.positions, self.owner = self.mask[rows], self.positions[rows], self.owner[rows]
        used, owner = self.owner.unique(return_inverse=True)
        if 2 * len(used) <= len(self.prefix_mask):  # prefixes whose rows are all done cost time; moving them does too
            self.prefix_mask, self.owner = self.prefix_mask[used], owner
            self.prefixes = None if self.prefixes is None else self.prefixes[:, used]
        self._seat()

    def append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add new tokens of a layer, [rows, kv heads, new, head width]; returns all that the rows have of their own."""
        if len(self.own) <= 2 * layer:
            self.own += [key, value]
        else:
            for i, new in ((2 * layer, key), (2 * layer + 1, value)):
                self.own[i] = torch.cat([self.own[i], new], dim=2)
        return self.own[2 * layer], self.own[2 * layer + 1]

    def to_table(self, rows: Tensor) -> Tensor:
        """[rows, kv heads, queries, x] -> [prefixes, kv heads, widest * queries, x], empty seats zero."""
        table = rows.new_zeros(len(self.prefix_mask) * self.widest, *rows.shape[1:])
        table[self.seats] = rows
        return table.unflatten(0, (-1, self.widest)).transpose(1, 2).flatten(2, 3)

    def from_table(self, table: Tensor) -> Tensor:
        """The inverse of `to_table`."""
        return table.unflatten(2, (self.widest, -1)).transpose(1, 2).flatten(0, 1)[self.seats]


def shared_prefix_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    rows: Rows | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention of new tokens to their row's prefix, to its earlier tokens, and to each other in order.

    Args:
        query: [rows, heads, new, head width].
        key, value: [rows, kv heads, new, head width].
        rows: what came before; without it this is the library's own attention.

    Returns:
        [rows, new, heads, head width], and None for the weights.
    """
    if rows is None:
        output: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
        return output
    count, heads, new, size = query.shape
    layer = int(module.layer_idx)  # type: ignore[arg-type]  # an int on every attention
    keys, values = rows.append(layer, key, value)
    slots, shared = keys.shape[2], heads // keys.shape[1]
    queries = query.reshape(count, -1, shared * new, size) * scaling
    order = torch.arange(slots - new, slots, device=query.device)[:, None] >= torch.arange(slots, device=query.device)
    visible = rows.mask[:, None, None] & order.repeat(shared, 1)
    scores = (queries @ keys.mT).masked_fill(~visible, -torch.inf)
    if rows.prefixes is None:
        mixed = torch.softmax(scores.float(), dim=-1).to(values.dtype) @ values
    else:
        before = rows.to_table(queries) @ rows.prefixes[2 * layer].mT
        before = rows.from_table(before.masked_fill(~rows.prefix_mask[:, None, None], -torch.inf))
        weights = torch.softmax(torch.cat([before, scores], dim=-1).float(), dim=-1).to(values.dtype)
        width = before.shape[-1]
        mixed = rows.from_table(rows.to_table(weights[..., :width]) @ rows.prefixes[2 * layer + 1])
        mixed = mixed + weights[..., width:] @ values
    return mixed.reshape(count, heads, new, size).transpose(1, 2), None


AttentionInterface.register(NAME, shared_prefix_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
