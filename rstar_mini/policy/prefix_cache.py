"""Read every token of a tree once: what a model computed for a node serves all its children (policy and PPM alike).

A node's text is the prompt plus its steps. What a model computed for that text is kept as a chain of segments, each
holding the keys and values of its own tokens only, so a child costs its own tokens and nothing more, and what all
prompts begin with (worked examples, say) is read once for all of them. Segments of nodes that search is done with are
released. When the others need more memory than they may take, those not used for longest go, and are read again when
they are wanted after all.
"""

from __future__ import annotations

import math
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, takewhile
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rstar_mini.bases import last_position
from rstar_mini.policy.rows import Rows, kv_shape
from rstar_mini.policy.tree_attention import NAME, Lead, feed_forward
from rstar_mini.prompts import Prompt
from rstar_mini.tokens import cached_encoder
from rstar_mini.types import Problem, Step

if TYPE_CHECKING:
    from rstar_mini.adapters import View


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Segment:
    """Keys and values of some tokens after `parent`, [2 * layers, kv heads, tokens, head width].

    `length` counts all tokens so far, of which the first `lead` are what all prompts begin with: these have no part
    in rows, because all rows read them in one place.
    """

    parent: Segment | None
    kv: Tensor | None
    length: int
    lead: int

    @property
    def columns(self) -> int:
        """How many columns of a row the text takes."""
        return self.length - self.lead

    def parts(self) -> Iterator[tuple[int, Tensor]]:
        """Each part of the text with the column of its first token, the last part first."""
        segment: Segment | None = self
        while segment is not None and segment.kv is not None:
            yield segment.columns - segment.kv.shape[2], segment.kv
            segment = segment.parent


