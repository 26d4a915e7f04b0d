"""What attention is given of one forward pass: where its tokens lie in pages, and what each of them sees.

The host works out the tables as numbers (`layout`), and sends them in one piece; all else is made on the device. Padded
to sizes of a few kinds (`Bucket`), passes can be captured and played again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from rstar_mini.policy.rows import Rows, rounded, seats

Bucket = Callable[[int], int]
"""A size that is at least as large, of few kinds."""


class Sizes(NamedTuple):
    """The sizes of one forward pass: passes of equal sizes launch the same work."""

    tokens: int
    height: int  # rows of the table in which queries sit
    widest: int  # tokens of the fullest row
    extent: int  # pages
    columns: int  # of a page
    parts: int  # pages of a text; 0: a row is the page of its number
    packed: bool  # the tokens take all seats, in order
    beyond: bool  # the window of a token begins after the start of its text


@dataclass(frozen=True, slots=True)
class Layout:
    """The tables of a forward pass as the host has them: `numbers` is all of them in one array."""

    sizes: Sizes
    numbers: np.ndarray
    led: np.ndarray  # [height], which rows begin as all prompts do

    def cut(self, numbers: Tensor) -> list[Tensor]:
        """The tables on the device: ids, at, page, offset, row, seats [tokens], parts [height, parts], owner [extent].

        A part of -1 is none.
        """
        tokens, height, _, extent, _, parts, *_ = self.sizes
        *tables, each, owner = numbers.split([tokens] * 6 + [height * parts, extent])
        return [*tables, each.view(height, parts), owner]


def layout(
    rows: Rows,
    row: np.ndarray,
    column: np.ndarray,
    ids: np.ndarray,
    at: np.ndarray,
    led: np.ndarray,
    window: int | None = None,
    bucket: Bucket | None = None,
) -> Layout:
    """Where tokens lie, and where they sit in the table of queries.

    With a `bucket` all sizes are such ones. The tokens that fill up are of a row of their own, and write to a page that
    nobody has.

    Args:
        row, column: [tokens], where each lies, rows ascending.
        ids, at: [tokens], the tokens and their positions in the text.
        led: [tokens], which texts begin as all prompts do.
        window: how many tokens the layers with the smallest window see.
    """
    part, offset = np.divmod(column, rows.page)
    page, extent = rows.table[row, part], rows.extent
    index, columns, table = _rows_of_queries(rows, row)
    tokens, height = len(row), len(table)
    seat, widest = seats(index)
    if bucket:
        tokens, widest, extent = bucket(tokens), bucket(widest), min(bucket(extent + 1), rows.pages + 1)
        columns = min(rows.page, bucket(columns))
        height = extent if rows.whole else bucket(height + 1)
    more, spare = tokens - len(row), (height - 1, extent - 1)  # row and page of those that fill up
    owner = np.full(extent, spare[0] if bucket else 0)  # what comes of free pages is computed, and nobody asks for it
    parts = np.full((height, table.shape[1] if not bucket or rows.whole else bucket(table.shape[1])), -1)
    parts[: len(table), : table.shape[1]] = table
    if bucket and not rows.whole:
        parts[spare[0], 0] = spare[1]
    owner[parts[parts >= 0]] = np.nonzero(parts >= 0)[0]
    place = index * widest + seat
    tables = [ids, at, page, offset, index, place]
    if more:
        values = 0, 0, spare[1], 0, spare[0], spare[0] * widest
        tables = [np.append(each, [value] * more) for each, value in zip(tables, values, strict=True)]
    starts = np.ones(height, dtype=bool)
    starts[index[~led]] = False
    packed = bool(not more and tokens == height * widest)
    beyond = window is not None and int(at.max()) >= window
    sizes = Sizes(tokens, height, widest, extent, columns, parts.shape[1], packed, beyond)
    return Layout(sizes, np.concatenate([*tables, parts.ravel(), owner]), starts)


def _rows_of_queries(rows: Rows, row: np.ndarray) -> tuple[np.ndarray, int, np.ndarray]:
    """The row of each token in the table of queries, the columns of a page, and the pages of each of its rows."""
    if rows.whole:
        return row, min(rows.page, rounded(int(rows.used.max()))), np.empty((rows.extent, 0), dtype=np.int64)
    live, index = np.unique(row, return_inverse=True)
    return index, rows.page, rows.table[live]


@dataclass(slots=True)
class Lead:
    """What texts begin with, held once: `kv` [2 * layers, kv heads, length, head width].

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
            scores = scores.masked_fill(self.hidden.repeat_interleave(queries)[:, None], floor(scores.dtype))
        if unseen is not None:
            scores = scores.masked_fill(unseen.flatten(0, 1), floor(scores.dtype))
        return scores.view(heads, rows, queries, -1).transpose(0, 1)

    def mix(self, layer: int, weights: Tensor) -> Tensor:
        """The values under these weights, which are shaped as the scores are: [rows, kv heads, queries, head width]."""
        rows, heads, queries, _ = weights.shape
        values = weights.transpose(0, 1).flatten(1, 2) @ self.kv[2 * layer + 1]
        return values.view(heads, rows, queries, -1).transpose(0, 1)


