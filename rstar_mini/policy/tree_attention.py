"""Attention for trees: a row of the cache holds a prefix once, and after it all tokens that siblings add to it.

Siblings agree on their prefix and often on their first tokens. Here they share one row of keys and values, in which
every distinct token has one column, and each token sees its own ancestors only. So nothing is copied when siblings part
ways, all tokens of a forward pass lie side by side without padding in the model's matrix products, and only attention
works on a table, [rows, tokens of the fullest row].
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from rstar_mini.errors import UserError
from rstar_mini.policy.rows import Rows

if TYPE_CHECKING:
    from rstar_mini.adapters import View

NAME = "tree"
NOT_HONOURED = {
    "softcap": "its attention caps the scores (soft cap), which search does not do",
    "s_aux": "its attention has sinks, which search does not have",
}
"""Options of an attention that change what it computes, and what to say of a model that has one."""


@dataclass(slots=True)
class Lead:
    """What the texts of all rows begin with, held once: `kv` [2 * layers, kv heads, length, head width].

    `hidden` [rows] says which rows begin otherwise, if there are any.
    """

    kv: Tensor
    hidden: Tensor | None

    def scores(self, layer: int, query: Tensor, unseen: Tensor | None) -> Tensor:
        """Scores of scaled queries [rows, kv heads, queries, head width]: [rows, kv heads, queries, length].

        `unseen` [rows, queries, length] says which of its tokens lie before a query's window.
        """
        rows, heads, queries, _ = query.shape
        scores = query.transpose(0, 1).flatten(1, 2) @ self.kv[2 * layer].mT
        if self.hidden is not None:
            scores = scores.masked_fill(self.hidden.repeat_interleave(queries)[:, None], -torch.inf)
        if unseen is not None:
            scores = scores.masked_fill(unseen.flatten(0, 1), -torch.inf)
        return scores.view(heads, rows, queries, -1).transpose(0, 1)

    def mix(self, layer: int, weights: Tensor) -> Tensor:
        """The values under these weights, which are shaped as the scores are: [rows, kv heads, queries, head width]."""
        rows, heads, queries, _ = weights.shape
        values = weights.transpose(0, 1).flatten(1, 2) @ self.kv[2 * layer + 1]
        return values.view(heads, rows, queries, -1).transpose(0, 1)


@dataclass(slots=True)
class Feed:
    """Where the tokens of one forward pass lie, and what each of them sees.

    New keys and values go to `row` and `column` [tokens] of `kv`, and attention covers all of its columns.
    The tokens sit in a table of `widest` a row, on `seats` [tokens]; `packed` says that they take all seats in order.
    """

    kv: Tensor
    row: Tensor
    column: Tensor
    seats: Tensor
    packed: bool
    widest: int
    lead: Lead | None
    sees: Tensor  # [tokens, columns]
    at: Tensor  # [tokens], positions in the text
    shared: int  # query heads that have one key head in common: they are treated as so many more queries of it
    windows: dict[int, tuple[Tensor, Tensor | None]] = field(default_factory=dict)

    def write(self, part: int, new: Tensor) -> Tensor:
        """Put new keys or values [tokens, kv heads, head width] in their places.

        Returns:
            all that the rows have, [rows, kv heads, columns, head width].
        """
        self.kv[part][self.row, :, self.column] = new
        return self.kv[part]

    def mask(self, sees: Tensor) -> Tensor:
        """What to add to the scores when tokens see `sees` [tokens, columns]: [rows, 1, queries, columns]."""
        rows, dtype = self.kv.shape[1], self.kv.dtype
        scores = torch.full((rows * self.widest, self.kv.shape[3]), -torch.inf, dtype=dtype, device=sees.device)
        scores[self.seats, : sees.shape[1]] = torch.zeros_like(sees, dtype=dtype).masked_fill_(~sees, -torch.inf)
        return scores.view(rows, 1, self.widest, -1).repeat(1, 1, self.shared, 1)

    def window(self, width: int) -> tuple[Tensor, Tensor | None]:
        """The mask for layers that see the last `width` tokens, their own among them, and `unseen` for `Lead.scores`.

        Ancestors lie in the order of the text, so the last columns that a token sees are its window.
        """
        if width not in self.windows:
            later = self.sees.flip(1).cumsum(1).flip(1)  # of the tokens seen, how many lie in this column or after it
            self.windows[width] = self.mask(self.sees & (later <= width)), self._unseen(width)
        return self.windows[width]

    def _unseen(self, width: int) -> Tensor | None:
        """The tokens of the lead before each query's window, [rows, queries, length]; None when all are in it."""
        if self.lead is None or int(self.at.max()) < width:
            return None
        before = torch.arange(self.lead.kv.shape[2], device=self.at.device) <= (self.at - width)[:, None]
        unseen = before.new_zeros(self.kv.shape[1] * self.widest, before.shape[1])
        unseen[self.seats] = before
        return unseen.view(-1, self.widest, before.shape[1]).repeat(1, self.shared, 1)


