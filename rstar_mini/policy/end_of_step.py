"""Where a step ends: at a closing tag, found without searching the whole text at every token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rstar_mini.code_cot import STOPS, first_step

if TYPE_CHECKING:
    from rstar_mini.adapters import View


class EndOfStep:
    """Recognises the end of a step: by token where the tags are tokens, else in the text of the last few tokens."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel | View | None = None) -> None:
        self.tokenizer = tokenizer
        encoded = [tokenizer.encode(stop, add_special_tokens=False) for stop in STOPS]
        self.ids = {ids[0] for ids in encoded} if all(len(ids) == 1 for ids in encoded) else None
        self.tail = 2 + max(map(len, encoded))
        self._closing: dict[int, bool] = {}
        ends = model.generation_config.eos_token_id if model and model.generation_config else None
        self.eos = {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])}

    def __call__(self, tokens: Sequence[int]) -> str | None:
        """The step's text when the tokens end it (cut after the closing tag), else None."""
        if self.ids is not None:
            ended = tokens[-1] in self.ids
        elif self._may_end(tokens[-1]):
            end = self.decode(tokens[-self.tail :])
            ended = any(stop in end for stop in STOPS)
        else:
            ended = False
        if not ended:
            return self.decode(tokens) if tokens[-1] in self.eos else None
        return first_step(self.decode(tokens))

    def _may_end(self, token: int) -> bool:
        """Whether the token has the last letter of a closing tag; each is looked at once, because decoding is slow."""
        if token not in self._closing:
            text = self.decode([token])
            self._closing[token] = any(stop[-1] in text for stop in STOPS)
        return self._closing[token]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of the tokens, tags included."""
        text = self.tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return cast(str, text)  # a list of texts comes back for lists of lists only