EMPTY = Segment(None, None, 0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A position in a text: what is in the cache, and the tokens after it that are still to be forwarded."""

    segment: Segment
    pending: tuple[int, ...]

    @property
    def length(self) -> int:
        """The tokens of the text so far."""
        return self.segment.length + len(self.pending)


@dataclass(slots=True)
class Trie:
    """Tokens to forward after `segment`: each follows the one that `parents` names, or the segment itself at -1."""

    segment: Segment
    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    _nodes: dict[tuple[int, int], int] = field(default_factory=dict)

    def add(self, tokens: Sequence[int], after: int = -1) -> list[int]:
        """The nodes of these tokens after node `after`; those that are there already are shared."""
        path = []
        for token in tokens:
            node = self._nodes.setdefault((after, token), len(self.tokens))
            if node == len(self.tokens):
                self.tokens.append(token)
                self.parents.append(after)
                self.depths.append(self.depths[after] + 1 if after >= 0 else 0)
            path.append(node)
            after = node
        return path


@dataclass(slots=True)
class Meter:
    """Bytes that segments take now and took at most; a segment takes itself off when it is freed."""

    held: int = 0
    peak: int = 0

    def watch(self, segment: Segment, size: int) -> None:
        """Count a segment as long as it lives."""
        self.held += size
        self.peak = max(self.peak, self.held)
        weakref.finalize(segment, self._off, size).atexit = False

    def _off(self, size: int) -> None:
        self.held -= size


class PrefixCache:
    """The prefixes that one model has read.

    `forwarded` counts the tokens that went through the model; `unique` those that had to: the distinct pairs of prefix
    and token of every tree, what all prompts begin with once. `most` tokens are read together, and `shrunk` says how
    often memory ran out, after which that became less. `past_end` counts candidates that ended because the model has no
    positions for longer texts.

    Args:
        backbone: the model without its head.
        budget: bytes that segments may take.
    """

    def __init__(
        self, backbone: PreTrainedModel | View, tokenizer: PreTrainedTokenizerBase, prompt: Prompt, budget: int
    ) -> None:
        backbone.set_attn_implementation(NAME)
        self.backbone, self.prompt, self.budget = backbone, prompt, budget
        self.encode = cached_encoder(tokenizer.encode)
        self.places: OrderedDict[str, Place] = OrderedDict()
        self.meter = Meter()
        self.forwarded = self.unique = self.shrunk = self.past_end = 0
        self._last_position = last_position(backbone.config)
        # The rows that are read in hold keys and values too: a small part of what segments may take.
        self.most = min(8192, max(256, budget // (8 * math.prod(kv_shape(backbone.config)) * backbone.dtype.itemsize)))
        self._prompts: set[str] = set()
        self._opening = common(self.encode(prompt("0")), self.encode(prompt("Why?")))
        self._head = EMPTY
        self._lead: Tensor | None = None
        self._scratch = self.new_rows()

    def fits(self, length: int) -> bool:
        """Whether the model has positions for a text of so many tokens."""
        return self._last_position is None or length <= self._last_position

    def forget(self) -> None:
        """Free every segment, and the memory of the rows."""
        self.places.clear()
        self._prompts.clear()
        self._head, self._lead, self._scratch = EMPTY, None, self.new_rows()

    def release(self, ended: Iterable[tuple[Problem, tuple[Step, ...]]]) -> None:
        """Free the segments of texts from which nobody will go on, as far as no other text needs them."""
        for problem, steps in ended:
            for end in self._ends(self._pieces(problem, steps))[-2:]:
                self.places.pop(end, None)

    def remember(self, problem: Problem, steps: Sequence[Step], place: Place, output_is_read: bool = False) -> None:
        """Keep the place at the end of the last step's text, or of its output; others go when memory is short."""
        self.places[self._ends(self._pieces(problem, steps))[-1 if output_is_read else -2]] = place
        while self.meter.held > self.budget and len(self.places) > 1:
            self.places.popitem(last=False)

    def locate(self, problem: Problem, steps: Sequence[Step], output_is_read: bool = False) -> Place:
        """The place after `steps` and their output: the longest known prefix, and the tokens after it.

        `output_is_read` says that the last output was counted when it was read with its step.
        """
        pieces = self._pieces(problem, steps)
        self._count(pieces[:1] if output_is_read else pieces)
        ends = self._ends(pieces)
        known = [i for i, end in enumerate(ends) if end in self.places]
        for i in reversed(known):  # parents are used later than children, and so outlive them
            self.places.move_to_end(ends[i])
        place = self.places[ends[known[-1]]] if known else self._start(pieces[0])
        unread = pieces[known[-1] + 1 if known else 1 :]
        tokens = chain.from_iterable(self.encode(piece, goes_on=True) for piece in unread)
        return Place(place.segment, (*place.pending, *tokens))

    def _pieces(self, problem: Problem, steps: Sequence[Step]) -> list[str]:
        """The prompt and, after it, no output; then each step and its output: the pieces that are encoded apart."""
        return [self.prompt(problem.question), "", *chain.from_iterable((step.text, step.output) for step in steps)]

    def _ends(self, pieces: Sequence[str]) -> list[str]:
        """The whole text up to the end of each piece."""
        return list(accumulate(pieces))

    def _count(self, pieces: Sequence[str]) -> None:
        """Tokens that must be read though nobody sampled them: a new prompt, and the output before this place."""
        self.unique += len(self.encode(pieces[-1], goes_on=True)) if len(pieces) > 1 else 0
        if pieces[0] not in self._prompts:
            self._prompts.add(pieces[0])
            tokens = self.encode(pieces[0])
            self.unique += len(tokens) - len(common(tokens, self._opening))

    def _start(self, prompt: str) -> Place:
        """A new prompt: what it has in common with all prompts is read once."""
        tokens, opening = self.encode(prompt), self._opening
        if not opening or len(common(tokens, opening)) < len(opening) or len(tokens) == len(opening):
            return Place(EMPTY, tokens)
        if self._head is EMPTY:
            trie = Trie(EMPTY)
            path = trie.add(opening)
            rows, _ = self.read([trie])
            self._lead = rows.read(0, path)
            self._head = Segment(None, None, len(opening), len(opening))
            self.unique += len(opening)
        return Place(self._head, tokens[len(opening) :])

    def segment(self, parent: Segment, kv: Tensor) -> Segment:
        """A new segment of tokens after `parent`."""
        made = Segment(parent, kv, parent.length + kv.shape[2], parent.lead)
        self.meter.watch(made, kv.nbytes)
        return made

    def batches(self, tries: Sequence[Trie]) -> Iterator[list[int]]:
        """Numbers of tries to read together: of like size, and not too many at once."""
        batch: list[int] = []
        for i in sorted(range(len(tries)), key=lambda i: len(tries[i].tokens)):
            if batch and (len(batch) + 1) * len(tries[i].tokens) > self.most:
                yield sorted(batch)
                batch = []
            batch.append(i)
        if batch:
            yield sorted(batch)

    def read(self, tries: Sequence[Trie]) -> tuple[Rows, Tensor]:
        """Forward every trie in a row of its own.

        Returns:
            the rows, which last until the next call, and the hidden states [tokens, width] in order.
        """
        starts = np.array([trie.segment.columns for trie in tries])
        leads = np.array([trie.segment.lead for trie in tries])
        counts = np.array([len(trie.tokens) for trie in tries])
        rows = self._fill(tries, starts + counts)
        row = np.repeat(np.arange(len(tries)), counts)
        column = np.concatenate([start + np.arange(count) for start, count in zip(starts, counts, strict=True)])
        sees = np.arange(rows.used.max())[None] < starts[row][:, None]
        parents = np.concatenate([trie.parents for trie in tries])
        firsts = np.repeat(counts.cumsum() - counts, counts)
        for i, (parent, first) in enumerate(zip(parents.tolist(), firsts.tolist(), strict=True)):
            if parent >= 0:
                sees[i] = sees[first + parent]
            sees[i, column[i]] = True
        at = (leads + starts)[row] + np.concatenate([trie.depths for trie in tries])
        ids = np.concatenate([trie.tokens for trie in tries])
        return rows, self.forward(rows, row, column, torch.from_numpy(sees).to(rows.kv.device), ids, at, leads[row] > 0)

    def new_rows(self) -> Rows:
        """No rows yet, of the shape that the model's keys and values have."""
        return Rows(kv_shape(self.backbone.config), self.backbone.device, self.backbone.dtype)

    def _fill(self, tries: Sequence[Trie], used: np.ndarray) -> Rows:
        """A row for each trie, with its prefix in the first columns; they last until the next call."""
        rows = self._scratch
        rows.clear()
        rows.add(used, int(used.max()))
        for row, trie in enumerate(tries):
            for start, part in trie.segment.parts():
                rows.kv[:, row, :, start : start + part.shape[2]] = part
        return rows

    def forward(
        self,
        rows: Rows,
        row: np.ndarray,
        column: np.ndarray,
        sees: Tensor,
        ids: np.ndarray,
        at: np.ndarray,
        led: np.ndarray,
    ) -> Tensor:
        """Forward tokens that lie in `rows` (see `feed_forward`); returns their hidden states, [tokens, width].

        `led` [tokens] says which texts begin as all prompts do.
        """
        self.forwarded += len(ids)
        hidden = np.zeros(len(rows), dtype=bool)
        hidden[row[~led]] = True
        tokens, positions, others = (torch.from_numpy(part).to(sees.device) for part in (ids, at, hidden))
        lead = Lead(self._lead, others if hidden.any() else None) if self._lead is not None else None
        return feed_forward(self.backbone, rows, row, column, sees, tokens, positions, lead)


def common(a: Sequence[int], b: Sequence[int]) -> Sequence[int]:
    """What both begin with."""
    return a[: sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))]
