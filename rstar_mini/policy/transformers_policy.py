"""The transformers engine: siblings decoded together as a trie, so that tokens they agree on are computed once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rstar_mini.code_cot import END_ANSWER, STOPS
from rstar_mini.policy.admission import TICK, Admission, Open, Room
from rstar_mini.policy.base import Propose, Request
from rstar_mini.policy.end_of_step import EndOfStep
from rstar_mini.policy.graphs import StepGraphs, cuda_graph
from rstar_mini.policy.memory import smaller, too_large
from rstar_mini.policy.prefix_cache import PrefixCache, common
from rstar_mini.policy.rows import Rows, paging, seats
from rstar_mini.policy.sampling import sample
from rstar_mini.policy.segments import Place, Trie
from rstar_mini.prompts import Prompt
from rstar_mini.types import Problem, Step

if TYPE_CHECKING:
    from rstar_mini.adapters import View


@dataclass(slots=True, eq=False)
class _Tip:
    """One distinct unfinished candidate: its tokens, their columns, and the noise keys of its siblings."""

    open: Open
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
        cache_bytes: what the keys and values of the trees may take; those of the texts at work take twice as much.
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
        self.tokens = 2 * cache_bytes // self.cache.token_bytes
        self.graphs = StepGraphs(self.cache.backbone, cuda_graph) if self.elsewhere else None
        self.ends = EndOfStep(tokenizer, model)
        self.admission = Admission(max_step_tokens)
        self._clear()

    @property
    def elsewhere(self) -> bool:
        """True on an accelerator."""
        return self.model.device.type != "cpu"

    def _clear(self) -> None:
        """Nothing is being decoded."""
        if self.graphs:
            self.graphs.clear()
        self._rows = self.cache.new_rows()
        self._at_work: list[Open] = []
        self._tips: list[_Tip] = []
        self._hidden = self._sees = torch.empty(0)

    def submit(self, requests: Sequence[Request], temperature: float) -> None:
        """Let the requests wait for a place in the batch."""
        for request in requests:
            self.admission.submit(request, temperature, self.cache.columns_of(request.problem, request.steps))

    def release(self, ended: Iterable[tuple[Problem, tuple[Step, ...]]]) -> None:
        """Free the keys and values of these prefixes."""
        self.cache.release(ended)

    def forget(self) -> None:
        """Free the key-value cache, and drop what was submitted."""
        self.admission.forget()
        self._clear()
        self.cache.forget()

    @torch.inference_mode()
    def collect(self) -> list[tuple[Request, list[Step]]]:
        """Decode up to `TICK` tokens of each candidate; see `Policy.collect`.

        When memory runs out, what is not finished begins again in a smaller batch.
        """
        done: list[Open] = []
        chosen: list[Open] = []
        try:
            chosen = self._admit()
            done += self._open(chosen)
            for _ in range(TICK):
                if not self._tips:
                    break
                done += self._sample()
                if self._tips:
                    self._forward()
        except (MemoryError, RuntimeError) as error:
            self._begin_again(error, [each for each in {*self._at_work, *chosen} if each not in done])
        return [
            (each.request, [step for _, step in sorted(each.done, key=lambda item: item[0])])
            for each in sorted(done, key=lambda each: each.number)
        ]

    def _begin_again(self, error: Exception, unfinished: Sequence[Open]) -> None:
        """With a smaller batch, after memory ran out."""
        waiting = [*unfinished, *self.admission.waiting]
        self._clear()
        self.cache.forget()
        self.admission.waiting = [each.anew() for each in waiting]
        self.batch_rows, self.tokens = smaller(error, self.batch_rows), self.tokens // 2
        self.cache.most, self.cache.columns = max(1, self.cache.most // 2), self.cache.columns // 2
        self.cache.shrunk += 1

    def _admit(self) -> list[Open]:
        """Choose the requests that there is room for."""
        if not self._rows.pages:
            self._rows.lay_out(*paging(self.tokens, self.batch_rows), spare=self.graphs is not None)
        at_work = [(each, int(self._rows.used[each.row])) for each in self._at_work]
        cache = self.cache.budget // self.cache.token_bytes
        room = Room(self._rows.pages, self._rows.page, self.batch_rows, cache)
        return self.admission.choose(at_work, room)

    def _open(self, asked: Sequence[Open]) -> list[Open]:
        """Read what is not known of the prefixes; each request becomes one tip with all its siblings.

        Returns:
            those whose text has more tokens than the model has positions: their steps are empty.
        """
        locate = self.cache.locate
        located = [(each, locate(each.request.problem, each.request.steps, each.again)) for each in asked]
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

    def _prepare(self, each: Open, place: Place, rows: Rows, row: int) -> None:
        """Note where the request's text ends, and keep what was read of it."""
        segment, unread = place.segment, len(place.pending)
        if unread > 1:
            first = segment.columns
            segment = self.cache.segment(segment, rows.read(row, range(first, first + unread - 1)))
            if not each.request.steps or not each.request.steps[-1].output:
                whole = Place(segment, place.pending[-1:])
                self.cache.remember(each.request.problem, each.request.steps, whole)
        each.length, each.segment = place.length, segment
        each.columns = each.length - segment.lead

    def _join(self, fresh: Sequence[Open], rows: Rows, hidden: Tensor) -> None:
        """Take new rows into the batch. `hidden` [requests, width] is what their first tokens are sampled from."""
        for row, each in enumerate(fresh):
            each.row = self._rows.open(each.columns)
            self._at_work.append(each)
            self._rows.put(each.row, 0, rows.kv[:, row, :, : each.columns])
            self._rows.used[each.row] = each.columns
            keys = [each.request.key + sibling for sibling in range(each.request.n)]
            self._tips.append(_Tip(each, (), (), keys))
        lengths = torch.tensor([each.columns for each in fresh], device=hidden.device)
        columns = max(int(lengths.max()), self._sees.shape[-1])
        sees = torch.arange(columns, device=hidden.device) < lengths[:, None]
        if len(self._tips) > len(fresh):
            sees = torch.cat([pad(self._sees, (0, columns - self._sees.shape[1])), sees])
            hidden = torch.cat([self._hidden, hidden])
        self._hidden, self._sees = hidden, sees
        self._arrange(np.argsort([tip.open.row for tip in self._tips], kind="stable"))

    def _arrange(self, order: np.ndarray) -> None:
        """Keep these tips, in this order."""
        self._tips = [self._tips[i] for i in order]
        index = torch.from_numpy(order).to(self._hidden.device)
        self._hidden, self._sees = self._hidden[index], self._sees[index]

    def _sample(self) -> list[Open]:
        """Draw each sibling's next token, part those that disagree, put finished ones away; the requests now done."""
        counts = [len(tip.keys) for tip in self._tips]
        owner = np.repeat(np.arange(len(counts)), counts)
        keys = np.array([key for tip in self._tips for key in tip.keys], dtype=np.uint64)
        position = np.repeat([len(tip.tokens) for tip in self._tips], counts)
        tokens = sample(self.head, self._hidden, owner, keys, position, self._tips[0].open.temperature)
        children: dict[tuple[int, int], _Tip] = {}
        for i, token, key in zip(owner.tolist(), tokens.tolist(), keys.tolist(), strict=True):
            child = children.get((i, token))
            if child is None:
                tip = self._tips[i]
                child = children[i, token] = _Tip(tip.open, (*tip.tokens, token), tip.columns, [])
                tip.open.unique += 1
            child.keys.append(key)
        done, sources, tips = [], [], []
        for (i, _), child in children.items():
            each, text = child.open, self.ends(child.tokens)
            each.age = len(child.tokens)
            if past := text is None and not self.cache.fits(each.length + len(child.tokens)):
                each.past_end += len(child.keys)
            if text is not None or past or len(child.tokens) == self.max_step_tokens:
                if self._finish(child, text):
                    done.append(each)
            else:
                sources.append(i)
                tips.append(child)
        for each in done:
            self._close(each)
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
        return each.alive == 0

    def _close(self, each: Open) -> None:
        """A request is done: its row is free, and its length is known."""
        self.admission.learn(each.request.n, int(self._rows.used[each.row]) - each.columns)
        self.cache.unique += each.unique
        self.cache.past_end += each.past_end
        self._rows.close(each.row)
        self._at_work.remove(each)

    def _preempt(self) -> None:
        """The youngest request leaves its pages to the others, and begins again later.

        Raises:
            UserError: it is the only one.
        """
        youngest = max(self._at_work, key=lambda each: each.opened)
        if len(self._at_work) == 1:
            raise too_large()
        self.cache.preempted += youngest.unique
        self._rows.close(youngest.row)
        self._at_work.remove(youngest)
        self.admission.waiting.append(youngest.anew())
        left = [i for i, tip in enumerate(self._tips) if tip.open is not youngest]
        self._tips, self._sees = [self._tips[i] for i in left], self._sees[left]

    def _forward(self) -> None:
        """Forward the last token of each tip, in a new column of its row."""
        rows, moved = self._rows, self._rows.compact()
        for each in self._at_work:
            each.row = moved.get(each.row, each.row)
        while True:
            row = np.array([tip.open.row for tip in self._tips])
            live, seat = np.unique(row), seats(row)[0]
            column = rows.used[row] + seat
            used = rows.used[live] + np.bincount(row)[live]
            if rows.reserve(live, used):
                break
            self._preempt()
        rows.used[live] = used
        tips = self._tips
        sees = pad(self._sees, (0, int(used.max()) - self._sees.shape[1]))
        sees[torch.arange(len(tips)), torch.from_numpy(column)] = True
        for tip, new in zip(tips, column.tolist(), strict=True):
            tip.columns = (*tip.columns, new)
        ids = np.array([tip.tokens[-1] for tip in tips])
        at = np.array([tip.open.length + len(tip.tokens) - 1 for tip in tips])
        led = np.array([tip.open.segment.lead > 0 for tip in tips])
        if self.graphs:
            self.cache.forwarded += len(ids)
            self._hidden = self.graphs.forward(rows, row, column, sees, ids, at, self.cache.lead, led)
        else:
            self._hidden = self.cache.forward(rows, row, column, sees, ids, at, led)
        self._sees = sees
