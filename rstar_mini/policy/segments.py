"""What is kept of a tree: chains of segments with the keys and values of their tokens, and tries of tokens to read."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from torch import Tensor


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
