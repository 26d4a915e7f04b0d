"""Read every prefix of a tree once: the key-value cache of a node serves its children (policy and PPM alike).

A tree node's text is the prompt plus its steps. What a model computed for that text is kept as a chain of segments,
each holding the keys and values of its own tokens only, so a child costs its own tokens and nothing more. The last
token of a text is never in the cache ("pending"): forwarding it later yields the hidden state from which decoding goes
on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import Cache
from transformers.cache_utils import DynamicLayer

from rstar_mini.types import Step


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Keys and values of some tokens after `parent`.

    `kv` is [2 * layers, kv heads, tokens, head width]; `length` counts all tokens so far.
    """

    parent: Segment | None
    kv: Tensor | None
    length: int


EMPTY = Segment(None, None, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A position in a text: what is in the cache, and the tokens after it (at least one) still to be forwarded."""

    segment: Segment
    pending: tuple[int, ...]


class RoomyLayer(DynamicLayer):
    """A cache layer with room to grow: the library's copies everything for every token and every change of rows."""

    ROOM = 32  # slots added when the room is used up
    keys: Tensor  # [rows, heads, slots, width], from the first update on
    values: Tensor

    def __init__(self) -> None:
        super().__init__()
        self._buffers: list[Tensor] = []  # of keys and of values, with rows and slots to spare

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append [rows, heads, new slots, width] and return all keys and values."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._buffers = [new.new_empty(0, new.shape[1], 0, new.shape[3]) for new in (key_states, value_states)]
        rows, filled = key_states.shape[0], self.get_seq_length()
        stop = filled + key_states.shape[2]
        self._reserve(rows, stop)
        for buffer, new in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:rows, :, filled:stop] = new
        return self._show(rows, stop)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep, repeat or reorder rows; those that stay where they are cost nothing."""
        filled = self.get_seq_length()
        self._reserve(len(indices), filled)
        moved = (indices != torch.arange(len(indices))).nonzero()[:, 0]
        for buffer in self._buffers:
            sources, targets = indices[moved].to(buffer.device), moved.to(buffer.device)
            buffer[targets, :, :filled] = buffer[sources, :, :filled]
        self._show(len(indices), filled)

    def _reserve(self, rows: int, slots: int) -> None:
        """Make room for so many rows and slots."""
        for i, old in enumerate(self._buffers):
            if rows > old.shape[0] or slots > old.shape[2]:
                height = old.shape[0] if rows <= old.shape[0] else max(rows, 2 * old.shape[0])
                width = max(slots + self.ROOM, old.shape[2])
                self._buffers[i] = old.new_empty(height, old.shape[1], width, old.shape[3])
                self._buffers[i][: old.shape[0], :, : old.shape[2]] = old

    def _show(self, rows: int, slots: int) -> tuple[Tensor, Tensor]:
        self.keys, self.values = (buffer[:rows, :, :slots] for buffer in self._buffers)
        return self.keys, self.values


@dataclass(slots=True)
class Rows:
    """A padded batch that is being extended.

    `mask` [rows, width] marks the real tokens, `positions` [rows] holds the next position of each row.
    """

    cache: Cache
    mask: Tensor
    positions: Tensor

    @property
    def layers(self) -> list[RoomyLayer]:
        """The layers of the cache, all of one kind."""
        return cast("list[RoomyLayer]", self.cache.layers)

    def pick(self, rows: Tensor) -> None:
        """Keep, repeat or reorder rows: `rows` [new rows] holds old row numbers."""
        self.cache.batch_select_indices(rows)
        self.mask, self.positions = self.mask[rows], self.positions[rows]

    def segment(self, row: int, start: int, stop: int, parent: Segment) -> Segment:
        """The cache slots start..stop of one row as a segment of its own."""
        layers = [part[row, :, start:stop] for layer in self.layers for part in (layer.keys, layer.values)]
        return Segment(parent, torch.stack(layers), parent.length + stop - start)


class PrefixCache:
    """The prefixes that one model has read. `forwarded` counts the tokens that went through the model."""

    def __init__(self, backbone: nn.Module, encode: Callable[[str], tuple[int, ...]]) -> None:
        self.backbone = backbone
        self.encode = encode
        self.places: dict[str, Place] = {}
        self.forwarded = 0

    def forget(self) -> None:
        """Free every segment."""
        self.places.clear()

    def open(self, prompts: Sequence[str], steps: Sequence[Sequence[Step]]) -> list[Place]:
        """The places after each prompt and its steps, with everything but one last token forwarded."""
        places = self._advance([self._locate(prompt, path) for prompt, path in zip(prompts, steps, strict=True)])
        for prompt, path, place in zip(prompts, steps, places, strict=True):
            if not path:
                self.places[prompt] = place
        return places

    def _locate(self, prompt: str, steps: Sequence[Step]) -> Place:
        """The place after `steps`: the longest known prefix, and the tokens after it."""
        texts = [prompt]
        for step in steps:
            texts.append(texts[-1] + step.full_text)
        pending: tuple[int, ...] = ()
        for i in range(len(steps), 0, -1):
            pending = self.encode(steps[i - 1].output) + pending
            if known := self.places.get(texts[i - 1] + steps[i - 1].text):
                return Place(known.segment, known.pending + pending)
            pending = self.encode(steps[i - 1].text) + pending
        known = self.places.get(prompt) or Place(EMPTY, self.encode(prompt))
        return Place(known.segment, known.pending + pending)

    def _advance(self, places: Sequence[Place]) -> list[Place]:
        """Forward all pending tokens but the last of each place."""
        late = [i for i, place in enumerate(places) if len(place.pending) > 1]
        advanced = list(places)
        if late:
            rows, _, start = self.extend([places[i].segment for i in late], [places[i].pending[:-1] for i in late])
            for row, i in enumerate(late):
                stop = start + len(places[i].pending) - 1
                advanced[i] = Place(rows.segment(row, start, stop, places[i].segment), places[i].pending[-1:])
        return advanced

    def extend(self, segments: Sequence[Segment], tokens: Sequence[Sequence[int]]) -> tuple[Rows, Tensor, int]:
        """Forward `tokens` after `segments`, one row each, padded on the right.

        Returns:
            the rows, the hidden states [rows, longest, width], and the cache slot at which the new tokens start.
        """
        rows = self._gather(segments)
        longest, start = max(map(len, tokens)), rows.mask.shape[1]
        ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in tokens])
        real = torch.tensor([[True] * len(row) + [False] * (longest - len(row)) for row in tokens])
        return rows, self.forward(rows, ids, real), start

    def forward(self, rows: Rows, ids: Tensor, real: Tensor) -> Tensor:
        """Append `ids` [rows, t] (where `real`) to the rows; returns the hidden states [rows, t, width]."""
        device = next(self.backbone.parameters()).device
        positions = rows.positions[:, None] + torch.arange(ids.shape[1])
        rows.mask = torch.cat([rows.mask, real], dim=1)
        output = self.backbone(
            input_ids=ids.to(device),
            attention_mask=rows.mask.to(device, torch.long),
            position_ids=positions.to(device),
            cache=rows.cache,
            use_cache=True,
        )
        rows.positions = rows.positions + real.sum(dim=1)
        self.forwarded += int(real.sum())
        return output.last_hidden_state

    def _gather(self, segments: Sequence[Segment]) -> Rows:
        """The chains of segments as one left-padded batch."""
        lengths = torch.tensor([segment.length for segment in segments])
        width = int(lengths.max())
        mask = torch.arange(width)[None] >= (width - lengths)[:, None]
        if not width:
            return Rows(Cache(layer_class_to_replicate=RoomyLayer), mask, lengths)
        sample = next(segment.kv for segment in segments if segment.kv is not None)
        kv = sample.new_zeros(sample.shape[0], len(segments), sample.shape[1], width, sample.shape[3])
        for row, last in enumerate(segments):
            end, segment = width, last
            while segment.kv is not None and segment.parent is not None:
                start = end - segment.kv.shape[2]
                kv[:, row, :, start:end] = segment.kv
                end, segment = start, segment.parent
        rows = Rows(Cache(layers=[RoomyLayer() for _ in kv[::2]]), mask, lengths)
        for layer, keys, values in zip(rows.layers, kv[::2], kv[1::2], strict=True):
            layer.update(keys, values)
        return rows


def cached_encoder(tokenizer: Callable[..., list[int]]) -> Callable[[str], tuple[int, ...]]:
    """Text -> token ids without special tokens, remembered, because a tree encodes the same steps again and again."""

    @lru_cache(maxsize=100_000)
    def encode(text: str) -> tuple[int, ...]:
        return tuple(tokenizer(text, add_special_tokens=False)) if text else ()

    return encode
