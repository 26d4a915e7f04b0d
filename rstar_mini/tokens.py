"""What search and training need of a tokenizer: text to tokens piece by piece, and a check that nothing gets lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rstar_mini.code_cot import TAGS
from rstar_mini.errors import UserError

_PROBE = "0"
_MUST_COME_BACK = {
    "newlines": "\ntotal = 0\n\nprint(total)",
    "indentation": "\nfor i in range(3):\n    if i > 1:\n        total += i",
    "capital letters": "Ann Bob",
    "characters": "".join(map(chr, range(ord("!"), ord("~") + 1))),
}
"""What a tokenizer may lose, and a text that shows it."""


class Encoder:
    """Text to token ids, remembered, because a tree encodes the same pieces of text again and again.

    The first piece of a text begins as the tokenizer begins texts, with BOS for example; a piece that goes on does not.
    """

    def __init__(self, encode: Callable[..., list[int]]) -> None:
        self._encode = encode
        self._pieces = lru_cache(maxsize=100_000)(self._piece)
        self._opening: tuple[int, ...] | None = None

    def __call__(self, text: str, goes_on: bool = False) -> tuple[int, ...]:
        """The ids of a piece of text; `goes_on` says that other pieces stand before it."""
        return self._pieces(text, goes_on)

    def joined(self, pieces: Sequence[str]) -> list[int]:
        """The ids of a whole text, each of its pieces encoded apart."""
        return [*self(pieces[0]), *chain.from_iterable(self(piece, goes_on=True) for piece in pieces[1:])]

    def _piece(self, text: str, goes_on: bool) -> tuple[int, ...]:
        if not text:
            return ()
        ids = tuple(self._encode(text, add_special_tokens=False))
        if self._opening is None:
            self._opening = self._find_opening()
        # A chat template may have written the beginning itself.
        return ids if goes_on or ids[: len(self._opening)] == self._opening else self._opening + ids

    def _find_opening(self) -> tuple[int, ...]:
        """The ids that the tokenizer puts before a text."""
        plain, whole = self._encode(_PROBE, add_special_tokens=False), self._encode(_PROBE)
        starts = (i for i in range(len(whole)) if whole[i : i + len(plain)] == plain)
        return tuple(whole[: next(starts, 0)])


def cached_encoder(encode: Callable[..., list[int]]) -> Encoder:
    """An encoder for the `encode` of a tokenizer."""
    return Encoder(encode)


def check_tokenizer(tokenizer: PreTrainedTokenizerBase, name: str, vocabulary: int) -> None:
    """See that a tokenizer gives tags and programs back as they were, in tokens that the model knows.

    Raises:
        UserError: it does not.
    """
    for tag in TAGS:
        if _back(tokenizer, tag).strip() != tag:
            raise UserError(f"the tokenizer of '{name}' cannot write the tag {tag}; its model could never end a step")
    for what, text in _MUST_COME_BACK.items():
        if _back(tokenizer, text) != text:
            raise UserError(
                f"the tokenizer of '{name}' does not give programs back as they were: it loses {what}; "
                "choose another policy.base"
            )
    for text in (*TAGS, *_MUST_COME_BACK.values()):
        check_known(tokenizer, text, name, vocabulary)


def check_known(tokenizer: PreTrainedTokenizerBase, text: str, name: str, vocabulary: int) -> None:
    """See that the model knows all tokens of a text.

    Raises:
        UserError: it does not, as when tokens were added to the tokenizer alone.
    """
    if (largest := max(tokenizer.encode(text), default=0)) >= vocabulary:
        raise UserError(
            f"the tokenizer of '{name}' writes a text with token {largest} "
            f"({tokenizer.convert_ids_to_tokens(largest)}), and the model knows {vocabulary} tokens; "
            "model and tokenizer do not belong together"
        )


def _back(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    ids = tokenizer.encode(text, add_special_tokens=False)
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def choose_ends(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, vocabulary: int) -> None:
    """Give the tokenizer the ends that its model names, and a token for padding; the trainers ask for both.

    Padding stands where no token sees it and no loss is taken, so any token will do that the model knows.
    """

    def known(token: Any) -> bool:
        return isinstance(token, int) and 0 <= token < vocabulary

    if not known(tokenizer.eos_token_id):
        ends = (_first(getattr(place, "eos_token_id", None)) for place in (model.generation_config, model.config))
        end = next((end for end in ends if known(end) and end is not None and end < len(tokenizer)), None)
        tokenizer.eos_token = None if end is None else tokenizer.convert_ids_to_tokens(end)
    if not known(tokenizer.pad_token_id):
        others = (tokenizer.eos_token_id, tokenizer.unk_token_id, tokenizer.bos_token_id)
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(next(filter(known, others), 0))
    model.config.pad_token_id = tokenizer.pad_token_id


def _first(ends: Any) -> Any:
    return (ends or [None])[0] if isinstance(ends, list) else ends
