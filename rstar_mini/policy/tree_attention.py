"""Attention for trees: a row holds a prefix once, and after it all tokens that siblings add to it.

Siblings agree on their prefix and often on their first tokens. Here they share one row of keys and values, in which
every distinct token has one column, and each token sees its own ancestors only. So nothing is copied when siblings part
ways, all tokens of a forward pass lie side by side without padding in the model's matrix products, and only attention
works on a table, [rows, tokens of the fullest row]. Keys and values stay where they are: a text of several pages is
attended to a page at a time, and the parts are added up afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedConfig, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from rstar_mini.errors import UserError
from rstar_mini.policy.feed import Feed, Layout, Lead, Pages, layout
from rstar_mini.policy.rows import Rows

if TYPE_CHECKING:
    from rstar_mini.adapters import View

NAME = "tree"
NOT_HONOURED = {
    "softcap": "its attention caps the scores (soft cap), which search does not do",
    "s_aux": "its attention has sinks, which search does not have",
}
"""Options of an attention that change what it computes, and what to say of a model that has one."""


def feed_forward(
    model: PreTrainedModel | View,
    kv: Tensor,
    laid: Layout,
    numbers: Tensor,
    sees: Tensor,
    lead: Tensor | None,
    hidden: Tensor | None,
) -> Tensor:
    """Forward tokens that lie in pages; returns their hidden states, [tokens, width].

    It launches the same work for equal sizes, and never waits for the device.

    Args:
        kv: the pages, [2 * layers, pages, kv heads, columns, head width].
        numbers: the tables of `laid` on the device.
        sees: [tokens, columns], to which columns of its row each attends, its own included.
        lead: what texts begin with that is not in the rows, [2 * layers, kv heads, length, head width].
        hidden: [rows], which rows begin otherwise; None: none of them.
    """
    sizes = laid.sizes
    ids, at, page, offset, row, place, parts, owner = laid.cut(numbers)
    kv = kv[:, : sizes.extent, :, : sizes.columns]
    feed = Feed(
        kv,
        page,
        offset,
        row,
        place,
        packed=sizes.packed,
        height=sizes.height,
        widest=sizes.widest,
        pages=Pages(parts.clamp(min=0), parts < 0, owner) if sizes.parts else None,
        lead=None if lead is None else Lead(lead, hidden),
        sees=sees,
        at=at,
        beyond=sizes.beyond,
        shared=model.config.num_attention_heads // kv.shape[2],
    )
    states: Tensor = model(
        input_ids=ids[None], position_ids=at[None], attention_mask=feed.mask(sees), use_cache=False, feed=feed
    ).last_hidden_state
    return states[0]


def feed_rows(
    model: PreTrainedModel | View,
    rows: Rows,
    row: np.ndarray,
    column: np.ndarray,
    sees: Tensor,
    ids: np.ndarray,
    at: np.ndarray,
    lead: Tensor | None,
    led: np.ndarray,
) -> Tensor:
    """`feed_forward` of tokens that lie in `rows` (see `layout`)."""
    laid = layout(rows, row, column, ids, at, led, smallest_window(model.config))
    numbers = torch.from_numpy(laid.numbers).to(rows.kv.device)
    hidden = None if lead is None or laid.led.all() else torch.from_numpy(~laid.led).to(rows.kv.device)
    return feed_forward(model, rows.kv, laid, numbers, sees, lead, hidden)


def smallest_window(config: PreTrainedConfig) -> int | None:
    """How many tokens the layers with a window see; None when there are none."""
    return getattr(config, "sliding_window", None) or None


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
        attention_mask: [pages, 1, shared heads * widest, columns of a page], added to the scores.
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
    attend = _attend_whole if feed.pages is None else _attend_parts
    output = attend(feed, layer, queries, keys, values, mask, unseen)
    output = output.view(table.shape).permute(0, 3, 1, 2, 4).reshape(-1, heads, size)
    return (output if feed.packed else output[feed.seats])[None], None


def _attend_whole(
    feed: Feed, layer: int, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor, unseen: Tensor | None
) -> Tensor:
    """Texts of one page each: queries and what comes of them are [rows, kv heads, queries, head width]."""
    scores = queries @ keys.mT + mask
    if feed.lead is None:
        return torch.softmax(scores, dim=-1) @ values
    before = feed.lead.kv.shape[2]
    weights = torch.softmax(torch.cat([feed.lead.scores(layer, queries, unseen), scores], dim=-1), dim=-1)
    return weights[..., before:] @ values + feed.lead.mix(layer, weights[..., :before])


def _attend_parts(
    feed: Feed, layer: int, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor, unseen: Tensor | None
) -> Tensor:
    """Texts of several pages: each page on its own, then the parts of a text by their shares of the whole sum."""
    assert feed.pages is not None
    weights, sums, highest = _exponentials((queries[feed.pages.owner] @ keys.mT).add_(mask))
    found = [each[feed.pages.parts] for each in (weights @ values, sums, highest)]
    found[2] = found[2].masked_fill(feed.pages.lacking[:, :, None, None, None], -torch.inf)
    if feed.lead is not None:
        weights, sums, highest = _exponentials(feed.lead.scores(layer, queries, unseen))
        ahead = feed.lead.mix(layer, weights), sums, highest
        found = [torch.cat([first[:, None], others], dim=1) for first, others in zip(ahead, found, strict=True)]
    mixed, sums, highest = found
    share = (highest - highest.amax(1, keepdim=True)).exp()
    return ((share * mixed).sum(1) / (share * sums).sum(1)).to(queries.dtype)


def _exponentials(scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Exponentials of scores below their highest, their sums, and that highest; the last two in fp32."""
    highest = scores.amax(-1, keepdim=True)
    weights = (scores - highest).exp_()
    return weights, weights.sum(-1, keepdim=True, dtype=torch.float32), highest.float()


def _seated(query: Tensor, feed: Feed, kv_heads: int) -> Tensor:
    """Queries [tokens, heads, head width] on their seats: [rows, kv heads, shared heads, widest, head width]."""
    _, heads, size = query.shape
    if not feed.packed:
        query = query.new_zeros(feed.height * feed.widest, heads, size).index_copy_(0, feed.seats, query)
    return query.reshape(-1, feed.widest, kv_heads, heads // kv_heads, size).permute(0, 2, 3, 1, 4)


AttentionInterface.register(NAME, tree_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
