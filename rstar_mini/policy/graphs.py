"""Decoding steps as captured CUDA graphs: one launch where a step has a thousand.

A small step leaves a GPU waiting for Python and for launches. So its sizes are rounded up to a few kinds, each kind is
captured when it is met a second time, and from then on it is played again. What is added is a fixed function of the
sizes, so trees do not depend on what was captured.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from rstar_mini.policy.feed import Layout, Sizes, layout
from rstar_mini.policy.rows import Rows
from rstar_mini.policy.tree_attention import feed_forward, smallest_window

if TYPE_CHECKING:
    from rstar_mini.adapters import View

MOST = 64  # captured steps that are kept; the least recently used go first
Play = Callable[[], Tensor]
"""Does the work once and returns its result, always in the same place."""


def bucket(size: int) -> int:
    """The size rounded up to three significant bits: at most a quarter more."""
    step = 1 << max(0, (size - 1).bit_length() - 3)
    return -(-size // step) * step


def cuda_graph(work: Play) -> Play:
    """The work as a CUDA graph. It runs once before, because libraries allocate at their first use."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = work()

    def play() -> Tensor:
        graph.replay()
        return result

    return play


@dataclass(slots=True)
class _Step:
    """One kind of step: the places where its inputs lie, and the work on them."""

    numbers: Tensor
    sees: Tensor
    hidden: Tensor | None
    play: Play
    met: int = 0  # how often it has come up

    def fill(self, laid: Layout, sees: Tensor) -> None:
        """Put the inputs in their places. A token that fills up sees one column, so that its weights are numbers."""
        self.numbers.copy_(torch.from_numpy(laid.numbers), non_blocking=True)
        self.sees.zero_()
        self.sees[: sees.shape[0], : sees.shape[1]] = sees
        self.sees[sees.shape[0] :, 0] = True
        if self.hidden is not None:
            self.hidden.copy_(torch.from_numpy(~laid.led), non_blocking=True)


class StepGraphs:
    """Forward passes of decoding.

    Args:
        model: the decoder.
        capture: makes work that can be played again; None: nothing is captured, and nothing rounded up.
    """

    def __init__(self, model: PreTrainedModel | View, capture: Callable[[Play], Play] | None) -> None:
        self.model, self.capture = model, capture
        self.clear()

    def clear(self) -> None:
        """Drop what was captured: the pages that it reads are going to be others."""
        self._steps: OrderedDict[Sizes, _Step] = OrderedDict()

    def forward(
        self, rows: Rows, row: np.ndarray, column: np.ndarray, sees: Tensor, ids: np.ndarray, at: np.ndarray,
        lead: Tensor | None, led: np.ndarray,
    ) -> Tensor:  # fmt: skip
        """The hidden states [tokens, width] of tokens that lie in `rows`; see `layout` and `feed_forward`."""
        laid = layout(rows, row, column, ids, at, led, smallest_window(self.model.config), bucket)
        step = self._steps.get(laid.sizes) or self._new(rows, laid, lead)
        self._steps.move_to_end(laid.sizes)
        step.fill(laid, sees)
        step.met += 1
        if step.met == 2:
            self._capture(step)
        return step.play()[: len(ids)].clone()

    def _new(self, rows: Rows, laid: Layout, lead: Tensor | None) -> _Step:
        """A step of new sizes, not yet captured."""
        kv, sizes = rows.kv, laid.sizes
        numbers = torch.zeros(len(laid.numbers), dtype=torch.long, device=kv.device)
        sees = torch.zeros(sizes.tokens, sizes.columns * max(1, sizes.parts), dtype=torch.bool, device=kv.device)
        hidden = None if lead is None else torch.zeros(sizes.height, dtype=torch.bool, device=kv.device)
        step = _Step(numbers, sees, hidden, partial(feed_forward, self.model, kv, laid, numbers, sees, lead, hidden))
        self._steps[sizes] = step
        if len(self._steps) > MOST:
            self._steps.popitem(last=False)
        return step

    def _capture(self, step: _Step) -> None:
        """Capture a step; where that fails, as with a model that waits for the GPU, none from now on."""
        if self.capture is None:
            return
        try:
            step.play = self.capture(step.play)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self.capture = None
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            warnings.warn(f"decoding steps are not captured as CUDA graphs, and take longer: {reason}", stacklevel=2)
