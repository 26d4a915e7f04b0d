"""Read every token of a tree once: what a model computed for a node serves all its children (policy and PPM alike).

A node's text is the prompt plus its steps. What a model computed for that text is kept as a chain of segments, each
holding the keys and values of its own tokens only, so a child costs its own tokens and nothing more, and what all
prompts begin with (worked examples, say) is read once for all of them. Segments of nodes that search is done with are
released. When the others need more memory than they may take, those not used for longest go, and are read again when
they are wanted after all.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, takewhile
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rstar_mini.bases import last_position
from rstar_mini.errors import UserError
from rstar_mini.policy.memory import TABLE_BYTES
from rstar_mini.policy.rows import Rows, kv_shape, rounded, seats
from rstar_mini.policy.segments import EMPTY, Meter, Place, Segment, Trie
from rstar_mini.policy.tree_attention import NAME, feed_rows
from rstar_mini.prompts import Prompt
from rstar_mini.tokens import cached_encoder
from rstar_mini.types import Problem, Step

if TYPE_CHECKING:
    from rstar_mini.adapters import View


class PrefixCache:
    """The prefixes that one model has read.

    `forwarded` counts the tokens that went through the model; `unique` those that had to: the distinct pairs of prefix
    and token of every tree, what all prompts begin with once. `most` tokens are read together, in rows of at most
    `columns` columns in all. `shrunk` says how often memory ran out, after which that became less. `preempted` counts
    tokens of candidates that began again because others needed their memory. `past_end` counts candidates that ended
    because the model has no positions for longer texts.

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
        self.forwarded = self.unique = self.preempted = self.shrunk = self.past_end = 0
        self._last_position = last_position(backbone.config)
        # The rows that are read in hold keys and values too: a part of what segments may take.
        self.token_bytes = math.prod(kv_shape(backbone.config)) * backbone.dtype.itemsize
        self.most = min(8192, max(256, budget // (8 * self.token_bytes)))
        self.columns = max(512, budget // (4 * self.token_bytes))
        self._prompts: set[str] = set()
        self._opening = common(self.encode(prompt("0")), self.encode(prompt("Why?")))
        self._head = EMPTY
        self.lead: Tensor | None = None
        self._scratch = self.new_rows()
        self._checked = False

    def fits(self, length: int) -> bool:
        """Whether the model has positions for a text of so many tokens."""
        return self._last_position is None or length <= self._last_position

    def forget(self) -> None:
        """Free every segment, and the memory of the rows."""
        self.places.clear()
        self._prompts.clear()
        self._head, self.lead, self._scratch = EMPTY, None, self.new_rows()
        self._checked = False

    def release(self, ended: Iterable[tuple[Problem, tuple[Step, ...]]]) -> None:
        """Free the segments of texts from which nobody will go on, as far as no other text needs them."""
        for problem, steps in ended:
            for end in self._ends(self._pieces(problem, steps))[-2:]:
                self.places.pop(end, None)

    def remember(self, problem: Problem, steps: Sequence[Step], place: Place, output_is_read: bool = False) -> None:
        """Keep the place at the end of the last step's text, or of its output; others go when memory is short."""
        ends = self._ends(self._pieces(problem, steps))[: None if output_is_read else -1]
        self.places[ends[-1]] = place
        self._use([end for end in ends[:-1] if end in self.places])
        while self.meter.held > self.budget and len(self.places) > 1:
            self.places.popitem(last=False)

    def _use(self, ends: Sequence[str]) -> None:
        """Parents are used later than children, and so outlive them: without a parent a child would be read whole."""
        for end in reversed(ends):
            self.places.move_to_end(end)

    def locate(self, problem: Problem, steps: Sequence[Step], output_is_read: bool = False) -> Place:
        """The place after `steps` and their output: the longest known prefix, and the tokens after it.

        `output_is_read` says that the last output was counted when it was read with its step.
        """
        pieces = self._pieces(problem, steps)
        self._count(pieces[:1] if output_is_read else pieces)
        ends = self._ends(pieces)
        known = [i for i, end in enumerate(ends) if end in self.places]
        self._use([ends[i] for i in known])
        place = self.places[ends[known[-1]]] if known else self._start(pieces[0])
        unread = pieces[known[-1] + 1 if known else 1 :]
        tokens = chain.from_iterable(self.encode(piece, goes_on=True) for piece in unread)
        return Place(place.segment, (*place.pending, *tokens))

    def columns_of(self, problem: Problem, steps: Sequence[Step]) -> int:
        """How many columns of a row the text takes."""
        pieces = self._pieces(problem, steps)
        lead = len(self._opening) if self._is_led(self.encode(pieces[0])) else 0
        return len(self.encode(pieces[0])) + sum(len(self.encode(piece, goes_on=True)) for piece in pieces[1:]) - lead

    def _is_led(self, prompt: Sequence[int]) -> bool:
        """Whether a prompt begins as all do, and goes on."""
        opening = self._opening
        return 0 < len(opening) < len(prompt) and len(common(prompt, opening)) == len(opening)

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
        if not self._is_led(tokens):
            return Place(EMPTY, tokens)
        if self._head is EMPTY:
            trie = Trie(EMPTY)
            path = trie.add(opening)
            rows, _ = self.read([trie])
            self.lead = rows.read(0, path)
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
        widest = 0
        for i in sorted(range(len(tries)), key=lambda i: len(tries[i].tokens)):
            tokens, rows = len(tries[i].tokens), len(batch) + 1
            columns = rounded(tries[i].segment.columns + tokens)
            widest = max(widest, columns)
            if batch and (rows * tokens > self.most or rows * widest > self.columns):
                yield sorted(batch)
                batch, widest = [], columns
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
        parts = self._parts(rows, row)
        hidden = [
            self.forward(rows, row[part], column[part], sees[part], ids[part], at[part], leads[row[part]] > 0)
            for part in parts
        ]
        self._check(hidden[0])
        if len(parts) == 1:
            return rows, hidden[0]
        order = torch.from_numpy(np.concatenate(parts).argsort()).to(hidden[0].device)
        return rows, torch.cat(hidden)[order]

    def _check(self, hidden: Tensor) -> None:
        """Look for overflow once a shard, since training changes what a model computes; each look waits for the GPU.

        Raises:
            UserError: there are hidden states that are not finite.
        """
        if not self._checked and not hidden.isfinite().all():
            raise UserError(
                f"the hidden states are not finite: {str(hidden.dtype)[6:]} overflows, or a training "
                "has spoilt the weights; set policy.dtype=fp32, or bf16 on a GPU that computes in it"
            )
        self._checked = True

    def _parts(self, rows: Rows, row: np.ndarray) -> list[np.ndarray]:
        """Numbers of tokens to forward together: as many of each row as a table of scores may have queries."""
        config = self.backbone.config
        score = 3 * config.num_attention_heads * self.backbone.dtype.itemsize  # with a mask, and exponentials
        most = max(1, TABLE_BYTES // (score * rows.pages * rows.page))
        part = seats(row)[0] // most
        return [np.flatnonzero(part == i) for i in range(part.max() + 1)]

    def new_rows(self) -> Rows:
        """No rows yet, of the shape that the model's keys and values have."""
        return Rows(kv_shape(self.backbone.config), self.backbone.device, self.backbone.dtype)

    def _fill(self, tries: Sequence[Trie], used: np.ndarray) -> Rows:
        """A row for each trie, with its prefix in the first columns; they last until the next call."""
        rows = self._scratch
        rows.lay_out(len(tries), rounded(int(used.max())))
        rows.occupy(used)
        for row, trie in enumerate(tries):
            for start, part in trie.segment.parts():
                rows.put(row, start, part)
        return rows

    def forward(
        self, rows: Rows, row: np.ndarray, column: np.ndarray, sees: np.ndarray | Tensor,
        ids: np.ndarray, at: np.ndarray, led: np.ndarray,
    ) -> Tensor:  # fmt: skip
        """Forward tokens that lie in `rows` (see `layout`); returns their hidden states, [tokens, width]."""
        self.forwarded += len(ids)
        seen = torch.as_tensor(sees, device=rows.kv.device)
        return feed_rows(self.backbone, rows, row, column, seen, ids, at, self.lead, led)


def common(a: Sequence[int], b: Sequence[int]) -> Sequence[int]:
    """What both begin with."""
    return a[: sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))]
