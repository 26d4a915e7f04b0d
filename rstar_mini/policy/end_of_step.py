"""Where a step ends: at a closing tag, found without searching the whole text at every token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from transformers import PreTrainedTokenizerBase

from rstar_mini.code_cot import STOPS, first_step


class EndOfStep:
    """Recognises the end of a step: by token where the tags are tokens, else in the text of the last few tokens."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        encoded = [tokenizer.encode(stop, add_special_tokens=False) for stop in STOPS]
        self.ids = {ids[0] for ids in encoded} if all(len(ids) == 1 for ids in encoded) else None
        self.tail = 2 + max(map(len, encoded))
        self.eos = tokenizer.eos_token_id

    def __call__(self, tokens: Sequence[int]) -> str | None:
        """The step's text when the tokens end it (cut after the closing tag), else None."""
        if self.ids is not None:
            ended = tokens[-1] in self.ids
        else:
            ended = any(stop in self.decode(tokens[-self.tail :]) for stop in STOPS)
        if not ended:
            return self.decode(tokens) if tokens[-1] == self.eos else None
        return first_step(self.decode(tokens))

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of the tokens, tags included."""
        text = self.tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return cast(str, text)  # a list of texts comes back for lists of lists only
