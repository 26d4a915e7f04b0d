"""Memory for keys and values of texts, one a row, that is kept when texts end."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedConfig

_MARGIN = 32  # columns by which the cache grows, so that it is seldom copied


def kv_shape(config: PreTrainedConfig) -> tuple[int, int, int]:
    """What a model keeps of one token: (2 * layers, kv heads, head width)."""
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return 2 * config.num_hidden_layers, getattr(config, "num_key_value_heads", None) or heads, width


class Rows:
    """Keys and values of texts, one a row; `used` [rows] columns of each are filled.

    The memory is kept when rows end, because taking it anew costs more than many a forward pass.

    Args:
        shape: as `kv_shape` gives it.
    """

    def __init__(self, shape: tuple[int, int, int], device: torch.device, dtype: torch.dtype) -> None:
        self._shape = shape
        self._memory = torch.zeros(0, device=device, dtype=dtype)
        self._height = self._width = 0
        self.used = np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.used)

    @property
    def kv(self) -> Tensor:
        """[2 * layers, rows, kv heads, columns, head width]; what is not used holds numbers of no meaning.

        The columns of a row lie one after the other, without a gap before the next head's: products want it so.
        """
        parts, heads, size = self._shape
        layout = parts, self._height, heads, self._width, size
        return self._memory[: math.prod(layout)].view(layout)[:, : len(self)]

    def clear(self) -> None:
        """No rows."""
        self.used = self.used[:0]

    def add(self, used: np.ndarray, columns: int) -> None:
        """Add rows, of which `used` columns each are going to be filled, and make room for so many columns."""
        self._reserve(len(self) + len(used), columns)
        self.used = np.concatenate([self.used, used])

    def _reserve(self, height: int, columns: int) -> None:
        """Room for so many rows and columns at least; without rows, for no more than that."""
        width = -(-columns // _MARGIN) * _MARGIN
        if len(self):
            height, width = max(height, self._height), max(width, self._width)
        if (height, width) != (self._height, self._width):
            self._lay_out(height, width)

    def _lay_out(self, height: int, width: int) -> None:
        parts, heads, size = self._shape
        old, room = self.kv, parts * height * heads * width * size
        if room > len(self._memory):
            self._memory = self._memory.new_zeros(room)
        elif len(self):
            old = old.clone()
        self._height, self._width = height, width
        columns = min(width, old.shape[3])
        self.kv[:, :, :, :columns] = old[:, :, :, :columns]

    def widen(self, columns: int) -> None:
        """Make room for so many columns."""
        self._reserve(len(self), columns)

    def join(self, other: Rows, free: list[int]) -> np.ndarray:
        """Take over the rows of `other`, in free places first; returns their new numbers."""
        new = max(0, len(other) - len(free))
        numbers = np.array([*free[: len(other)], *range(len(self), len(self) + new)], dtype=np.int64)
        columns = int(other.used.max())
        self.add(np.zeros(new, dtype=np.int64), columns)
        self.used[numbers] = other.used
        self.kv[:, torch.from_numpy(numbers).to(self.kv.device), :, :columns] = other.kv[:, :, :, :columns]
        return numbers

    def keep(self, rows: np.ndarray) -> None:
        """Leave out all other rows."""
        kept = self.kv[:, torch.from_numpy(rows).to(self._memory.device)]
        used = self.used[rows]
        self.clear()
        self.add(used, int(used.max()))
        self.kv.copy_(kept[:, :, :, : self._width])

    def read(self, row: int, columns: Sequence[int]) -> Tensor:
        """A copy of some columns of a row, [2 * layers, kv heads, columns, head width]."""
        return self.kv[:, row].index_select(2, torch.tensor(columns, device=self.kv.device))

    def seats(self, row: np.ndarray) -> tuple[np.ndarray, int]:
        """The number of each token among those of its row, [tokens], and how many the fullest row has.

        `row` [tokens] names the row of each, ascending.
        """
        counts = np.bincount(row, minlength=len(self))
        return np.arange(len(row)) - (counts.cumsum() - counts)[row], int(counts.max())