@dataclass(slots=True)
class Pages:
    """Which pages texts of several pages have: `parts` [rows, parts], where `lacking` says that there is none.

    `owner` [pages] is the row of each page.
    """

    parts: Tensor
    lacking: Tensor
    owner: Tensor


@dataclass(slots=True)
class Feed:
    """Where the tokens of one forward pass lie, and what each of them sees.

    New keys and values go to `page` and `offset` [tokens] of `kv`, and attention covers all of its columns.
    The tokens sit in a table of `widest` a row, on `seats` [tokens]; `packed` says that they take all seats in order.
    """

    kv: Tensor  # [2 * layers, pages, kv heads, columns of a page, head width]
    page: Tensor
    offset: Tensor
    row: Tensor  # [tokens]; row i is page i where `pages` is None
    seats: Tensor
    packed: bool
    height: int  # rows
    widest: int
    pages: Pages | None
    lead: Lead | None
    sees: Tensor  # [tokens, columns of a text]
    at: Tensor  # [tokens], positions in the text
    beyond: bool  # the window of a token begins after the start of its text
    shared: int  # query heads that have one key head in common: they are treated as so many more queries of it
    windows: dict[int, tuple[Tensor, Tensor | None]] = field(default_factory=dict)

    def write(self, part: int, new: Tensor) -> Tensor:
        """Put new keys or values [tokens, kv heads, head width] in their places.

        Returns:
            all that the pages have, [pages, kv heads, columns, head width].
        """
        self.kv[part][self.page, :, self.offset] = new
        return self.kv[part]

    def mask(self, sees: Tensor) -> Tensor:
        """What to add to scores when tokens see `sees` [tokens, columns]: [pages, 1, queries, columns of a page]."""
        count, columns, dtype = self.kv.shape[1], self.kv.shape[3], self.kv.dtype
        scores = torch.full(((count + 1) * self.widest, columns), floor(dtype), dtype=dtype, device=sees.device)
        if self.pages is None:
            scores[self.seats, : sees.shape[1]] = _added(sees, dtype)
        else:
            parts = self.pages.parts.masked_fill(self.pages.lacking, count)[self.row]  # of a page beyond the last
            table = pad(sees, (0, parts.shape[1] * columns - sees.shape[1])).view(len(sees), -1, columns)
            scores[parts * self.widest + (self.seats % self.widest)[:, None]] = _added(table, dtype)
        return scores[: count * self.widest].view(count, 1, self.widest, -1).repeat(1, 1, self.shared, 1)

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
        if self.lead is None or not self.beyond:
            return None
        before = torch.arange(self.lead.kv.shape[2], device=self.at.device) <= (self.at - width)[:, None]
        unseen = before.new_zeros(self.height * self.widest, before.shape[1])
        unseen[self.seats] = before
        return unseen.view(-1, self.widest, before.shape[1]).repeat(1, self.shared, 1)


def floor(dtype: torch.dtype) -> float:
    """The score of what is not seen: its weight is nought, and sums with it stay finite."""
    return torch.finfo(dtype).min / 2


def _added(sees: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros_like(sees, dtype=dtype).masked_fill_(~sees, floor(dtype))