def feed_forward(
    model: PreTrainedModel | View,
    rows: Rows,
    row: np.ndarray,
    column: np.ndarray,
    sees: Tensor,
    ids: Tensor,
    at: Tensor,
    lead: Lead | None,
) -> Tensor:
    """Forward tokens that lie in `rows`; returns their hidden states, [tokens, width].

    Args:
        row, column: [tokens], where each lies, rows ascending.
        sees: [tokens, columns], to which columns of its row each attends, its own included.
        ids, at: [tokens], the tokens and their positions in the text.
        lead: what texts begin with that is not in the rows.
    """
    seat, widest = rows.seats(row)
    seats, places, columns = (torch.from_numpy(part).to(rows.kv.device) for part in (row * widest + seat, row, column))
    shared = model.config.num_attention_heads // rows.kv.shape[2]
    packed = len(seats) == len(rows) * widest
    feed = Feed(rows.kv, places, columns, seats, packed, widest, lead, sees, at, shared)
    hidden: Tensor = model(
        input_ids=ids[None], position_ids=at[None], attention_mask=feed.mask(sees), use_cache=False, feed=feed
    ).last_hidden_state
    return hidden[0]


def tree_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    feed: Feed | None = None,
    sliding_window: int | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention of new tokens to all that they see of their rows.

    Args:
        query: [1, heads, tokens, head width].
        key, value: [1, kv heads, tokens, head width].
        attention_mask: [rows, 1, shared heads * widest, columns], added to the scores.
        feed: where the tokens lie; without it this is the library's own attention.
        sliding_window: how many tokens this layer sees, its own among them; None: all.

    Returns:
        [1, tokens, heads, head width], and None for the weights.

    Raises:
        UserError: the model asks for something that is not honoured here.
    """
    for name, what in NOT_HONOURED.items():
        if options.get(name) is not None:
            raise UserError(what)
    if feed is None:
        plain: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
        return plain
    layer = int(module.layer_idx)  # type: ignore[arg-type]  # an int on every attention
    keys, values = (feed.write(2 * layer + i, new[0].transpose(0, 1)) for i, new in enumerate((key, value)))
    mask, unseen = (attention_mask, None) if sliding_window is None else feed.window(sliding_window)
    assert mask is not None
    heads, size = query.shape[1], key.shape[3]
    table = _seated(query[0].transpose(0, 1), feed, key.shape[1])
    # The library's fused attention is slower for so few queries a row.
    queries = table.flatten(2, 3) * scaling
    scores = queries @ keys.mT + mask
    before = 0 if feed.lead is None else feed.lead.kv.shape[2]
    if feed.lead is not None:
        scores = torch.cat([feed.lead.scores(layer, queries, unseen), scores], dim=-1)
    weights = torch.softmax(scores, dim=-1)
    output = weights[..., before:] @ values
    if feed.lead is not None:
        output = output + feed.lead.mix(layer, weights[..., :before])
    output = output.view(table.shape).permute(0, 3, 1, 2, 4).reshape(-1, heads, size)
    return (output if feed.packed else output[feed.seats])[None], None


def _seated(query: Tensor, feed: Feed, kv_heads: int) -> Tensor:
    """Queries [tokens, heads, head width] on their seats: [rows, kv heads, shared heads, widest, head width]."""
    _, heads, size = query.shape
    if not feed.packed:
        seats = query.new_zeros(len(feed.kv[0]) * feed.widest, heads, size)
        query = seats.index_copy_(0, feed.seats, query)
    return query.reshape(-1, feed.widest, kv_heads, heads // kv_heads, size).permute(0, 2, 3, 1, 4)


AttentionInterface.register(NAME, tree_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
