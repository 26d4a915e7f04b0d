"""Memory for the keys and values of texts at work: pages of one size, allocated once (README.md in this folder)."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedConfig

PAGE, WHOLE = 128, 512  # columns of a page: of small ones a text leaves little empty, in a large one it lies whole
LEAST = 4096  # columns that there are at least: one node with many candidates
ROUNDED = 32  # texts that are read together get a multiple of so many columns, which products like


def kv_shape(config: PreTrainedConfig) -> tuple[int, int, int]:
    """What a model keeps of one token: (2 * layers, kv heads, head width)."""
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return 2 * config.num_hidden_layers, getattr(config, "num_key_value_heads", None) or heads, width


def rounded(columns: int) -> int:
    """So many columns, or a few more."""
    return -(-columns // ROUNDED) * ROUNDED


def paging(tokens: int, texts: int) -> tuple[int, int]:
    """How many pages of how many columns to make of memory for so many tokens, when so many texts are at work."""
    page = WHOLE if tokens >= WHOLE * texts else PAGE
    return max(tokens, LEAST) // page, page


class Rows:
    """Keys and values of texts, one a row, in pages of `page` columns.

    A row has the number of its first page. `table` [pages, parts] names the pages of each row in order, -1 where there
    is none; `used` [pages] says how many columns of each row are filled.

    Args:
        shape: as `kv_shape` gives it.
    """

    def __init__(self, shape: tuple[int, int, int], device: torch.device, dtype: torch.dtype) -> None:
        self._shape = shape
        self._memory = torch.zeros(0, device=device, dtype=dtype)
        self.lay_out(0, 0)

    def lay_out(self, pages: int, page: int, spare: bool = False) -> None:
        """Forget all rows; from now on there are so many pages of so many columns, and one that no row gets."""
        parts, heads, size = self._shape
        self._spare = int(spare)
        if (room := parts * (pages + self._spare) * heads * page * size) > len(self._memory):
            like, self._memory = self._memory, self._memory[:0]  # the old memory goes first
            self._memory = _zeros(room, like)
        self.pages, self.page = pages, page
        self.table = np.full((pages, 1), -1)
        self.used = np.zeros(pages, dtype=np.int64)
        self._free = list(range(pages))

    def __len__(self) -> int:
        return int((self.table[:, 0] >= 0).sum())

    @property
    def kv(self) -> Tensor:
        """[2 * layers, pages, kv heads, columns, head width]; what is not used holds finite numbers of no meaning."""
        parts, heads, size = self._shape
        layout = parts, self.pages + self._spare, heads, self.page, size
        return self._memory[: math.prod(layout)].view(layout)

    @property
    def nbytes(self) -> int:
        """Bytes of all pages."""
        return self._memory.nbytes

    @property
    def extent(self) -> int:
        """All pages in use are among so many first ones."""
        return int(self.table.max(initial=-1)) + 1

    @property
    def whole(self) -> bool:
        """Whether each row has one page only."""
        return self.table.shape[1] == 1

    def open(self, columns: int) -> int:
        """A new row with room for so many columns.

        Raises:
            MemoryError: there are not enough free pages.
        """
        if -(-columns // self.page) > len(self._free):
            raise MemoryError("not enough memory: no free pages for a text")
        row = heapq.heappop(self._free)
        self.table[row, 0] = row
        self.reserve(np.array([row]), np.array([columns]))
        return row

    def occupy(self, used: np.ndarray) -> None:
        """Every page is a row, of which so many columns are going to be filled."""
        self.table[:, 0], self.used, self._free = np.arange(self.pages), used, []

    def reserve(self, rows: np.ndarray, columns: np.ndarray) -> bool:
        """Room for so many columns in each of these rows; False, and nothing done, when pages are too few."""
        wanted = -(-columns // self.page)
        lacking = wanted - (self.table[rows] >= 0).sum(1)
        if lacking.clip(min=0).sum() > len(self._free):
            return False
        if (more := int(wanted.max()) - self.table.shape[1]) > 0:
            self.table = np.pad(self.table, ((0, 0), (0, more)), constant_values=-1)
        for i in np.flatnonzero(lacking > 0):
            for part in range(wanted[i] - lacking[i], wanted[i]):
                self.table[rows[i], part] = heapq.heappop(self._free)
        return True

    def close(self, row: int) -> None:
        """The row's pages are free."""
        for page in self.table[row][self.table[row] >= 0].tolist():
            heapq.heappush(self._free, page)
        self.table[row], self.used[row] = -1, 0
        if self.table.shape[1] > 1:
            self.table = self.table[:, : max(1, int((self.table >= 0).any(0).sum()))]

    def compact(self) -> dict[int, int]:
        """Move pages in use before the free ones, in order; returns the new numbers of the rows.

        Free pages cost time in attention, and moving the others does too: so only when half of them are free.
        """
        taken = np.unique(self.table[self.table >= 0])
        if 2 * len(taken) > self.extent:
            return {}
        new = np.full(self.pages + 1, -1)  # the last one stands for no page
        new[taken] = np.arange(len(taken))
        kv = self.kv
        for page in taken[taken != new[taken]].tolist():
            kv[:, new[page]] = kv[:, page]
        rows = np.flatnonzero(self.table[:, 0] >= 0)
        table, used = new[self.table[rows]], self.used[rows]
        self.table[:], self.used[:] = -1, 0
        self.table[new[rows]], self.used[new[rows]] = table, used
        self._free = list(range(len(taken), self.pages))
        return dict(zip(rows.tolist(), new[rows].tolist(), strict=True))

    def put(self, row: int, start: int, kv: Tensor) -> None:
        """Write keys and values [2 * layers, kv heads, tokens, head width] to columns `start` and after."""
        for page, at, first, count in self._pieces(row, start, kv.shape[2]):
            self.kv[:, page, :, at : at + count] = kv[:, :, first : first + count]

    def _pieces(self, row: int, start: int, count: int) -> Iterator[tuple[int, int, int, int]]:
        """Where so many columns lie: page, column in it, the number of the first of them, and how many."""
        done = 0
        while done < count:
            part, at = divmod(start + done, self.page)
            here = min(self.page - at, count - done)
            yield int(self.table[row, part]), at, done, here
            done += here

    def read(self, row: int, columns: Sequence[int]) -> Tensor:
        """A copy of some columns of a row, [2 * layers, kv heads, columns, head width]."""
        if self.table[row, 1:].max(initial=-1) < 0:
            return self.kv[:, row].index_select(2, torch.tensor(columns, device=self.kv.device))
        part, at = np.divmod(np.asarray(columns), self.page)
        pages = torch.from_numpy(self.table[row, part]).to(self.kv.device)
        return self.kv[:, pages, :, torch.from_numpy(at).to(self.kv.device)].permute(1, 2, 0, 3).contiguous()


def seats(row: np.ndarray) -> tuple[np.ndarray, int]:
    """The number of each token among those of its row, [tokens], and how many the fullest row has.

    `row` [tokens] names the row of each, ascending.
    """
    counts = np.bincount(row)
    return np.arange(len(row)) - (counts.cumsum() - counts)[row], int(counts.max())


def _zeros(room: int, like: Tensor) -> Tensor:
    """So many zeros; on a CPU, what is never used takes no memory."""
    if like.device.type != "cpu":
        return like.new_zeros(room)
    return torch.from_numpy(np.zeros(room * like.itemsize, dtype=np.uint8)).view(like.dtype)
