"""Read every prefix of a tree once: the key-value cache of a node serves its children (policy and PPM alike).

A tree node's text is the prompt plus its steps. What a model computed for that text is kept as a chain of segments,
each holding the keys and values of its own tokens only, so a child costs its own tokens and nothing more. The last
token of a text is never in the cache ("pending"): forwarding it later yields the hidden state from which decoding goes
on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from transformers import PreTrainedModel

from rstar_mini.policy.shared_prefix import NAME, Rows
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


class PrefixCache:
    """The prefixes that one model has read.

    `forwarded` counts the tokens that went through the model, `most` is how many rows are read together, and `shrunk`
    how often memory ran out, after which that became less.
    """

    def __init__(self, backbone: PreTrainedModel, encode: Callable[[str], tuple[int, ...]]) -> None:
        backbone.set_attn_implementation(NAME)
        self.backbone = backbone
        self.encode = encode
        self.places: dict[str, Place] = {}
        self.forwarded, self.most, self.shrunk = 0, 128, 0

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
        advanced = list(places)
        for batch in by_length([len(place.pending) - 1 for place in places], self.most):
            rows, _ = self.extend([places[i].segment for i in batch], [places[i].pending[:-1] for i in batch])
            for row, i in enumerate(batch):
                segment = extension(rows, row, len(places[i].pending) - 1, places[i].segment)
                advanced[i] = Place(segment, places[i].pending[-1:])
        return advanced

    def extend(
        self, segments: Sequence[Segment], tokens: Sequence[Sequence[int]], owner: Sequence[int] | None = None
    ) -> tuple[Rows, Tensor]:
        """Forward `tokens`, one row each, padded on the right, each after the segment that `owner` names.

        Args:
            owner: for each row the number of its segment, ascending; default: one row a segment.

        Returns:
            the rows, and the hidden states [rows, longest, width].
        """
        device = self.backbone.device
        prefixes, prefix_mask = self._gather(segments)
        owners = torch.tensor(range(len(segments)) if owner is None else owner, device=device)
        longest = max(map(len, tokens))
        ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in tokens], device=device)
        real = torch.tensor([[True] * len(row) + [False] * (longest - len(row)) for row in tokens], device=device)
        lengths = torch.tensor([segment.length for segment in segments], device=device)
        rows = Rows(prefixes, prefix_mask.to(device), owners, real[:, :0], lengths[owners])
        return rows, self.forward(rows, ids, real)

    def forward(self, rows: Rows, ids: Tensor, real: Tensor) -> Tensor:
        """Append `ids` [rows, t] (where `real`) to the rows; returns the hidden states [rows, t, width]."""
        rows.mask = torch.cat([rows.mask, real], dim=1)
        positions = rows.positions[:, None] + torch.arange(ids.shape[1], device=ids.device)
        hidden: Tensor = self.backbone(
            input_ids=ids, position_ids=positions, use_cache=False, rows=rows
        ).last_hidden_state
        rows.positions = rows.positions + real.sum(dim=1)
        self.forwarded += int(real.sum())
        return hidden

    def _gather(self, segments: Sequence[Segment]) -> tuple[Tensor | None, Tensor]:
        """The chains of segments as one left-padded batch, and its mask."""
        lengths = torch.tensor([segment.length for segment in segments])
        width = int(lengths.max())
        mask = torch.arange(width)[None] >= (width - lengths)[:, None]
        if not width:
            return None, mask
        sample = next(segment.kv for segment in segments if segment.kv is not None)
        kv = sample.new_zeros(sample.shape[0], len(segments), sample.shape[1], width, sample.shape[3])
        for row, last in enumerate(segments):
            end, segment = width, last
            while segment.kv is not None and segment.parent is not None:
                start = end - segment.kv.shape[2]
                kv[:, row, :, start:end] = segment.kv
                end, segment = start, segment.parent
        return kv, mask


def extension(rows: Rows, row: int, count: int, parent: Segment) -> Segment:
    """The first `count` tokens that a row has of its own, as a segment after `parent`."""
    return Segment(parent, torch.stack([part[row, :, :count] for part in rows.own]), parent.length + count)


def by_length(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Indices of all positive lengths in ascending batches, so that little of a batch is padding."""
    order = sorted((i for i, length in enumerate(lengths) if length > 0), key=lambda i: lengths[i])
    for first in range(0, len(order), most):
        yield sorted(order[first : first + most])


def cached_encoder(tokenizer: Callable[..., list[int]]) -> Callable[[str], tuple[int, ...]]:
    """Text -> token ids without special tokens, remembered, because a tree encodes the same steps again and again."""

    @lru_cache(maxsize=100_000)
    def encode(text: str) -> tuple[int, ...]:
        return tuple(tokenizer(text, add_special_tokens=False)) if text else ()

    return encode
