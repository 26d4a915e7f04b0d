"""Scoring steps with a trained PPM: all siblings in one pass on their parent's key-value cache."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rstar_mini.code_cot import END_ANSWER, judged_text
from rstar_mini.policy.memory import smaller
from rstar_mini.policy.prefix_cache import PrefixCache
from rstar_mini.policy.rows import Rows
from rstar_mini.policy.segments import Place, Trie
from rstar_mini.ppm.model import reward
from rstar_mini.prompts import Prompt
from rstar_mini.types import Problem, Step

if TYPE_CHECKING:
    from rstar_mini.adapters import View

PAST_END = -1.0  # the score of a step for which the model has no positions: search cannot go on from it
Siblings = tuple[Problem, tuple[Step, ...], Sequence[Step]]


@dataclass(slots=True)
class _Family:
    """Siblings to read: nodes of `trie`, those of the prefix that are not known yet, and those of each candidate.

    A candidate without nodes is longer than the model can read.
    """

    trie: Trie
    trunk: list[int]
    paths: list[list[int]]


class PPMScorer:
    """A sequence-classification model with one label as a `Scorer`; its cache may take `cache_bytes`."""

    def __init__(
        self,
        model: PreTrainedModel | View,
        tokenizer: PreTrainedTokenizerBase,
        prompt: Prompt,
        cache_bytes: int = 2**31,
    ) -> None:
        self.head = model.get_submodule("score")
        self.cache = PrefixCache(model.get_decoder(), tokenizer, prompt, cache_bytes)

    def release(self, ended: Iterable[tuple[Problem, tuple[Step, ...]]]) -> None:
        """Free the keys and values of these prefixes."""
        self.cache.release(ended)

    def forget(self) -> None:
        """Free the key-value cache."""
        self.cache.forget()

    @torch.inference_mode()
    def score(self, siblings: Sequence[Siblings]) -> list[list[float]]:
        """One score in [-1, 1] for each candidate; see `Scorer.score`. When memory runs out, in smaller batches."""
        while True:
            try:
                return self._score(siblings)
            except (MemoryError, RuntimeError) as error:
                self.forget()
                self.cache.most = smaller(error, self.cache.most)
                self.cache.shrunk += 1

    def _score(self, siblings: Sequence[Siblings]) -> list[list[float]]:
        families = [self._family(each) for each in siblings]
        scores = [[PAST_END for _ in family.paths] for family in families]
        read = [i for i, family in enumerate(families) if any(family.paths)]
        for batch in ([read[i] for i in part] for part in self.cache.batches([families[i].trie for i in read])):
            rows, hidden = self.cache.read([families[i].trie for i in batch])
            values = reward(self.head(hidden))[:, 0].tolist()
            first = 0
            for row, i in enumerate(batch):
                scores[i] = [round(values[first + path[-1]], 6) if path else PAST_END for path in families[i].paths]
                first += len(families[i].trie.tokens)
                self._keep(siblings[i], families[i], rows, row)
        return scores

    def _family(self, siblings: Siblings) -> _Family:
        """What has to be read for siblings: the end of their prefix, and a trie of their texts."""
        problem, prefix, steps = siblings
        place = self.cache.locate(problem, prefix, output_is_read=bool(prefix) and _reads_output(prefix[-1]))
        trie = Trie(place.segment)
        texts = [self._tokens(step) for step in steps]
        texts = [tokens if self.cache.fits(place.length + len(tokens)) else () for tokens in texts]
        trunk = trie.add(place.pending) if any(texts) else []
        paths = [trie.add(tokens, len(trunk) - 1) for tokens in texts]
        self.cache.past_end += texts.count(())
        self.cache.unique += len(trie.tokens) - len(trunk)
        return _Family(trie, trunk, paths)

    def _keep(self, siblings: Siblings, family: _Family, rows: Rows, row: int) -> None:
        """Remember what was read, for the children of each step."""
        problem, prefix, steps = siblings
        segment, start = family.trie.segment, family.trie.segment.columns
        if family.trunk:
            segment = self.cache.segment(segment, rows.read(row, [start + node for node in family.trunk]))
            if not prefix:
                self.cache.remember(problem, prefix, Place(segment, ()))
        for step, path in zip(steps, family.paths, strict=True):
            if path and not step.text.endswith(END_ANSWER):
                own = self.cache.segment(segment, rows.read(row, [start + node for node in path]))
                self.cache.remember(problem, (*prefix, step), Place(own, ()), _reads_output(step))

    def _tokens(self, step: Step) -> tuple[int, ...]:
        """The candidate's text and, encoded apart as everywhere, what it printed."""
        pieces = step.text, judged_text(step).removeprefix(step.text)
        return tuple(chain.from_iterable(self.cache.encode(piece, goes_on=True) for piece in pieces))


def _reads_output(step: Step) -> bool:
    return bool(step.output) and judged_text(step) == step.full_text
