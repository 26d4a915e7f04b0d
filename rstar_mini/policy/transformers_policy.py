"""The transformers engine: siblings decoded together as a trie, so that tokens they agree on are computed once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rstar_mini.code_cot import END_ANSWER, STOPS
from rstar_mini.policy.base import Propose, Request
from rstar_mini.policy.end_of_step import EndOfStep
from rstar_mini.policy.memory import smaller
from rstar_mini.policy.prefix_cache import EMPTY, Place, PrefixCache, Segment, Trie, common
from rstar_mini.policy.rows import Rows
from rstar_mini.policy.sampling import draw
from rstar_mini.prompts import Prompt
from rstar_mini.types import Problem, Step

if TYPE_CHECKING:
    from rstar_mini.adapters import View

TICK = 8  # tokens between two looks at what is finished and what waits: fixed, so that batches do not hang on clocks


@dataclass(slots=True, eq=False)
class _Open:
    """A request at work.

    Its text, of `length` tokens, lies in `columns` columns of row `row`; all but the last token are in `segment` too.
    `done` collects its steps with their noise keys.
    """

    request: Request
    temperature: float
    number: int
    row: int = -1
    length: int = 0
    segment: Segment = EMPTY
    done: list[tuple[int, Step]] = field(default_factory=list)

    @property
    def columns(self) -> int:
        return self.length - self.segment.lead


@dataclass(slots=True, eq=False)
class _Tip:
    """One distinct unfinished candidate: its tokens, their columns, and the noise keys of its siblings."""

    open: _Open
    tokens: tuple[int, ...]
    columns: tuple[int, ...]
    keys: list[int]


class TransformersPolicy(Propose):
    """A causal language model as a policy.

    Args:
        model: any causal model of transformers, or one under an adapter, in evaluation mode.
        tokenizer: its tokenizer; the tags may be tokens of their own or plain text.
        prompt: how a question becomes the text before the first step.
        max_step_tokens: a step that has not ended by then is given up.
        batch_rows: most candidates decoded together.
        cache_bytes: what the keys and values of the trees may take.
    """

    def __init__(
        self,
        model: PreTrainedModel | View,
        tokenizer: PreTrainedTokenizerBase,
        prompt: Prompt,
        max_step_tokens: int = 64,
        batch_rows: int = 1024,
        cache_bytes: int = 2**31,
    ) -> None:
        self.model, self.tokenizer, self.prompt = model, tokenizer, prompt
        self.max_step_tokens, self.batch_rows = max_step_tokens, batch_rows
        self.head = model.get_output_embeddings()
        self.cache = PrefixCache(model.get_decoder(), tokenizer, prompt, cache_bytes)
        self.ends = EndOfStep(tokenizer, model)
        self._waiting: deque[_Open] = deque()
        self._submitted = 0
        self._clear()

    @property
    def elsewhere(self) -> bool:
        """True on an accelerator."""
        return self.model.device.type != "cpu"

    def _clear(self) -> None:
        """Nothing is being decoded."""
        self._rows = self.cache.new_rows()
        self._tips: list[_Tip] = []
        self._hidden = self._sees = torch.empty(0)

    def submit(self, requests: Sequence[Request], temperature: float) -> None:
        """Let the requests wait for a place in the batch."""
        for request in requests:
            self._waiting.append(_Open(request, temperature, self._submitted))
            self._submitted += 1

    def release(self, ended: Iterable[tuple[Problem, tuple[Step, ...]]]) -> None:
        """Free the keys and values of these prefixes."""
        self.cache.release(ended)

    def forget(self) -> None:
        """Free the key-value cache, and drop what was submitted."""
        self._waiting.clear()
        self._clear()
        self.cache.forget()

    @torch.inference_mode()
    def collect(self) -> list[tuple[Request, list[Step]]]:
        """Decode up to `TICK` tokens of each candidate; see `Policy.collect`.

        When memory runs out, what is not finished begins again in a smaller batch.
        """
        at_work = {tip.open.number: tip.open for tip in self._tips}
        done: list[_Open] = []
        try:
            chosen = self._admit()
            at_work |= {each.number: each for each in chosen}
            done += self._open(chosen)
            for _ in range(TICK):
                if not self._tips:
                    break
                done += self._sample()
                if self._tips:
                    self._forward()
        except (MemoryError, RuntimeError) as error:
            self._begin_again(error, [each for each in at_work.values() if each not in done])
        return [
            (each.request, [step for _, step in sorted(each.done, key=lambda item: item[0])])
            for each in sorted(done, key=lambda each: each.number)
        ]

    def _begin_again(self, error: Exception, unfinished: Sequence[_Open]) -> None:
        """With a smaller batch, after memory ran out."""
        waiting = [*unfinished, *self._waiting]
        self.forget()
        self._waiting.extend(_Open(each.request, each.temperature, each.number) for each in waiting)
        self.batch_rows = smaller(error, self.batch_rows)
        self.cache.most = max(1, self.cache.most // 2)
        self.cache.shrunk += 1

    def _admit(self) -> list[_Open]:
        """Choose as many waiting requests as there is room for; requests of one temperature at a time."""
        room = self.batch_rows - sum(len(tip.keys) for tip in self._tips)
        chosen: list[_Open] = []
        while self._waiting:
            ahead = self._tips[0].open if self._tips else chosen[0] if chosen else None
            if ahead and (self._waiting[0].request.n > room or self._waiting[0].temperature != ahead.temperature):
                break
            chosen.append(self._waiting.popleft())
            room -= chosen[-1].request.n
        return chosen

    def _open(self, asked: Sequence[_Open]) -> list[_Open]:
        """Read what is not known of the prefixes; each request becomes one tip with all its siblings.

        Returns:
            those whose text has more tokens than the model has positions: their steps are empty.
        """
        located = [(each, self.cache.locate(each.request.problem, each.request.steps)) for each in asked]
        too_long = [each for each, place in located if not self.cache.fits(place.length)]
        for each in too_long:
            each.done = [(each.request.key + sibling, Step("")) for sibling in range(each.request.n)]
            self.cache.past_end += each.request.n
        chosen, places = [], []
        for each, place in located:
            if self.cache.fits(place.length):
                chosen.append(each)
                places.append(place)
        tries = [Trie(place.segment) for place in places]
        for trie, place in zip(tries, places, strict=True):
            trie.add(place.pending)
        for batch in self.cache.batches(tries):
            rows, hidden = self.cache.read([tries[i] for i in batch])
            for row, i in enumerate(batch):
                self._prepare(chosen[i], places[i], rows, row)
            last = np.cumsum([len(tries[i].tokens) for i in batch]) - 1
            self._join([chosen[i] for i in batch], rows, hidden[torch.from_numpy(last).to(hidden.device)])
        return too_long

    def _prepare(self, each: _Open, place: Place, rows: Rows, row: int) -> None:
        """Note where the request's text ends, and keep what was read of it."""
        known, unread = place.segment.length, len(place.pending)
        each.length, each.segment = known + unread, place.segment
        if unread > 1:
            first = place.segment.columns
            each.segment = self.cache.segment(place.segment, rows.read(row, range(first, first + unread - 1)))
            if not each.request.steps or not each.request.steps[-1].output:
                whole = Place(each.segment, place.pending[-1:])
                self.cache.remember(each.request.problem, each.request.steps, whole)

    def _join(self, fresh: Sequence[_Open], rows: Rows, hidden: Tensor) -> None:
        """Take new rows into the batch. `hidden` [requests, width] is what their first tokens are sampled from."""
        taken = {tip.open.row for tip in self._tips}
        numbers = self._rows.join(rows, [row for row in range(len(self._rows)) if row not in taken])
        for each, number in zip(fresh, numbers.tolist(), strict=True):
            each.row = number
            keys = [each.request.key + sibling for sibling in range(each.request.n)]
            self._tips.append(_Tip(each, (), (), keys))
        lengths = torch.tensor([each.columns for each in fresh], device=hidden.device)
        columns = max(int(lengths.max()), self._sees.shape[-1])
        sees = torch.arange(columns, device=hidden.device) < lengths[:, None]
        if len(self._tips) > len(fresh):
            sees = torch.cat([pad(self._sees, (0, columns - self._sees.shape[1])), sees])
            hidden = torch.cat([self._hidden, hidden])
        order = np.argsort([tip.open.row for tip in self._tips], kind="stable")
        self._tips = [self._tips[i] for i in order]
        index = torch.from_numpy(order).to(hidden.device)
        self._hidden, self._sees = hidden[index], sees[index]

    def _sample(self) -> list[_Open]:
        """Draw each sibling's next token, part those that disagree, put finished ones away; the requests now done."""
        counts = [len(tip.keys) for tip in self._tips]
        owner = np.repeat(np.arange(len(counts)), counts)
        keys = np.array([key for tip in self._tips for key in tip.keys], dtype=np.uint64)
        position = np.repeat([len(tip.tokens) for tip in self._tips], counts)
        logits = self.head(self._hidden).float()
        tokens = draw(logits, owner, keys, position, self._tips[0].open.temperature)
        children: dict[tuple[int, int], _Tip] = {}
        for i, token, key in zip(owner.tolist(), tokens.tolist(), keys.tolist(), strict=True):
            child = children.get((i, token))
            if child is None:
                tip = self._tips[i]
                child = children[i, token] = _Tip(tip.open, (*tip.tokens, token), tip.columns, [])
            child.keys.append(key)
        self.cache.unique += len(children)
        done, sources, tips = [], [], []
        for (i, _), child in children.items():
            text = self.ends(child.tokens)
            if past := text is None and not self.cache.fits(child.open.length + len(child.tokens)):
                self.cache.past_end += len(child.keys)
            if text is not None or past or len(child.tokens) == self.max_step_tokens:
                if self._finish(child, text):
                    done.append(child.open)
            else:
                sources.append(i)
                tips.append(child)
        if sources != list(range(len(self._tips))):
            self._sees = self._sees[torch.tensor(sources, dtype=torch.long, device=self._sees.device)]
        self._tips = tips
        return done

    def _finish(self, tip: _Tip, text: str | None) -> bool:
        """Turn a finished tip into steps, one a sibling, and keep its part of the cache; True when all are there."""
        each, request = tip.open, tip.open.request
        step = Step(self.ends.decode(tip.tokens) if text is None else text, tokens=len(tip.tokens))
        each.done += [(key, step) for key in tip.keys]
        if step.text.endswith(STOPS) and not step.text.endswith(END_ANSWER):
            # Not always what was sampled: one text has many encodings.
            tokens = self.cache.encode(step.text, goes_on=True)
            same = min(len(common(tokens, tip.tokens[:-1])), len(tokens) - 1)
            kv = self._rows.read(each.row, (each.columns - 1, *tip.columns[:same]))
            place = Place(self.cache.segment(each.segment, kv), tokens[same:])
            self.cache.remember(request.problem, (*request.steps, step), place)
        return len(each.done) == request.n

    def _forward(self) -> None:
        """Forward the last token of each tip, in a new column of its row."""
        self._leave_out()
        rows, tips = self._rows, self._tips
        row = np.array([tip.open.row for tip in tips])
        seat, _ = rows.seats(row)
        column = rows.used[row] + seat
        rows.used += np.bincount(row, minlength=len(rows))
        width = int(rows.used[row].max())
        rows.widen(width)
        sees = pad(self._sees, (0, width - self._sees.shape[1]))
        sees[torch.arange(len(tips)), torch.from_numpy(column)] = True
        for tip, new in zip(tips, column.tolist(), strict=True):
            tip.columns = (*tip.columns, new)
        ids = np.array([tip.tokens[-1] for tip in tips])
        at = np.array([tip.open.length + len(tip.tokens) - 1 for tip in tips])
        led = np.array([tip.open.segment.lead > 0 for tip in tips])
        self._hidden, self._sees = self.cache.forward(rows, row, column, sees, ids, at, led), sees

    def _leave_out(self) -> None:
        """Rows whose requests are done cost time in attention, and moving the others does too: half at a time."""
        live = {tip.open.row: tip.open for tip in self._tips}
        if 2 * len(live) <= len(self._rows):
            self._rows.keep(np.array(list(live)))
            for number, each in enumerate(live.values()):
                each.row = number
